"""The face in single frames of a recording: near where it was last seen, else anywhere in the picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dataprep.video.decode import Box, Frame
from dataprep.video.face_settings import FaceSettings
from dataprep.video.retinaface import Detector, Face, overlap


class FaceSearch:
    """What was looked for and found in one recording, by number of frame.

    `frames`: those that may be looked at. `faces`: what was found in each that was looked at, None where nothing was.
    `counts`: how many faces there are in those of which the whole picture was searched.
    """

    def __init__(self, detect: Detector, settings: FaceSettings) -> None:
        self._detect, self._settings = detect, settings
        self.frames: dict[int, Frame] = {}
        self.faces: dict[int, Face | None] = {}
        self.counts: dict[int, int] = {}

    def find(self, frames: Sequence[int]) -> None:
        """The face in each of the frames: near where it was last seen, else anywhere in the picture."""
        before = {t: self._last_seen(t) for t in frames}
        found = self._search_near({t: face for t, face in before.items() if face is not None})
        lost = [t for t in frames if found.get(t) is None]
        if lost:
            somewhere = {t: self._choose(faces, before[t]) for t, faces in self.look(lost).items()}
            finer = self._search_near({t: face for t, face in somewhere.items() if face is not None})
            found |= {t: finer.get(t) or face for t, face in somewhere.items()}
        self.faces |= found

    def look(self, frames: Sequence[int]) -> dict[int, list[Face]]:
        """All faces of the whole picture, of each of the frames; once more at twice the size where there is none."""
        whole: dict[int, Box] = {t: (0, 0, self.frames[t].width, self.frames[t].height) for t in frames}
        found = self._faces_in({t: (box, self._settings.work_px) for t, box in whole.items()})
        larger = [t for t, box in whole.items() if not found[t] and min(box[2:]) > self._settings.work_px]
        found |= self._faces_in({t: (whole[t], 2 * self._settings.work_px) for t in larger})
        self.counts |= {t: len(faces) for t, faces in found.items()}
        return found

    def _last_seen(self, before: int) -> Face | None:
        seen = max((t for t, face in self.faces.items() if face is not None and t < before), default=None)
        return None if seen is None else self.faces[seen]

    def _choose(self, faces: list[Face], before: Face | None) -> Face | None:
        if before is None:
            return max(faces, key=lambda face: face.score * face.area, default=None)
        best = max(faces, key=lambda face: float(overlap(before.box_4, face.box_4)), default=None)
        if best is not None and overlap(before.box_4, best.box_4) > 0.1:
            return best
        # Somewhere else altogether: the same person only if nobody else was ever in the picture.
        return best if max(self.counts.values(), default=0) == 1 else None

    def _search_near(self, around: Mapping[int, Face]) -> dict[int, Face | None]:
        """In each of the frames, the face nearest to the one given."""
        windows = {}
        for t, face in around.items():
            centre, sides = (face.box_4[:2] + face.box_4[2:]) / 2, face.box_4[2:] - face.box_4[:2]
            side = float(sides.max()) * self._settings.near
            x0, y0 = (float(v) for v in centre - side / 2)
            windows[t] = (x0, y0, x0 + side, y0 + side), max(1, min(self._settings.near_px, round(side)))
        found: dict[int, Face | None] = {}
        for t, faces in self._faces_in(windows).items():
            box_4 = around[t].box_4
            best = max(faces, key=lambda face, box_4=box_4: float(overlap(box_4, face.box_4)), default=None)  # type: ignore[misc]
            found[t] = best if best is not None and overlap(box_4, best.box_4) > 0.3 else None
        return found

    def _faces_in(self, windows: Mapping[int, tuple[Box, int]]) -> dict[int, list[Face]]:
        """The faces in a part of each of the frames, which is shrunk until its short side has so many pixels."""
        pictures, scales = [], []
        for t, (box, short) in windows.items():
            sides = np.array([box[2] - box[0], box[3] - box[1]])
            width, height = (max(32, round(side)) for side in sides / max(1.0, sides.min() / short))
            pictures.append(self.frames[t].window(box, width=width, height=height))
            scales.append(sides / (width, height))
        found = self._detect(pictures)
        return {
            t: [face.moved(scale, np.array(box[:2])) for face in faces]
            for (t, (box, _)), scale, faces in zip(windows.items(), scales, found, strict=True)
        }
