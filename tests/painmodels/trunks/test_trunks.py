"""Frozen trunks: the published numbers, the published outputs, and that frozen means frozen."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data
from torchvision.models import VisionTransformer

from painmodels.trunks.alexnet import FEW, pooled
from painmodels.trunks.mini_xception import CLASSES, SHIPPED, MiniXception, read_hdf5
from painmodels.trunks.pixels import PixelConv
from painmodels.trunks.trunk import (
    BACKBONES,
    SCALINGS,
    head_start,
    load_trunk,
    scaled,
    trunk_fingerprint,
    trunk_from_shared,
)

GOLDEN = Path(__file__).parent / "golden" / "mini_xception_keras.npz"


def crops(n: int, *, seed: int = 0) -> np.ndarray:
    """Smooth made-up pictures, uint8 (n, 227, 227, 3)."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[0:227, 0:227] / 227
    waves = rng.uniform(2, 20, (n, 3, 2))
    field = np.sin(waves[:, :, :1, None] * row) * np.cos(waves[:, :, 1:, None] * column)
    return np.moveaxis((field * 127 + 128).astype(np.uint8), 1, 3)


@pytest.fixture(scope="module")
def published() -> MiniXception:
    network = MiniXception()
    network.load_state_dict(read_hdf5(SHIPPED), strict=False)
    return network.eval()


@pytest.mark.parametrize("name", BACKBONES)
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        network = BACKBONES[name].build()
        assert sum(p.numel() for p in network.parameters()) == BACKBONES[name].parameters


def test_the_counts_of_the_paper_and_of_the_published_network() -> None:
    assert BACKBONES["alexnet-table1"].parameters == 58_289_538
    assert BACKBONES["alexnet-fer-bn"].parameters == 56_916_039
    assert BACKBONES["mini-xception-fer"].parameters == 56_951


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_obeys_its_contract(name: str) -> None:
    entry = BACKBONES[name]
    with torch.device("meta"):  # shapes without arithmetic
        network = entry.build().eval()
        for scaling in entry.scalings:
            x = torch.empty((2, 1, 64, 64) if SCALINGS[scaling] is None else (2, 3, 227, 227))
            assert entry.trunk(network, x).shape == (2, entry.feature_size)
            side = getattr(network, "image_size", 227)
            assert network(x[..., :side, :side]).ndim == 2


def test_the_vision_transformer_gives_what_torchvision_feeds_its_head() -> None:
    small = VisionTransformer(image_size=224, patch_size=16, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32).eval()
    x = scaled(torch.from_numpy(crops(2)), "imagenet").contiguous()
    with torch.inference_mode():
        found = BACKBONES["vit_b_16"].trunk(small, x)
        expected, given = small(x[..., 1:225, 1:225]), small.heads(found)
    torch.testing.assert_close(given, expected)


def test_the_shipped_weights_are_the_recorded_file() -> None:
    record = (SHIPPED.parent / "PROVENANCE.md").read_text()
    assert hashlib.sha256(SHIPPED.read_bytes()).hexdigest() in record


def test_mini_xception_gives_what_keras_gives(published: MiniXception) -> None:
    row, column = np.mgrid[0:64, 0:64]
    pictures = np.stack([np.sin(row / 5 + k) * np.cos(column / (7 + k)) for k in range(2)]).astype(np.float32)
    x = torch.from_numpy(pictures)[:, None]
    golden = np.load(GOLDEN)
    with torch.inference_mode():
        last_map = published.trunk(x).reshape(2, 128, 4, 4).permute(0, 2, 3, 1).numpy()
        probability = published(x).softmax(1).numpy()
    np.testing.assert_allclose(last_map, golden["map_BHWC"], atol=1e-4)
    np.testing.assert_allclose(probability, golden["probability"], atol=1e-4)


def test_a_smiling_face_is_happy(published: MiniXception) -> None:
    face = torch.from_numpy(data.astronaut()[70:180, 168:278].copy()).permute(2, 0, 1)[None].float()
    crop = torch.nn.functional.interpolate(face, (227, 227), mode="bilinear").byte().permute(0, 2, 3, 1)
    with torch.inference_mode():
        probability = published(scaled(crop, "grey64")).softmax(1)[0]
    assert CLASSES[int(probability.argmax())] == "happy"
    assert probability.max() > 0.9


