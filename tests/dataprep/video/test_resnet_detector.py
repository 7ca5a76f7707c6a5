"""The path of the `retina-face` package's detector, run for real on a network with its inputs and outputs and known answers.

The package's weights are not here: what they find is tested in test_detectors.py where they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from dataprep import faces
from dataprep.records import InputError
from dataprep.video import retinaface
from dataprep.video.decode import Frame
from dataprep.video.face_tracking import FaceSettings, Follower
from dataprep.video.retinaface import Detector, Face, detector

STRIDES = (32, 16, 8)
BLOCK = 32  # pixels of the picture that is looked at: the coarsest stride, the one that answers


def bright_square_net(path: Path) -> None:
    """A network that sees a face of 256 pixels wherever a block of 32 is bright: (N, H, W, 3) to the package's nine outputs."""
    nodes, weights, outputs = [], [], []

    def constant(name: str, value: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(value, name))
        return name

    nodes.append(helper.make_node("Transpose", ["input"], ["nchw"], perm=[0, 3, 1, 2]))
    for stride in STRIDES:
        name = f"s{stride}"
        # the mean brightness of each block; anchors of the other strides never answer
        kernel = np.full((1, 3, stride, stride), 1 / (3 * stride * stride), np.float32)
        nodes.append(
            helper.make_node("Conv", ["nchw", constant(f"{name}_k", kernel)], [f"{name}_mean"], strides=[stride] * 2)
        )
        shift = 160.0 if stride == 32 else 1000.0
        nodes.append(helper.make_node("Sub", [f"{name}_mean", constant(f"{name}_b", np.float32(shift))], [f"{name}_off"]))
        nodes.append(helper.make_node("Sigmoid", [f"{name}_off"], [f"{name}_face"]))
        zero = constant(f"{name}_z", np.float32(0))
        nodes.append(helper.make_node("Mul", [f"{name}_face", zero], [f"{name}_none"]))
        # channels: background of two anchors, face of two anchors, of which the second, the smaller one, answers
        parts = [f"{name}_none", f"{name}_none", f"{name}_none", f"{name}_face"]
        for kind, count in (("cls_prob", 4), ("bbox_pred", 8), ("landmark_pred", 20)):
            fed = parts if kind == "cls_prob" else [f"{name}_none"] * count
            nodes.append(helper.make_node("Concat", fed, [f"{name}_{kind}_nchw"], axis=1))
            nodes.append(
                helper.make_node("Transpose", [f"{name}_{kind}_nchw"], [f"{kind}_stride{stride}"], perm=[0, 2, 3, 1])
            )
            outputs.append(
                helper.make_tensor_value_info(f"{kind}_stride{stride}", TensorProto.FLOAT, ["N", None, None, count])
            )
    taken = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", "H", "W", 3])]
    graph = helper.make_graph(nodes, "bright-squares", taken, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)


@pytest.fixture
def detect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Detector]:
    bright_square_net(tmp_path / "standin.onnx")
    monkeypatch.setenv(retinaface.RESNET_WEIGHTS, str(tmp_path / "standin.onnx"))
    detector.cache_clear()
    yield detector("retinaface", min_score=0.6)
    detector.cache_clear()


def picture(height: int, width: int, *, x: int, y: int, side: int) -> np.ndarray:
    rgb = np.full((height, width, 3), 40, np.uint8)
    rgb[y : y + side, x : x + side] = 220
    return rgb


def test_an_anchor_is_a_box_in_the_pixels_of_the_picture(detect: Detector) -> None:
    ((face,),) = detect([picture(256, 320, x=96, y=64, side=32)])
    # the anchor of the block: (-120, -120, 135, 135) around (96, 64), cut at the edge
    np.testing.assert_allclose(face.box_4, [0, 0, 96 + 135, 64 + 135])
    np.testing.assert_allclose(face.landmarks_52, np.tile([96 + 7.5, 64 + 7.5], (5, 1)))
    assert face.score == pytest.approx(1, abs=1e-3)
    assert detect([np.full((256, 320, 3), 40, np.uint8)]) == [[]]


