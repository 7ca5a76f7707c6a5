"""The face of a running video, from the past alone: looked for where it was last seen, now and then, and followed in between."""

from __future__ import annotations

import numpy as np

from dataprep import faces
from dataprep.video.decode import Frame
from dataprep.video.retinaface import Face, overlap

DETECT_S = 0.2
"""Time between detections while the face is where it was; a lost one is looked for in every frame."""
FOLLOW = 0.6
"""Share of a new box in the box used: the rest is that of the box before, against jitter."""


class LiveFace:
    """The face of a running video, from the past alone. Calls give its box (4,) and whether a face was last seen there."""

    def __init__(self, settings: faces.FaceSettings, *, rate_hz: float) -> None:
        self.settings, self.every = settings, max(1, round(DETECT_S * rate_hz))
        self.detect = faces.load_detector(settings)
        self.face: Face | None = None
        self.box_4: np.ndarray | None = None
        self.n = 0

    def __call__(self, frame: Frame) -> tuple[np.ndarray | None, bool]:
        if self.face is None or self.n % self.every == 0:
            self._find(frame)
        self.n += 1
        return self.box_4, self.face is not None

    def _find(self, frame: Frame) -> None:
        near = None
        if self.face is not None:
            centre = (self.face.box_4[:2] + self.face.box_4[2:]) / 2
            side = float((self.face.box_4[2:] - self.face.box_4[:2]).max()) * self.settings.near
            x0, y0 = centre - side / 2
            near = self._search(frame, (x0, y0, x0 + side, y0 + side), self.settings.near_px, around=self.face)
        if near is None:
            near = self._search(frame, (0.0, 0.0, frame.width, frame.height), self.settings.work_px, around=None)
        if near is None:
            self.face = None  # the box stays: a bridge until it is found again
            return
        if self.box_4 is None or self.face is None:
            self.box_4 = near.box_4.copy()
        else:
            self.box_4 = FOLLOW * near.box_4 + (1 - FOLLOW) * self.box_4
        self.face = near

    def _search(
        self, frame: Frame, box: tuple[float, float, float, float], short_px: int, *, around: Face | None
    ) -> Face | None:
        """The best face of a part of the picture, shrunk to `short_px` on its short side."""
        x0, y0, x1, y1 = (float(v) for v in box)
        shrink = max(1.0, min(x1 - x0, y1 - y0) / short_px)
        width, height = max(32, round((x1 - x0) / shrink)), max(32, round((y1 - y0) / shrink))
        scale = np.array([(x1 - x0) / width, (y1 - y0) / height])
        (seen,) = self.detect([frame.window((x0, y0, x1, y1), width=width, height=height)])
        found = [face.moved(scale, np.array([x0, y0])) for face in seen]
        if around is None:
            return max(found, key=lambda f: f.score * f.area, default=None)
        best = max(found, key=lambda f: float(overlap(around.box_4, f.box_4)), default=None)
        return best if best is not None and overlap(around.box_4, best.box_4) > 0.3 else None
