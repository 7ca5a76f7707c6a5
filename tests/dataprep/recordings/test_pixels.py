"""The aligned face: one size, level eyes, wherever and however large it is in the picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from dataprep.faces import FaceSettings
from dataprep.recordings import recording
from dataprep.recordings.kind import Facts
from dataprep.recordings.pixels import SIDE, TEMPLATE_52, aligned, similarity
from dataprep.video.decode import Frame

LANDMARKS_52 = np.array([[203, 108], [246, 110], [225, 130], [206, 150], [244, 150]], np.float32)


def portrait(turn_degrees: float = 0.0, scale: float = 1.0) -> tuple[Frame, np.ndarray]:
    """The portrait of scikit-image, turned and scaled, and its landmarks."""
    picture = skimage.data.astronaut()
    matrix_23 = cv2.getRotationMatrix2D((225, 130), turn_degrees, scale)
    turned = cv2.warpAffine(picture, matrix_23, (512, 512), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    return Frame(0.0, (turned,), None), LANDMARKS_52 @ matrix_23[:, :2].T.astype(np.float32) + matrix_23[:, 2].astype(
        np.float32
    )


def test_landmarks_come_near_to_the_template() -> None:
    for frame, points_52 in (portrait(), portrait(25, 0.8), portrait(-40, 1.3)):
        matrix_23 = similarity(points_52)
        placed_52 = points_52 @ matrix_23[:, :2].T + matrix_23[:, 2]
        assert np.abs(placed_52 - TEMPLATE_52).max() < 8
        assert abs(placed_52[0, 1] - placed_52[1, 1]) < 3, "the eyes are level"
        face = aligned(frame, points_52)
        assert (face.shape, face.dtype) == ((SIDE, SIDE), np.uint8)


@pytest.mark.parametrize(("turn", "scale"), [(20, 1.0), (-35, 1.0), (0, 0.75), (0, 1.4), (15, 1.2)])
def test_a_turned_or_larger_face_gives_the_same_picture(turn: float, scale: float) -> None:
    plain, other = (aligned(*portrait(*how)).astype(int) for how in ((0.0, 1.0), (turn, scale)))
    assert np.abs(plain - other).mean() < 8
    assert np.abs(plain - np.roll(plain, 8, axis=0)).mean() > 12, "a shift of 8 pixels would show"


def test_a_face_at_the_edge_of_the_picture_is_filled_up() -> None:
    frame, points_52 = portrait()
    cut = Frame(0.0, (np.ascontiguousarray(frame.planes[0][:, 215:]),), None)
    assert aligned(cut, points_52 - np.array([215, 0], np.float32)).shape == (SIDE, SIDE)


def test_a_data_set_like_biovid_takes_six_gigabytes() -> None:
    size = recording("pixels").size(Facts(clock_hz=25.0, n_steps=138))
    assert 3480 * size == pytest.approx(6.0e9, rel=0.01)
    smaller = Facts(clock_hz=25.0, n_steps=138, faces=FaceSettings(pixels=56))
    assert recording("pixels").size(smaller) * 4 == size


def test_another_size_shows_the_same_face() -> None:
    whole, small = (aligned(*portrait(20), side).astype(int) for side in (SIDE, 56))
    assert np.abs(whole.reshape(56, 2, 56, 2).mean((1, 3)) - small).mean() < 3
    with pytest.raises(ValueError, match="pixels: found 8, expected 16 to 448"):
        FaceSettings(pixels=8)
