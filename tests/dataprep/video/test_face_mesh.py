"""The face mesh: the shipped network is the published one, and its points lie on the face, however the head is turned."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

import dataprep
from dataprep.faces import Steps, follow
from dataprep.recordings import recording
from dataprep.video.decode import Frame
from dataprep.video.face_mesh import mesh
from dataprep.video.face_settings import FaceSettings
from dataprep.video.retinaface import detector, onnx_session

WEIGHTS = Path(dataprep.__file__).parent / "weights"
RIGHT_EYE, LEFT_EYE, MOUTH_RIGHT, MOUTH_LEFT, CHIN = (33, 133), (362, 263), 61, 291, 152


@cache
def portrait() -> np.ndarray:
    return np.ascontiguousarray(skimage.data.astronaut()[:300, 70:380])


def turned(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """The portrait turned about its face, and the map (2, 3) of its pixels."""
    to = cv2.getRotationMatrix2D((155.0, 118.0), degrees, 1.0)
    return cv2.warpAffine(portrait(), to, portrait().shape[1::-1], borderMode=cv2.BORDER_REPLICATE), to


def found(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (468, 3) and detected landmarks (5, 2) of a picture."""
    ((face, *_),) = detector("retinaface-mobile", min_score=0.5)([picture])
    state = np.concatenate([face.box_4, face.landmarks_52.ravel(), [face.score]]).astype(np.float32)
    return mesh()(Frame(0.0, (picture,), None), state), face.landmarks_52


def test_weights_are_those_whose_provenance_is_told() -> None:
    told = (WEIGHTS / "PROVENANCE.md").read_text()
    for name, sha256 in re.findall(r"^\| (\S+\.onnx) .* ([0-9a-f]{64}) \|$", told, flags=re.M):
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == sha256
        assert f"dataprep/weights/{name}" in (WEIGHTS.parent.parent / "NOTICE").read_text()
    assert {p.name for p in WEIGHTS.glob("*.onnx")} == set(re.findall(r"^\| (\S+\.onnx)", told, flags=re.M))
    assert "Apache License" in (WEIGHTS / "LICENSE.mediapipe").read_text()


def test_the_network_gives_what_litert_gives() -> None:
    golden = np.load(Path(__file__).parent / "golden" / "face_mesh_litert.npz")
    picture = (skimage.data.astronaut()[22:214, 129:321] / np.float32(255)).astype(np.float32)
    points, presence = onnx_session(WEIGHTS / "face_mesh.onnx", 1).run(None, {"input": picture.transpose(2, 0, 1)[None]})
    np.testing.assert_allclose(points[0], golden["points"], atol=1e-3)
    np.testing.assert_allclose(presence[0], golden["presence"], atol=1e-3)
    assert presence[0, 0] > 5


@pytest.mark.parametrize("degrees", [0, 25, -25])
def test_points_lie_on_the_eyes_and_the_mouth(degrees: float) -> None:
    points, landmarks = found(turned(degrees)[0])
    eyes_px = np.linalg.norm(landmarks[1] - landmarks[0])
    places = [points[list(RIGHT_EYE)].mean(0), points[list(LEFT_EYE)].mean(0), points[MOUTH_RIGHT], points[MOUTH_LEFT]]
    off = np.linalg.norm(np.array(places)[:, :2] - landmarks[[0, 1, 3, 4]], axis=-1)
    assert off.max() < 0.15 * eyes_px


def test_a_turned_face_has_the_turned_points() -> None:
    straight, _ = found(portrait())
    there, landmarks = found(turned(25)[0])
    to = turned(25)[1]
    expected = straight[:, :2] @ to[:, :2].T + to[:, 2]
    assert np.linalg.norm(there[:, :2] - expected, axis=-1).mean() < 0.05 * np.linalg.norm(landmarks[1] - landmarks[0])
    assert np.abs(there[:, 2] - straight[:, 2]).mean() < 3


def test_points_are_in_pixels_of_the_picture_depth_too() -> None:
    small, _ = found(portrait())
    large, _ = found(cv2.resize(portrait(), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    assert np.linalg.norm(large[:, :2] - 2 * small[:, :2], axis=-1).mean() < 4
    assert np.ptp(large[:, 2]) == pytest.approx(2 * np.ptp(small[:, 2]), rel=0.1)


def test_each_step_has_points_of_its_own_whatever_comes_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for k in range(6):
        cv2.imwrite(str(folder / f"{k:02d}.png"), turned(3 * k)[0][..., ::-1])
    (steps,) = follow(str(folder), FaceSettings(), frames_hz=25.0).steps(frames=True)
    kind = recording("mesh")
    assert kind.of_video
    assert kind.frames
    together = kind.of_video(None)(steps)
    assert together.shape == (6, 468, 3)
    assert together.dtype == np.float32
    take = kind.of_video(None)
    for k in range(6):
        part = slice(k, k + 1)
        alone = Steps(crops_BYXC=steps.crops_BYXC[part], states_B15=steps.states_B15[part], frames=steps.frames[part])
        np.testing.assert_array_equal(take(alone)[0], together[k])
    chin = together[:, CHIN, :2] - together[:, 10, :2]
    assert (np.diff(np.arctan2(chin[:, 1], chin[:, 0])) < 0).all()  # the head turns from frame to frame