def test_the_trunk_is_the_published_network_up_to_its_head(published: MiniXception) -> None:
    pictures = crops(5)
    features = load_trunk("mini-xception-fer")(pictures)
    with torch.inference_mode():
        expected = published.trunk(scaled(torch.from_numpy(pictures), "grey64")).numpy()
    assert features.dtype == np.float16
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)  # float16 keeps eleven bits


def test_a_frame_does_not_depend_on_its_batch_nor_on_what_came_before() -> None:
    trunk = load_trunk("mini-xception-fer")
    pictures = crops(9)
    before = {k: v.clone() for k, v in trunk.network.state_dict().items()}
    together = trunk(pictures)
    alone = np.concatenate([trunk(pictures[i : i + 1]) for i in range(9)])
    np.testing.assert_allclose(together, alone, rtol=2e-3, atol=1e-4)
    assert all(torch.equal(v, before[k]) for k, v in trunk.network.state_dict().items())


def test_frozen_batchnorm_statistics_stay_as_they_are() -> None:
    trunk = load_trunk("mobilenet_v2", random=True)  # keeps its BatchNorm layers
    first = trunk(crops(4))
    norms = [m for m in trunk.network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    for _ in range(3):
        trunk(crops(4, seed=1))
    assert all(bool((m.running_mean == 0).all() and (m.running_var == 1).all()) for m in norms)
    np.testing.assert_array_equal(trunk(crops(4)), first)


def test_the_fingerprint_is_known_without_building_and_tells_trunks_apart() -> None:
    trunk = load_trunk("mini-xception-fer")
    assert trunk.fingerprint == trunk_fingerprint("mini-xception-fer")
    assert len(trunk.fingerprint) == 12
    assert int(trunk.fingerprint, 16) >= 0
    others = {
        trunk.fingerprint,
        trunk_fingerprint("mini-xception-fer", precision="bfloat16"),
        trunk_fingerprint("mini-xception-fer", random=True),
        trunk_fingerprint("mini-xception-fer", random=True, seed=1),
        trunk_fingerprint("alexnet-table1", random=True),
        trunk_fingerprint("alexnet-table1", random=True, scaling="caffe"),
    }
    assert len(others) == 6


def test_the_fingerprint_of_the_shipped_trunk_is_pinned() -> None:
    """A change here makes every stored activation stale: raise its version on purpose, never by accident."""
    assert trunk_fingerprint("mini-xception-fer") == "0ad65f434db0"


def test_random_weights_say_so_repeat_and_leave_the_generator_alone() -> None:
    state = torch.get_rng_state()
    one = load_trunk("mini-xception-fer", random=True, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert "RANDOM WEIGHTS" in one.provenance
    np.testing.assert_array_equal(one(crops(2)), load_trunk("mini-xception-fer", random=True, seed=3)(crops(2)))
    assert np.abs(one(crops(2)) - load_trunk("mini-xception-fer", random=True, seed=4)(crops(2))).max() > 0.01


def test_random_table1_keeps_activations_of_useful_size() -> None:
    features = load_trunk("alexnet-table1", random=True)(crops(2))
    assert features.shape == (2, 4096)
    assert 0.01 < features.astype(np.float32).std() < 100
    assert (features >= 0).all()


def test_alexnet_gives_the_same_for_one_frame_and_for_many() -> None:
    """Few frames take another path through FC-6."""
    trunk = load_trunk("alexnet-fer-bn", random=True)
    pictures = crops(FEW)
    together = trunk(pictures).astype(np.float32)
    alone = np.concatenate([trunk(picture[None]) for picture in pictures[:3]]).astype(np.float32)
    np.testing.assert_allclose(together[:3], alone, rtol=2e-3, atol=2e-3)


def test_bfloat16_is_close() -> None:
    exact, quick = (load_trunk("mini-xception-fer", precision=p)(crops(4)).astype(float) for p in ("float32", "bfloat16"))
    assert np.abs(exact - quick).mean() < 0.03 * np.abs(exact).mean()


@pytest.mark.slow
@pytest.mark.parametrize("scaling", ["unit", "caffe"])
def test_bfloat16_of_alexnet_is_within_one_percent_and_shared_bit_by_bit(scaling: str) -> None:
    exact = load_trunk("alexnet-fer-bn", random=True, scaling=scaling)
    quick = load_trunk("alexnet-fer-bn", random=True, scaling=scaling, precision="bfloat16")
    a, b = exact(crops(4)).astype(float), quick(crops(4)).astype(float)
    assert np.linalg.norm(a - b) < 0.01 * np.linalg.norm(a)
    other = trunk_from_shared("alexnet-fer-bn", quick.shared(), scaling=scaling, precision="bfloat16")
    assert other(crops(4)).tobytes() == quick(crops(4)).tobytes()


@pytest.mark.parametrize("scaling", ["unit", "caffe"])
@pytest.mark.parametrize("size", [(227, 227), (61, 72)])
def test_pixels_through_the_first_convolution_need_no_scaling(scaling: str, size: tuple[int, int]) -> None:
    conv = torch.nn.Conv2d(3, 8, 11, stride=4)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8))
    with torch.no_grad():
        expected, found = conv(scaled(pixels, scaling)), PixelConv(conv, *SCALINGS[scaling])(pixels)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [55, 27, 13, 6])
