"""One face followed through a stream of frames: detection where it is needed, interpolation between, bounded memory.

The detector runs on key frames, `key_s` apart. Between two of them the face is taken to move in a straight line, unless
it was lost, moved far, or the picture inside its box is neither that of one end nor of the other: then the middle frame
becomes a key frame too, and so on by halves, the frames of one level going through the detector together. So a face at
rest costs two detections a second, and a lost one is looked for in every frame. A key frame is searched in a window
around the last box; the whole picture (shrunk) when that fails, at the start, and every `full_scan_s` to count the faces.
Boxes are smoothed by a symmetric window, which delays nothing.

The face followed is the one with the largest score times area at the start; after that, the one that overlaps it best.

A state is a vector of 15: box x0, y0, x1, y1; five landmarks x, y; score. Pixels of the full picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dataprep.records import RecordingError
from dataprep.video.decode import Frame
from dataprep.video.face_search import FaceSearch
from dataprep.video.face_settings import FaceSettings
from dataprep.video.retinaface import Detector, Face, overlap

__all__ = ["VERSION", "FaceLostError", "FaceSettings", "FaceTrack", "Follower"]

PATCH_PX = 24  # what is inside a box is compared at this size: sees a shift of a twentieth, not a smile

VERSION = 3  # raise when the same frames may give another track


class FaceLostError(RecordingError):
    """A sound recording in which no face can be followed from end to end."""


@dataclass(frozen=True)
class FaceTrack:
    """Where the face is at every step. A score of 0 means that the detector looked and saw no face: the box is bridged.

    boxes_T4 (x0, y0, x1, y1) and landmarks_T52 in pixels of the full picture, scores_T: float32. detected_T: True where a
    detector saw the face, False where it was interpolated. n_faces_T: faces in the picture, by the latest count.
    n_frames: steps that have a frame; those after them (one at most, in a clip of 137 frames) show the last one again.
    """

    boxes_T4: np.ndarray
    landmarks_T52: np.ndarray
    scores_T: np.ndarray
    detected_T: np.ndarray
    n_faces_T: np.ndarray
    width: int
    height: int
    fps: float
    n_frames: int

    def __len__(self) -> int:
        return len(self.boxes_T4)

    @property
    def states(self) -> np.ndarray:
        """Box, landmarks and score of every step, (T, 15)."""
        return np.concatenate([self.boxes_T4, self.landmarks_T52.reshape(-1, 10), self.scores_T[:, None]], axis=1)


class Follower:
    """Follows the face through one recording. `track()` is complete once `run` has been read to its end.

    Frames may also be pushed as they come, with `end` after the last. A frame comes back with its state when the key frame after
    it has come: `key_s` and `smooth_s` later at most, and `max_gap_s` more while the face is lost. `forgets`: nothing is kept
    that is not needed to go on, and there is no `track()`.
    """

    def __init__(
        self, detect: Detector, settings: FaceSettings, *, rate_hz: float, name: str, forgets: bool = False
    ) -> None:
        self._settings, self._rate_hz, self._name = settings, rate_hz, name
        self.search = FaceSearch(detect, settings)
        self._forgets = forgets
        self._states: list[np.ndarray] = []
        self._size = (0, 0)
        self._n_frames, self._time_s = 0, -1.0
        self._taken = self._given = 0
        self._last_key: int | None = None

    @property
    def kept(self) -> int:
        """How many frames, faces and states are in memory."""
        return len(self.search.frames) + len(self.search.faces) + len(self._states)

    def run(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, np.ndarray]]:
        """Every frame with the face's state (15,), in order, a little late. FaceLostError if the face is lost for too long."""
        for frame in frames:
            yield from self.push(frame)
        yield from self.end()

    def push(self, frame: Frame) -> Iterator[tuple[Frame, np.ndarray]]:
        """Add a frame; returns the frames whose faces are now known."""
        t, self._taken = self._taken, self._taken + 1
        self.search.frames[t] = frame
        if frame.time_s > self._time_s:
            self._n_frames, self._time_s = t + 1, frame.time_s
        if self._last_key is None or t - self._last_key == self._in_frames(self._settings.key_s):
            self._key(self._last_key, t)
            self._last_key = t
            yield from self._release(last_key=t, at_end=False)

    def end(self) -> Iterator[tuple[Frame, np.ndarray]]:
        """After the last frame: the remaining frames."""
        if not self._taken:
            return
        t = self._taken - 1
        self._size = (self.search.frames[t].width, self.search.frames[t].height)
        if t != self._last_key:
            self._key(self._last_key, t)
        yield from self._release(last_key=t, at_end=True)

    def track(self) -> FaceTrack:
        states_TK = np.stack(self._states)
        n = len(states_TK)
        counted = np.array(sorted(self.search.counts))
        latest = np.maximum(np.searchsorted(counted, np.arange(n), side="right") - 1, 0)
        return FaceTrack(
            boxes_T4=states_TK[:, :4],
            landmarks_T52=states_TK[:, 4:14].reshape(n, 5, 2),
            scores_T=states_TK[:, 14],
            detected_T=np.array([self.search.faces.get(t) is not None for t in range(n)]),
            n_faces_T=np.array([self.search.counts[int(c)] for c in counted])[latest],
            width=self._size[0],
            height=self._size[1],
            fps=self._rate_hz,
            n_frames=self._n_frames,
        )

    def _in_frames(self, seconds: float) -> int:
        return max(1, round(seconds * self._rate_hz))

    def _key(self, start: int | None, end: int) -> None:
        """Make `end` a key frame, and as many frames between it and the key frame `start` as are needed."""
        self.search.find([end])
        if start is not None:
            self._divide(start, end)
            if self.search.faces[end] is None and self.search.faces.get(end - 1) is not None:
                self.search.find([end])  # its neighbour was found meanwhile: the place to look is better known
        if end - max(self.search.counts, default=end) >= self._in_frames(self._settings.full_scan_s):
            self.search.look([end])

    def _divide(self, start: int, end: int) -> None:
        """Halve the uncertain stretches between two key frames, level by level."""
        spans = [(start, end)]
        while spans := [(a, b) for a, b in spans if b - a > 1 and self._uncertain(a, b)]:
            middles = [(a + b) // 2 for a, b in spans]
            self.search.find(middles)
            spans = [half for (a, b), m in zip(spans, middles, strict=True) for half in ((a, m), (m, b))]

    def _uncertain(self, a: int, b: int) -> bool:
        """Whether the face may not have moved in a straight line from key frame `a` to `b`."""
        first, last = self.search.faces[a], self.search.faces[b]
        if first is None or last is None or overlap(first.box_4, last.box_4) < self._settings.min_overlap:
            return True
        # If the line is right, what is inside the box looks alike all the way.
        patches_BHW = []
        for t in (a, *range(a + 1, b, 2), b):  # every other frame: nobody moves and comes back in 80 ms
            box_4 = first.box_4 + (last.box_4 - first.box_4) * ((t - a) / (b - a))
            x0, y0, x1, y1 = (float(v) for v in box_4)
            patches_BHW.append(self.search.frames[t].luma((x0, y0, x1, y1), side=PATCH_PX).astype(np.float32))
        return _shift(np.stack(patches_BHW)) > self._settings.max_shift

    def _release(self, *, last_key: int, at_end: bool) -> Iterator[tuple[Frame, np.ndarray]]:
        """Hand out the frames whose box no later frame can change any more."""
        seen = sorted(t for t, face in self.search.faces.items() if face is not None)
        self._check_gaps(first=self._given, last=last_key, at_end=at_end)
        if not seen:
            return
        half = round(self._settings.smooth_s * self._rate_hz)
        first, end = self._given, last_key + 1 if at_end else seen[-1] + 1 - half
        if end <= first:
            return
        recent = seen[max(0, int(np.searchsorted(seen, first - half)) - 1) :]
        found_NK = np.stack([_state(face) for t in recent if (face := self.search.faces[t]) is not None])
        wanted = np.clip(np.arange(first - half, end + half), 0, last_key)
        raw_TK = np.stack([np.interp(wanted, recent, column) for column in found_NK.T], axis=1)
        weights = np.bartlett(2 * half + 3)[1:-1]
        smooth_TK = np.stack(
            [np.convolve(column, weights / weights.sum(), mode="valid") for column in raw_TK.T], axis=1
        ).astype(np.float32)
        for t, state in zip(range(first, end), smooth_TK, strict=True):
            if t in self.search.faces and self.search.faces[t] is None:
                state[14] = 0.0
            self._given = t + 1
            if not self._forgets:
                self._states.append(state)
            yield self.search.frames[t], state
        if self._forgets:
            self.search.faces = {t: face for t, face in self.search.faces.items() if t >= recent[0]}
            self.search.counts = {
                t: self.search.counts[t]
                for t in (max(self.search.counts, key=self.search.counts.__getitem__), max(self.search.counts))
            }
        self.search.frames = {t: frame for t, frame in self.search.frames.items() if t >= min(end, last_key)}

    def _check_gaps(self, *, first: int, last: int, at_end: bool) -> None:
        allowed = int(self._settings.max_gap_s * self._rate_hz + 1e-6)
        longest = start = lost = 0
        for t in range(first, last + 1):
            lost = lost + 1 if t in self.search.faces and self.search.faces[t] is None else 0
            if lost > longest:
                longest, start = lost, t - lost + 1
        if longest > allowed or (at_end and not any(self.search.faces.values())):
            raise FaceLostError(
                f"{self._name}: found no face in {longest} frames from frame {start} on ({start / self._rate_hz:.2f} s), "
                f"expected one in every frame or gaps of at most {self._settings.max_gap_s:g} s ({allowed} frames)"
            )


def _shift(patches_THW: np.ndarray) -> float:
    """The largest movement of the pictures between the first and the last one, against both, in parts of the side.

    To first order a shift changes a picture by itself times the picture's slope, so the mean change by the mean slope is
    a length. A face in poor light or focus changes by fewer grey levels, and has slopes as much smaller.
    """
    ends = patches_THW[[0, -1]]
    slope = max(1.0, float(np.mean([np.abs(np.diff(ends, axis=axis)).mean() for axis in (1, 2)])))
    changes_2T = np.abs(patches_THW[None, 1:-1] - ends[:, None]).mean(axis=(2, 3))
    return float(changes_2T.min(axis=0).max()) / slope / patches_THW.shape[-1]


def _state(face: Face) -> np.ndarray:
    return np.concatenate([face.box_4, face.landmarks_52.ravel(), [face.score]])