def test_weights_travel_to_a_process_that_has_no_file(detect: Detector, tmp_path: Path) -> None:
    rgb = picture(256, 320, x=96, y=64, side=32)
    ((here,),) = detect([rgb])
    content = retinaface.weights_to_carry("retinaface")
    assert content is not None
    assert retinaface.weights_to_carry("retinaface-mobile") is None
    (tmp_path / "standin.onnx").unlink()
    detector.cache_clear()
    with pytest.raises(InputError, match=r"standin\.onnx"):
        detector("retinaface", min_score=0.6)
    retinaface.adopt_weights(content)
    try:
        ((there,),) = detector("retinaface", min_score=0.6)([rgb])
    finally:
        retinaface.adopt_weights(None)
    np.testing.assert_array_equal(here.box_4, there.box_4)


def test_faces_come_best_first_and_once_each(detect: Detector) -> None:
    rgb = picture(320, 960, x=64, y=128, side=64)  # four blocks of one face
    rgb[128:160, 800:832] = 162  # and a fainter one
    (found,) = detect([rgb])
    assert len(found) == 2
    assert found[0].score > found[1].score > 0.6
    assert found[0].box_4[0] < 320 < found[1].box_4[0]


def test_pictures_of_one_shape_go_through_the_network_together(detect: Detector) -> None:
    places = [(32, 32), (96, 64), (160, 160)]
    pictures = [picture(256, 320, x=x, y=y, side=32) for x, y in places]
    pictures.insert(1, picture(320, 320, x=64, y=64, side=32))
    together = detect(pictures)
    for found, alone in zip(together, (detect([p])[0] for p in pictures), strict=True):
        assert len(found) == len(alone) == 1
        np.testing.assert_array_equal(found[0].box_4, alone[0].box_4)


def test_a_shrunk_picture_gives_boxes_in_full_pixels(detect: Detector) -> None:
    """Through the follower, as a video does: the whole picture is searched at `work_px`, then a window around the face."""
    looked_at: list[tuple[int, ...]] = []

    def spied(pictures: Sequence[np.ndarray]) -> list[list[Face]]:
        looked_at.extend(rgb.shape for rgb in pictures)
        return detect(pictures)

    rgb = picture(1024, 1280, x=480, y=320, side=320)  # its centre is (640, 480)
    settings = FaceSettings(detector="retinaface", work_px=256, near_px=256)
    follower = Follower(spied, settings, rate_hz=25, name="made up")
    assert len(list(follower.run(Frame(t / 25, (rgb,), None) for t in range(30)))) == 30
    boxes_T4 = follower.track().boxes_T4
    assert looked_at[0] == (256, 320, 3)
    assert max(max(shape) for shape in looked_at) <= 320
    centre = (boxes_T4[:, :2] + boxes_T4[:, 2:]) / 2
    np.testing.assert_allclose(centre, np.tile([640, 480], (30, 1)), atol=BLOCK * 1024 / 256)
    np.testing.assert_allclose(boxes_T4, np.tile(boxes_T4[0], (30, 1)), atol=1)


def test_a_video_is_prepared_with_it(detect: Detector, tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for t in range(25):
            rgb = picture(480, 640, x=200 + 4 * t, y=150, side=160)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    chunks: list[np.ndarray] = []
    track = faces.prepare_video(clip, FaceSettings(detector="retinaface"), n_steps=25, on_crops=chunks.append)
    assert len(np.concatenate(chunks)) == 25
    assert track.scores_T.min() > 0.6
    assert (track.n_faces_T == 1).all()


def test_a_gpu_is_used_where_onnxruntime_offers_one() -> None:
    offered = ort.get_available_providers()
    expected = (
        ["CUDAExecutionProvider", "CPUExecutionProvider"] if "CUDAExecutionProvider" in offered else ["CPUExecutionProvider"]
    )
    assert retinaface.providers() == expected