def test_pooling_of_a_frozen_network_is_that_of_any(dtype: torch.dtype, size: int) -> None:
    x_BCYX = torch.randn(2, 8, size, size, generator=torch.Generator().manual_seed(0)).to(dtype)
    x_BCYX[0, 0] -= 10  # a whole map below 0
    x_BCYX = x_BCYX.contiguous(memory_format=torch.channels_last)
    before = x_BCYX.clone()
    expected = torch.relu(torch.nn.functional.max_pool2d(x_BCYX, 3, stride=2))
    assert torch.equal(pooled(x_BCYX), expected)
    assert torch.equal(x_BCYX, before)


def test_a_gpu_may_not_round_the_products_of_a_float32_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    trunk, allowed = load_trunk("mini-xception-fer"), []
    features = trunk.features

    def noted(pixels: torch.Tensor) -> torch.Tensor:
        allowed.append((torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32))
        return features(pixels)

    monkeypatch.setattr(trunk, "features", noted)
    trunk(crops(1))
    assert allowed == [(False, False)]


def test_a_feature_that_does_not_fit_is_an_error() -> None:
    trunk = load_trunk("alexnet-table1", random=True)
    trunk.network.fc6.bias.fill_(1e6)
    with pytest.raises(ValueError, match="a feature does not fit float16"):
        trunk(crops(2))


def test_read_only_crops_and_no_crops() -> None:
    trunk, pictures = load_trunk("mini-xception-fer"), crops(2)
    expected = trunk(pictures)
    pictures.flags.writeable = False
    np.testing.assert_array_equal(trunk(pictures), expected)
    assert trunk(pictures[:0]).shape == (0, 2048)


@pytest.mark.parametrize("bad", [np.zeros((1, 227, 227, 3), np.float32), np.zeros((1, 64, 64, 3), np.uint8)])
def test_wrong_crops_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(B, 227, 227, 3\)"):
        load_trunk("mini-xception-fer")(bad)


def test_scalings_are_those_of_the_sources() -> None:
    pixel = torch.full((1, 227, 227, 3), 255, dtype=torch.uint8)
    assert torch.allclose(scaled(pixel, "unit"), torch.ones(1))
    assert torch.allclose(scaled(pixel, "grey64"), torch.ones(1), atol=1e-5)
    assert torch.allclose(scaled(pixel, "caffe")[0, :, 0, 0], 255 - torch.tensor([131.09375, 103.88607788, 91.47599792]))
    assert torch.allclose(scaled(pixel, "imagenet")[0, 0, 0, 0], torch.tensor((1 - 0.485) / 0.229))


def test_a_backbone_without_fc7_starts_its_head_at_random() -> None:
    assert head_start("mini-xception-fer") == {}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_gives_the_same_features() -> None:
    trunk = load_trunk("mini-xception-fer")
    np.testing.assert_allclose(trunk(crops(4), device="cuda"), trunk(crops(4)), rtol=0.02, atol=0.02)
