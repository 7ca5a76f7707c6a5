"""The face of a running video: its steps, a little late, with the very crops and states that a recording of it has.

A box lies on a line between the detections before and after it, so a step is known when the second of them has come: 0.84 s after
its frame at most, and 0.5 s more while the face is lost (`key_s`, `smooth_s` and `max_gap_s` of the settings).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dataprep import faces
from dataprep.faces import FaceSettings, load_detector
from dataprep.video.decode import Frame
from dataprep.video.face_tracking import FaceLostError, Follower

Seen = tuple[np.ndarray, np.ndarray, Frame | None]
"""Crop, (227, 227, 3) uint8 RGB, state (15,) and, where they are asked for, whole picture of a step."""


class LiveFace:
    """Takes step after step of a video, and gives the face of each, in order.

    None for a step where the face is lost, or no frame came, for too long; then it is looked for again.
    """

    def __init__(self, settings: FaceSettings, *, rate_hz: float, name: str = "the video", frames: bool = False) -> None:
        self.settings, self.rate_hz, self.name, self.frames = settings, rate_hz, name, frames
        self.detect = load_detector(settings)
        self.follower = self._new()
        self.taken = self.given = 0

    def __call__(self, step: Frame | None) -> list[Seen | None]:
        """The steps that are known, now that this one is there; None is one without a frame."""
        self.taken += 1
        return self.rest() if step is None else self._known(self.follower.push(step))

    def rest(self) -> list[Seen | None]:
        """The steps that are left, at the end, or at a step without a frame."""
        known = self._known(self.follower.end())
        return known + self._none()

    @property
    def late(self) -> int:
        """How many steps were taken and are not given yet."""
        return self.taken - self.given

    def _known(self, boxed: Iterator[tuple[Frame, np.ndarray]]) -> list[Seen | None]:
        out: list[Seen | None] = []
        try:
            for frame, state_15 in boxed:
                out.append((faces.crop(frame, state_15[:4], self.settings), state_15, frame if self.frames else None))
                self.given += 1
        except FaceLostError:
            return out + self._none()
        return out

    def _none(self) -> list[Seen | None]:
        """The steps that will get no face; another search begins after them."""
        self.follower = self._new()
        lost, self.given = self.taken - self.given, self.taken
        return [None] * lost

    def _new(self) -> Follower:
        return Follower(self.detect, self.settings, rate_hz=self.rate_hz, name=self.name, forgets=True)
