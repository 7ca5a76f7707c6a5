"""A recording becomes face crops: decode, follow the face, cut it out, in one pass that never holds the whole clip.

`follow` is what the grid calls. From the shell, `python -m dataprep.faces CLIP... --out sheet.png` draws a contact
sheet and prints what was found, to look at before a data set is prepared. Paper: "face detection and extraction".
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dataprep.faults import guarded
from dataprep.outputs import check_output, drafted
from dataprep.program import program
from dataprep.records import RecordingError, VideoPart
from dataprep.storage import Place
from dataprep.video import decode, face_tracking, retinaface
from dataprep.video.contact_sheet import ContactSheet
from dataprep.video.decode import DECODERS, Frame, Video
from dataprep.video.face_tracking import FaceSettings, FaceTrack, Follower
from dataprep.video.retinaface import DETECTORS, Detector

CROP_PX = 227  # what every trunk takes
__all__ = ["TRACK_VERSION", "VERSION", "FaceSettings", "FaceTrack", "Steps", "follow", "load_detector", "prepare_video"]

TRACK_VERSION = f"{decode.VERSION}.{retinaface.VERSION}.{face_tracking.VERSION}"  # same settings, same file: same track
VERSION = f"{TRACK_VERSION}.1"  # and same crops; raise the last number when cutting out changes

CHUNK = 48  # steps handed over at once, 7 MB of crops; a third of a BioVid clip


def load_detector(settings: FaceSettings, *, threads: int = 1) -> Detector:
    """The detector of these settings, made once per process. Raises ValueError (unknown) or RecordingError (weights absent)."""
    return retinaface.detector(settings.detector, min_score=settings.min_score, threads=threads)


@dataclass(frozen=True, kw_only=True)
class Steps:
    """B <= 48 steps of a video in a row: what recordings are made of (dataprep/recordings/).

    `crops_BYXC`: the face as the settings cut it out, (B, size, size, 3) uint8 RGB; `states_B15`: where it is, as a track
    has it: box, landmarks, score, in pixels of the whole picture. `frames`: the whole pictures, of which any window can be cut;
    empty unless they are asked for, since they take megabytes each. `settings`: those that the face was followed with.
    """

    crops_BYXC: np.ndarray
    states_B15: np.ndarray
    frames: tuple[Frame, ...] = ()
    settings: FaceSettings = field(default_factory=FaceSettings)


class Followed:
    """One pass over a video: `steps` gives all of it once, and then `track` is where the face was.

    `said`: what is odd of the file (Video.said).
    """

    def __init__(
        self,
        boxed: Iterable[tuple[Frame, np.ndarray]],
        settings: FaceSettings,
        track: Callable[[], FaceTrack],
        said: tuple[str, ...] = (),
    ) -> None:
        self._boxed, self._settings, self.track, self.said = boxed, settings, track, said

    def steps(self, *, frames: bool = False) -> Iterator[Steps]:
        """The steps in order. `frames`: with the whole pictures. What came before an error is to be thrown away."""
        waiting: list[tuple[np.ndarray, np.ndarray, Frame | None]] = []
        for frame, state_15 in self._boxed:
            waiting.append((crop(frame, state_15[:4], self._settings), state_15, frame if frames else None))
            if len(waiting) == CHUNK:
                yield together(waiting, self._settings)
                waiting.clear()
        if waiting:
            yield together(waiting, self._settings)

    def to_the_end(self) -> FaceTrack:
        """The track alone: nothing is cut out."""
        for _ in self._boxed:
            pass
        return self.track()


def track_of(arrays: Mapping[str, Any]) -> FaceTrack:
    """A track of the arrays that its fields were stored as."""
    return FaceTrack(**{name: a.item() if a.ndim == 0 else a for name, a in arrays.items()})


def together(waiting: Sequence[tuple[np.ndarray, np.ndarray, Frame | None]], settings: FaceSettings) -> Steps:
    """Crops, states and frames (or None) of steps in a row."""
    crops, states, frames = zip(*waiting, strict=True)
    pictures = tuple(f for f in frames if f is not None)
    return Steps(crops_BYXC=np.stack(crops), states_B15=np.stack(states), frames=pictures, settings=settings)


def follow(
    path: str | Place | Video,
    settings: FaceSettings,
    *,
    clock_hz: float = 25.0,
    n_steps: int | None = None,
    track: FaceTrack | None = None,
    part: VideoPart | None = None,
    frames_hz: float | None = None,
) -> Followed:
    """Follow the face through a video, in one pass that is made while its steps are read.

    With `n_steps`, exactly that many: step k is the frame on screen at k / clock_hz; one missing at the end is held.
    Without, every frame is a step. `track`: no detection is run. `path` may be an opened video, or a folder of pictures of which
    there are `frames_hz` a second (0: they last as long as the steps). `part`: of a long video, the one to follow.
    Raises RecordingError if the file is unreadable, cut off or of too low a rate, or the face is lost for over `max_gap_s`.
    """
    # Clips are prepared side by side, one process and one thread each; OpenCV would start a thread for every core.
    cv2.setNumThreads(1)
    if isinstance(path, Video):
        opened = path
    else:
        how: dict[str, Any] = {"decoder": settings.decoder, "stream": settings.stream, "part": part}
        fills_s = n_steps / clock_hz if n_steps else None
        opened = decode.open_video(path, **how, frames_hz=frames_hz, fills_s=fills_s)
    frames = decode.steps(opened, clock_hz=clock_hz, n_steps=n_steps)
    if track is not None:
        return Followed(_with_boxes(frames, track, opened.path), settings, lambda: track, opened.said)
    rate_hz = clock_hz if n_steps is not None else opened.rate_hz or clock_hz
    follower = Follower(load_detector(settings), settings, rate_hz=rate_hz, name=str(opened.path))
    return Followed(follower.run(frames), settings, follower.track, opened.said)


def prepare_video(
    path: str | Place | Video,
    settings: FaceSettings,
    *,
    clock_hz: float = 25.0,
    n_steps: int | None = None,
    on_crops: Callable[[np.ndarray], None] | None = None,
    track: FaceTrack | None = None,
    part: VideoPart | None = None,
    frames_hz: float | None = None,
) -> FaceTrack:
    """`follow` a video to its end and hand its crops over, in order, as (b, size, size, 3) uint8 RGB, b <= 48.

    `on_crops` None: the track only. Raises as `follow`; crops handed over before that are to be thrown away.
    """
    how: dict[str, Any] = {"clock_hz": clock_hz, "n_steps": n_steps, "track": track, "part": part, "frames_hz": frames_hz}
    followed = follow(path, settings, **how)
    if on_crops is None:
        return followed.to_the_end()
    for steps in followed.steps():
        on_crops(steps.crops_BYXC)
    return followed.track()


def crop(frame: Frame, box_4: np.ndarray, settings: FaceSettings) -> np.ndarray:
    """The face of one frame, (size, size, 3) uint8 RGB."""
    centre, sides = (box_4[:2] + box_4[2:]) / 2, box_4[2:] - box_4[:2]
    if settings.crop == "square":
        sides = np.full(2, sides.max())
    half = sides * (0.5 + settings.margin)
    x0, y0, x1, y1 = (float(v) for v in np.concatenate([centre - half, centre + half]))
    return frame.window((x0, y0, x1, y1), width=CROP_PX, height=CROP_PX)


def _with_boxes(frames: Iterable[Frame], track: FaceTrack, path: str | Place) -> Iterator[tuple[Frame, np.ndarray]]:
    n, states_T15 = 0, track.states
    for n, frame in enumerate(frames, start=1):
        if n > len(track) or (frame.width, frame.height) != (track.width, track.height):
            break
        yield frame, states_T15[n - 1]
    else:
        if n == len(track):
            return
    raise RecordingError(
        f"{path}: found step {n} of another length or size, expected the recording of the track: {len(track)} steps, "
        f"{track.width}x{track.height} pixels"
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog=program("dataprep.faces"), description="Show the faces found in video clips.")
    p.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    p.add_argument(
        "--out", type=Path, required=True, metavar="SHEET.png", help="the contact sheet to write, one row per clip"
    )
    p.add_argument("--every", type=int, metavar="N", help="show every Nth frame (default: ten over the clip)")
    p.add_argument("--detector", choices=list(DETECTORS), default=FaceSettings.detector)
    p.add_argument("--decoder", choices=list(DECODERS), default=FaceSettings.decoder)
    p.add_argument("--stream", type=int, default=-1, metavar="N", help="number of the stream, for files with several videos")
    return p


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 all clips are usable, 1 some are not, 2 none is."""
    p = parser()
    chosen = p.parse_args(arguments)
    if chosen.every is not None and chosen.every < 1:
        p.error(f"--every: found {chosen.every}, expected at least 1")
    return guarded(lambda: _command(chosen))


