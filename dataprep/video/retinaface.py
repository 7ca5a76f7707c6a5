"""Face detectors: pictures (h, w, 3) uint8 RGB go in, for each its faces in its pixel coordinates come out, best score first.

Pictures of one shape go through the network together: a GPU gains by it, one thread of a CPU neither gains nor loses.

    retinaface-mobile  RetinaFace with a MobileNet-0.25 trunk, weights in `weights/` (MIT, see the licence file there)
    retinaface         the `retina-face` package's ResNet50 (https://github.com/serengil/retinaface), the paper's choice;
                       its weights are not part of this project and are never fetched from here

RetinaFace: Deng et al. 2020, "RetinaFace: Single-shot multi-level face localisation in the wild". Anchors and variances
of the mobile net as in https://github.com/biubug6/Pytorch_Retinaface.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at import: it would write a device id at home and look a collector up
import onnxruntime as ort

from dataprep.home import home
from dataprep.records import InputError

VERSION = 2  # raise when the same picture may give other faces

_WEIGHTS = Path(__file__).parent.parent / "weights" / "retinaface_mobilenet025.onnx"
RESNET_WEIGHTS = "PAIN_GRID_RETINAFACE"  # environment variable: a copy of the package's retinaface.onnx at another place
_BGR_MEAN = (104, 117, 123)
_ANCHORS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))  # stride -> sizes, pixels
_NMS_OVERLAP = 0.4
BATCH = 16  # pictures through the network at once


@dataclass(frozen=True)
class Face:
    """`box_4` x0, y0, x1, y1; `landmarks_52` eyes, nose, mouth corners as (x, y); pixels; float32. `score` in 0..1."""

    box_4: np.ndarray
    landmarks_52: np.ndarray
    score: float

    @property
    def area(self) -> float:
        return float(np.prod(self.box_4[2:] - self.box_4[:2]))

    def moved(self, scale: np.ndarray, origin: np.ndarray) -> Face:
        """The face of a window in coordinates of the picture: times `scale` (x, y), plus `origin` (x, y)."""
        box = self.box_4 * np.tile(scale, 2) + np.tile(origin, 2)
        return Face(box.astype(np.float32), (self.landmarks_52 * scale + origin).astype(np.float32), self.score)


Detector = Callable[[Sequence[np.ndarray]], list[list[Face]]]


def overlap(a_4: np.ndarray, b_N4: np.ndarray) -> np.ndarray:
    """Intersection over union of one box with (..., 4) boxes, shape (...)."""
    sides = np.minimum(a_4[2:], b_N4[..., 2:]) - np.maximum(a_4[:2], b_N4[..., :2])
    shared = np.prod(np.clip(sides, 0, None), axis=-1)
    areas = np.prod(a_4[2:] - a_4[:2]) + np.prod(b_N4[..., 2:] - b_N4[..., :2], axis=-1)
    return np.asarray(shared / np.maximum(areas - shared, 1e-9))


@cache
def detector(name: str, *, min_score: float, threads: int = 1) -> Detector:
    """The detector, made once per process. Raises ValueError for an unknown name, InputError if its weights are absent."""
    if name not in DETECTORS:
        raise InputError(f"no face detector is called {name!r}; there are: {', '.join(DETECTORS)}")
    return DETECTORS[name](min_score, threads)


def onnx_session(weights: Path | bytes, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # cores are shared with other clips
    options.log_severity_level = 3
    return ort.InferenceSession(weights if isinstance(weights, bytes) else str(weights), options, providers=providers())


def providers() -> list[str]:
    """Where the networks of the detectors run, first choice first: a GPU if onnxruntime-gpu is installed, else the CPU.

    onnxruntime goes on to the next if a process sees no GPU. Boxes of the two differ by rounding.
    """
    return [p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in ort.get_available_providers()]


def _batched(found_in: Callable[[Sequence[np.ndarray]], list[list[Face]]]) -> Detector:
    """A detector for pictures of any shapes, of one that takes some of the same shape."""

    def detect(pictures: Sequence[np.ndarray]) -> list[list[Face]]:
        alike: dict[tuple[int, ...], list[int]] = {}
        for n, picture in enumerate(pictures):
            alike.setdefault(picture.shape, []).append(n)
        faces: dict[int, list[Face]] = {}
        for members in alike.values():
            for part in (members[i : i + BATCH] for i in range(0, len(members), BATCH)):
                faces.update(zip(part, found_in([pictures[n] for n in part]), strict=True))
        return [faces[n] for n in range(len(pictures))]

    return detect


def _mobile(min_score: float, threads: int) -> Detector:
    if not _WEIGHTS.is_file():
        raise InputError(f"{_WEIGHTS}: no such file; expected the weights of retinaface-mobile, part of this package")
    session = onnx_session(_WEIGHTS, threads)

    def faces_of(offsets_A4: np.ndarray, scores_A: np.ndarray, points_A10: np.ndarray, anchors_A4: np.ndarray) -> list[Face]:
        keep = np.flatnonzero(scores_A >= min_score)
        centre, size = anchors_A4[keep, :2], anchors_A4[keep, 2:]
        middle = centre + offsets_A4[keep, :2] * 0.1 * size
        half = size * np.exp(offsets_A4[keep, 2:] * 0.2) / 2
        landmarks = centre[:, None] + points_A10[keep].reshape(-1, 5, 2) * 0.1 * size[:, None]
        return _distinct(np.concatenate([middle - half, middle + half], axis=1), landmarks, scores_A[keep])

    def found_in(pictures: Sequence[np.ndarray]) -> list[list[Face]]:
        x_BCHW = cv2.dnn.blobFromImages(pictures, mean=_BGR_MEAN, swapRB=True)
        anchors_A4 = _anchors(*pictures[0].shape[:2])
        outputs = session.run(None, {"input": x_BCHW})
        return [
            faces_of(offsets, scores[:, 1], points, anchors_A4) for offsets, scores, points in zip(*outputs, strict=True)
        ]

    return _batched(found_in)


@lru_cache(maxsize=16)
def _anchors(height: int, width: int) -> np.ndarray:
    """(A, 4) centre x, centre y, width, height in pixels, in the order of the network's outputs."""
    levels = []
    for stride, sizes in _ANCHORS:
        ys, xs = np.mgrid[: -(-height // stride), : -(-width // stride)]
        centres = (np.stack([xs, ys], axis=-1).reshape(-1, 1, 2) + 0.5) * stride
        sides = np.broadcast_to(np.array(sizes)[None, :, None], (len(centres), len(sizes), 2))
        levels.append(np.concatenate([np.broadcast_to(centres, sides.shape), sides], axis=-1).reshape(-1, 4))
    return np.concatenate(levels).astype(np.float32)


def _distinct(boxes_N4: np.ndarray, landmarks_N52: np.ndarray, scores_N: np.ndarray) -> list[Face]:
    """Non-maximum suppression: the best box of every group that overlaps."""
    corners_and_sides_N4 = np.concatenate([boxes_N4[:, :2], boxes_N4[:, 2:] - boxes_N4[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(corners_and_sides_N4.tolist(), scores_N.tolist(), 0.0, _NMS_OVERLAP)  # best score first
    return [
        Face(boxes_N4[n].astype(np.float32), landmarks_N52[n].astype(np.float32), float(scores_N[n])) for n in np.ravel(kept)
    ]


_ADOPTED: list[bytes] = []


def weights_to_carry(name: str) -> bytes | None:
    """The content of a detector's weight file, for machines that may not have it; None for one that ships.

    Raises InputError if the weights are not here either.
    """
    return _resnet_weights() if name == "retinaface" else None


def adopt_weights(content: bytes | None) -> None:
    """Use these weights in this process in place of a file; None: those of the file."""
    _ADOPTED[:] = [] if content is None else [content]
    detector.cache_clear()


def _resnet_weights() -> bytes:
    if _ADOPTED:
        return _ADOPTED[0]
    cache = Path(os.environ.get("DEEPFACE_HOME", str(home())))
    weights = Path(os.environ.get(RESNET_WEIGHTS) or cache / ".deepface" / "weights" / "retinaface.onnx")
    if not weights.is_file():
        raise InputError(
            f"{weights}: no such file; expected the weights of the retina-face package. Fetch retinaface.onnx from "
            f"https://github.com/serengil/deepface_models/releases/tag/v1.0 once (another place: {RESNET_WEIGHTS}), "
            "or use detector 'retinaface-mobile'"
        )
    return weights.read_bytes()


def _resnet(min_score: float, threads: int) -> Detector:
    weights = _resnet_weights()
    # The package would otherwise choose the first deep-learning library it finds and load it into this process.
    os.environ["DEEPFACE_BACKEND_ENGINE"] = "onnx"
    from retinaface import RetinaFace
    from retinaface.commons.preprocess import preprocess_image
    from retinaface.model.retinaface_onnx_model import RetinaFace as Model

    model = Model(onnx_session(weights, threads))
    names = ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")

    def faces_of(bgr: np.ndarray, outputs: list[np.ndarray]) -> list[Face]:
        # The package reads the outputs for one picture: it gets those that the network gave for this one.
        found = RetinaFace.detect_faces(bgr, threshold=min_score, model=lambda _: outputs, allow_upscaling=False)
        faces = [
            Face(
                np.array(face["facial_area"], dtype=np.float32),
                np.array([face["landmarks"][name] for name in names], dtype=np.float32),
                float(face["score"]),
            )
            for face in found.values()
        ]
        return sorted(faces, key=lambda face: -face.score)

    def found_in(pictures: Sequence[np.ndarray]) -> list[list[Face]]:
        bgrs = [np.ascontiguousarray(rgb[:, :, ::-1]) for rgb in pictures]
        outputs = model(np.concatenate([preprocess_image(bgr, False)[0] for bgr in bgrs]))
        return [faces_of(bgr, [output[n : n + 1] for output in outputs]) for n, bgr in enumerate(bgrs)]

    return _batched(found_in)


DETECTORS: Mapping[str, Callable[[float, int], Detector]] = {"retinaface-mobile": _mobile, "retinaface": _resnet}
