"""What every face detector has to do. One whose weights are not here is skipped, with the reason."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage import data

from dataprep.records import InputError
from dataprep.video.retinaface import DETECTORS, Detector, Face, detector, overlap

FACE_4 = np.array([174, 73, 266, 201], dtype=np.float32)  # of the photograph, by eye


@pytest.fixture(params=list(DETECTORS))
def detect(request: pytest.FixtureRequest) -> Detector:
    try:
        return detector(request.param, min_score=0.6)
    except InputError as error:
        pytest.skip(str(error))


def found(detect: Detector, rgb: np.ndarray) -> list[Face]:
    (faces,) = detect([rgb])
    assert all(f.box_4.shape == (4,) and f.landmarks_52.shape == (5, 2) and 0.6 <= f.score <= 1 for f in faces)
    assert [f.score for f in faces] == sorted((f.score for f in faces), reverse=True)
    return faces


def test_a_face_is_found_where_it_is(detect: Detector) -> None:
    (face,) = found(detect, data.astronaut())
    assert overlap(FACE_4, face.box_4) > 0.6
    eyes, nose, mouth = face.landmarks_52[:2], face.landmarks_52[2], face.landmarks_52[3:]
    assert eyes[0, 0] < nose[0] < eyes[1, 0]
    assert eyes[:, 1].max() < nose[1] < mouth[:, 1].min()


def test_small_pictures_are_enough_and_boxes_scale_with_them(detect: Detector) -> None:
    (face,) = found(detect, cv2.resize(data.astronaut(), (160, 160), interpolation=cv2.INTER_AREA))
    assert overlap(FACE_4 * (160 / 512), face.box_4) > 0.5


def test_pictures_together_give_what_each_gives_alone(detect: Detector) -> None:
    portrait = data.astronaut()[:300, 80:380]
    pictures = [portrait, np.full((240, 320, 3), 90, np.uint8), np.ascontiguousarray(portrait[:, ::-1]), data.astronaut()]
    together = detect(pictures)
    assert [len(faces) for faces in together] == [1, 0, 1, 1]
    for faces, picture in zip(together, pictures, strict=True):
        for one, alone in zip(faces, found(detect, picture), strict=True):
            np.testing.assert_allclose(one.box_4, alone.box_4, atol=0.5)
            assert one.score == pytest.approx(alone.score, abs=1e-3)
    assert detect([]) == []


def test_two_faces_are_two_and_no_face_is_none(detect: Detector) -> None:
    portrait = data.astronaut()[:300, 80:380]
    assert len(found(detect, np.concatenate([portrait, portrait], axis=1))) == 2
    assert found(detect, np.full((240, 320, 3), 90, np.uint8)) == []


def test_another_place_of_the_weights_is_taken_and_named_if_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAIN_GRID_RETINAFACE", str(tmp_path / "mine.onnx"))
    detector.cache_clear()
    with pytest.raises(InputError, match=r"mine\.onnx: no such file.*PAIN_GRID_RETINAFACE.*retinaface-mobile"):
        detector("retinaface", min_score=0.6)