def _command(chosen: argparse.Namespace) -> int:
    check_output("--out", chosen.out, endings=(".png",), inputs=chosen.clips)
    settings = FaceSettings(detector=chosen.detector, decoder=chosen.decoder, stream=chosen.stream)
    sheet = ContactSheet(every=chosen.every)
    for clip in chosen.clips:
        row = sheet.row(clip.name)
        try:
            track = prepare_video(clip, settings, on_crops=row.add)
        except (RecordingError, FileNotFoundError) as error:
            print(f"FAILED  {error}", file=sys.stderr)
            continue
        sheet.rows.append(row)
        print(f"{clip}: {describe(track)}")
    if not sheet.rows:
        print("no clip is usable; no sheet was written", file=sys.stderr)
        return 2
    with drafted(chosen.out) as draft:
        sheet.write(draft)
    print(f"{chosen.out}: {len(sheet.rows)} of {len(chosen.clips)} clips")
    return 0 if len(sheet.rows) == len(chosen.clips) else 1


def describe(track: FaceTrack) -> str:
    """One line: frames, rate, size, how many boxes were detected, interpolated or bridged, how many faces."""
    bridged = int((track.scores_T == 0).sum())
    detected = int(track.detected_T.sum())
    return (
        f"{len(track)} frames, {track.fps:.2f} fps, {track.width}x{track.height}, face in {len(track) - bridged}: "
        f"{detected} detected, {len(track) - detected - bridged} interpolated; {bridged} bridged; "
        f"faces at most {int(track.n_faces_T.max())}"
    )


if __name__ == "__main__":
    sys.exit(main())
