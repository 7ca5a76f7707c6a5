"""How fast clips are prepared, against plain decoding and against detecting in every full frame; one thread.

    python tests/benchmarks/prepare.py [--json] [--decoder NAME] [--trunk NAME] [CLIP...]

Without clips: a generated one of BioVid's size (1388x1038, 25 fps, 138 frames, H.264, a photograph of a face moving over
a background, sensor noise), and the recordings in ../shared/data/videos where those are present. Times are of the CPU,
the best of three, so that other work on the machine counts little. Frames/s:

    decode_fps     every frame to native YUV by PyAV, nothing else
    prepared_fps   decoded, face followed, crops of 227x227 made; no network behind
    full_fps       the detector on every frame at full resolution
    iou_*          overlap of the prepared boxes with those full-resolution detections
    trunk_fps      (first clip) prepared, and each crop through the frozen CNN, in float32; trunk_bf16_fps: in bfloat16
    trunk_speedup  CNN alone: frames/s in bfloat16 by frames/s in float32; its bar holds where the processor has the arithmetic
    trunk_error    |bfloat16 - float32| / |float32| over all features of the clip
    peak_mb        largest resident memory of the process up to the clip's preparation; trunk_peak_mb: with torch and the
                   trunk, libraries that all processes share and the loading counted; trunk_own_mb: anonymous memory after it

`--json` prints {"clips": [...], "bars": {name: {"found", "expected", "met"}}}: speed bars on the first clip, overlap on
every clip in which the detector finds a face in every full frame. The trunk has random weights: speed knows no difference.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np
from skimage import data

from dataprep import faces
from dataprep.records import RecordingError
from dataprep.video import decode
from dataprep.video.retinaface import overlap
from painmodels.trunks import bfloat16

WIDTH, HEIGHT, FRAMES, RATE_HZ = 1388, 1038, 138, 25
SHARED = Path(os.environ.get("PAIN_GRID_SHARED", Path(__file__).resolve().parents[2].parent / "shared")) / "data" / "videos"


def make_clip(path: Path, *, face_px: int = 720, noise: float = 3.0) -> None:
    """Write the generated clip; the picture pasted in is `face_px` wide, the face in it about two fifths of that."""
    rng = np.random.default_rng(0)
    blobs = cv2.GaussianBlur(rng.uniform(0, 255, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 25)
    background = 40 + 150 * (blobs - blobs.min()) / np.ptp(blobs)
    face = cv2.resize(data.astronaut()[:300, 80:380], (face_px, face_px)).astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ, options={"crf": "20", "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for t in range(FRAMES):
            picture = background.copy()
            x = round((WIDTH - face_px) / 2 + 120 * np.sin(t / 20))
            y = round((HEIGHT - face_px) / 2 + 60 * np.sin(t / 13))
            picture[y : y + face_px, x : x + face_px] = face
            picture += rng.normal(0, noise, (HEIGHT, WIDTH, 1)).astype(np.float32)
            frame = av.VideoFrame.from_ndarray(picture.clip(0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def measure(path: Path, settings: faces.FaceSettings) -> dict[str, object]:
    """All figures of one clip. Raises RecordingError if no face can be followed through it."""
    track = faces.prepare_video(path, settings, on_crops=lambda crops: None)  # also warms the detector up
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    n = len(track)
    decode_s = _best_of_3(lambda: [None for _ in decode.open_video(path, decoder="pyav").frames])
    prepared_s = _best_of_3(lambda: faces.prepare_video(path, settings, on_crops=lambda crops: None))
    detect = faces.load_detector(settings)
    started = time.process_time()
    overlaps, missed = [], 0
    for frame, box_4 in zip(decode.steps(decode.open_video(path)), track.boxes_T4, strict=True):
        (found,) = detect([frame.window((0, 0, frame.width, frame.height), width=frame.width, height=frame.height)])
        if found:
            overlaps.append(float(max(overlap(box_4, face.box_4) for face in found)))
        missed += not found
    full_s = time.process_time() - started
    return {
        "clip": path.name,
        "frames": n,
        "size": f"{track.width}x{track.height}",
        "decode_fps": round(n / decode_s, 1),
        "prepared_fps": round(n / prepared_s, 1),
        "full_fps": round(n / full_s, 1),
        "prepared_to_decode": round(decode_s / prepared_s, 3),
        "prepared_to_full": round(full_s / prepared_s, 1),
        "iou_mean": round(float(np.mean(overlaps)), 3) if overlaps else None,
        "iou_min": round(float(np.min(overlaps)), 3) if overlaps else None,
        "full_missed": missed,
        "detected": int(track.detected_T.sum()),
        "peak_mb": round(peak_mb),
    }


def measure_trunk(path: Path, settings: faces.FaceSettings, name: str) -> dict[str, object]:
    """The lines with a trunk, of a clip that can be prepared."""
    import torch

    from painmodels.trunks.trunk import load_trunk

    torch.set_num_threads(1)
    chunks: list[np.ndarray] = []
    n = len(faces.prepare_video(path, settings, on_crops=chunks.append))
    trunks = {"float32": load_trunk(name, random=True)}

    def prepared(precision: str) -> None:
        def through(crops: np.ndarray) -> None:
            trunks[precision](crops)

        faces.prepare_video(path, settings, on_crops=through)

    prepared("float32")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    status = Path("/proc/self/status").read_text().splitlines()
    own_mb = next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024
    trunks["bfloat16"] = load_trunk(name, random=True, precision="bfloat16")
    features = {p: np.concatenate([trunk(crops) for crops in chunks]).astype(np.float64) for p, trunk in trunks.items()}
    alone_s, whole_s = dict.fromkeys(trunks, np.inf), dict.fromkeys(trunks, np.inf)
    for _ in range(3):  # in turn: other work on the machine slows both
        for precision, trunk in trunks.items():
            alone_s[precision] = min(alone_s[precision], _seconds(lambda trunk=trunk: [trunk(crops) for crops in chunks]))
            whole_s[precision] = min(whole_s[precision], _seconds(lambda precision=precision: prepared(precision)))
    error = np.linalg.norm(features["bfloat16"] - features["float32"]) / np.linalg.norm(features["float32"])
    return {
        "trunk": name,
        "trunk_fps": round(n / whole_s["float32"], 1),
        "trunk_bf16_fps": round(n / whole_s["bfloat16"], 1),
        "trunk_speedup": round(alone_s["float32"] / alone_s["bfloat16"], 2),
        "trunk_error": round(float(error), 4),
        "trunk_peak_mb": round(peak_mb),
        "trunk_own_mb": round(own_mb),
    }


def bars(rows: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    """What preparation has to reach, and whether it did."""
    first = rows[0]
    followed = [r for r in rows if r.get("full_missed") == 0]
    found: list[tuple[str, object, str, float]] = [
        ("prepared_to_decode", first.get("prepared_to_decode"), ">=", 0.75),
        ("prepared_to_full", first.get("prepared_to_full"), ">=", 10),
        ("iou_mean", min((r["iou_mean"] for r in followed), default=None), ">=", 0.92),
        ("iou_min", min((r["iou_min"] for r in followed), default=None), ">=", 0.75),
        ("peak_mb", first.get("peak_mb"), "<=", 600),
        ("trunk_speedup", first.get("trunk_speedup") if bfloat16.in_hardware() else None, ">=", 2),
        ("trunk_error", first.get("trunk_error"), "<=", 0.01),
    ]
    return {
        name: {
            "found": value,
            "expected": f"{sign} {bar}",
            "met": value >= bar if sign == ">=" else value <= bar,  # type: ignore[operator]
        }
        for name, value, sign, bar in found
        if value is not None
    }


def _best_of_3(work: Callable[[], object]) -> float:
    return min(_seconds(work) for _ in range(3))


def _seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--decoder", choices=list(decode.DECODERS), default=faces.FaceSettings.decoder)
    parser.add_argument("--trunk", metavar="NAME", default="alexnet-fer-bn", help="'' for none")
    parser.add_argument("--make", type=Path, metavar="CLIP", help="write the generated clip and stop")
    chosen = parser.parse_args()
    if chosen.make:
        make_clip(chosen.make)
        return 0
    settings = faces.FaceSettings(decoder=chosen.decoder)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clips = chosen.clips
        if not clips:
            generated = Path(folder) / "generated.mp4"
            # In a process of its own: the encoder's memory is not the preparation's.
            subprocess.run([sys.executable, __file__, "--make", str(generated)], check=True)
            clips = [generated, *sorted(p for p in SHARED.glob("*/*") if p.suffix != ".csv")]
        for clip in clips:
            try:
                rows.append(measure(clip, settings))
            except RecordingError as error:
                rows.append({"clip": clip.name, "error": str(error)})
            if not chosen.json:
                print("  ".join(f"{key}={value}" for key, value in rows[-1].items()), flush=True)
        if chosen.trunk and "error" not in rows[0]:
            # A fresh process: what detection in full frames took is not the trunk's.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
                trunk = fresh.submit(measure_trunk, clips[0], settings, chosen.trunk).result()
            rows[0].update(trunk)
            if not chosen.json:
                print("  ".join(f"{key}={value}" for key, value in trunk.items()), flush=True)
    if chosen.json:
        print(json.dumps({"clips": rows, "bars": bars(rows)}, indent=1))
    else:
        print("\n".join(f"{name}: {bar}" for name, bar in bars(rows).items()))
    return 0 if any("error" not in row for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
