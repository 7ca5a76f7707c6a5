"""What the face mesh costs while a video is prepared, against the same preparation without it; one thread.

    python tests/benchmarks/mesh.py [--pairs 5] [CLIP...]

Without clips: one of BioVid's size (1388x1038, 25 fps, 138 frames, H.264) with the synthetic face, written to a folder of
its own. Both ways decode, follow the face, cut it out and take the features of mini-Xception; one makes the mesh of each frame,
too. They run in turn, and which is first changes from pair to pair, so that other work on the machine slows both. Prints for each
clip the frames a second of processor time of each pair, the median of their ratios, and whether it is at least 0.5.
With clips, also how far the points would be off if only each 2nd, 3rd or 5th step were computed and those between
were interpolated: the mean and largest distance in pixels of the picture, and in hundredths of the distance between the eyes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from dataprep import faces
from dataprep.recordings import recording
from dataprep.synthetic.face import draw_person, frames, write_video
from painmodels.trunks.trunk import load_trunk

BAR = 0.5


def write_clip(path: Path) -> None:
    rng = np.random.default_rng(0)
    person = draw_person(rng, expressive=True)
    write_video(path, frames(person, rng, level=1.0, size=(1388, 1038)), rng=rng)


def prepare(clip: Path, kinds: tuple[str, ...], trunk: Any) -> tuple[float, dict[str, np.ndarray], faces.FaceTrack]:
    """Seconds of processor time, what was made, and the face's track."""
    started = time.process_time()
    takers = {name: recording(name).of_video(trunk) for name in kinds}  # type: ignore[misc]
    made: dict[str, list[np.ndarray]] = {name: [] for name in kinds}
    followed = faces.follow(clip, faces.FaceSettings(), clock_hz=25.0)
    for steps in followed.steps(frames="mesh" in kinds):
        for name, take in takers.items():
            made[name].append(take(steps))
    arrays = {name: np.concatenate(parts) for name, parts in made.items()}
    return time.process_time() - started, arrays, followed.track()


def interpolated(points_TP3: np.ndarray, every: int) -> np.ndarray:
    """The points with only each `every`th step (and the last) computed."""
    n = len(points_TP3)
    known = np.unique([*range(0, n, every), n - 1])
    flat_TK = points_TP3.reshape(n, -1)
    return np.stack([np.interp(np.arange(n), known, column[known]) for column in flat_TK.T], 1).reshape(points_TP3.shape)


def measure(clip: Path, pairs: int, trunk: Any) -> float:
    ratios = []
    for kinds in (("features",), ("features", "mesh")):  # loads what is loaded once
        _, made, track = prepare(clip, kinds, trunk)
    for pair in range(pairs):
        ways = [("features",), ("features", "mesh")]
        seconds = {len(way): prepare(clip, way, trunk)[0] for way in (ways if pair % 2 == 0 else ways[::-1])}
        n = len(track)
        ratios.append(seconds[1] / seconds[2])
        print(f"{clip.name}: without {n / seconds[1]:.1f} frames/s, with {n / seconds[2]:.1f}: {ratios[-1]:.2f}", flush=True)
    ratio = float(np.median(ratios))
    print(f"{clip.name}: median {ratio:.2f}, expected >= {BAR}: {'met' if ratio >= BAR else 'NOT met'}")
    points_TP2 = made["mesh"][..., :2]
    eyes_px = float(np.median(np.linalg.norm(track.landmarks_T52[:, 1] - track.landmarks_T52[:, 0], axis=-1)))
    for every in (2, 3, 5):
        off = np.linalg.norm(interpolated(points_TP2, every) - points_TP2, axis=-1)
        of_eyes = f"{100 * off.mean() / eyes_px:.2f} and {100 * off.max() / eyes_px:.1f} hundredths of the eyes' distance"
        print(f"{clip.name}: one step of {every}: mean {off.mean():.2f} px, largest {off.max():.1f} px ({of_eyes})")
    return ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--pairs", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    trunk = load_trunk("mini-xception-fer")
    with tempfile.TemporaryDirectory() as folder:
        clips = chosen.clips
        if not clips:
            clips = [Path(folder) / "synthetic.mp4"]
            write_clip(clips[0])
        ratios = [measure(clip, chosen.pairs, trunk) for clip in clips]
    return 0 if chosen.clips or min(ratios) >= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
