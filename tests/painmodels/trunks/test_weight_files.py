"""Importing published weight files: equal outputs, complete checks, and no code run from a file."""

from __future__ import annotations

import os
import pickle
import shutil
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from torch import nn

from painmodels.registry import network as subnetwork
from painmodels.training.loop import fit, outputs
from painmodels.trunks.trunk import BACKBONES, head_start, load_trunk, scaled, trunk_fingerprint
from painmodels.trunks.weight_cache import import_weights, read_weights
from painmodels.weights import main

pytestmark = pytest.mark.slow

NAME = "alexnet-fer-bn"


def reference() -> nn.Sequential:
    """The published network, written down layer by layer as its authors list it, with random weights."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()

    def add(k: int, layer: nn.Module, width: int, pool: bool = False) -> None:
        layers[f"{'conv' if k < 6 else 'fc'}{k}"] = layer
        layers[f"bn{k}"] = nn.BatchNorm2d(width)
        layers[f"relu{k}"] = nn.ReLU()
        if pool:
            layers[f"pool{k}"] = nn.MaxPool2d(3, 2)

    add(1, nn.Conv2d(3, 96, 11, stride=4), 96, pool=True)
    add(2, nn.Conv2d(96, 256, 5, padding=2, groups=2), 256, pool=True)
    add(3, nn.Conv2d(256, 384, 3, padding=1), 384)
    add(4, nn.Conv2d(384, 384, 3, padding=1, groups=2), 384)
    add(5, nn.Conv2d(384, 256, 3, padding=1, groups=2), 256, pool=True)
    add(6, nn.Conv2d(256, 4096, 6), 4096)
    add(7, nn.Conv2d(4096, 4096, 1), 4096)
    layers["flatten"] = nn.Flatten()
    layers["fc8"] = nn.Linear(4096, 7)
    network = nn.Sequential(layers)
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1, generator=generator)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 2, generator=generator)  # type: ignore[union-attr]
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.uniform_(module.bias, -0.5, 0.5, generator=generator)
    return network.eval()


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return reference()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("weights")
    yield path
    shutil.rmtree(path)  # a file of 230 MB each


@pytest.fixture(scope="module")
def imported(network: nn.Sequential, folder: Path) -> Path:
    """The network saved as the authors' .pth, without BatchNorm's counters, and imported."""
    source = folder / "alexnet_face_fer_bn_dag.pth"
    torch.save({k: v for k, v in network.state_dict().items() if "num_batches" not in k}, source)
    return import_weights(source, NAME, out=folder / f"{NAME}.safetensors")


def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 227, 227, 3), dtype=np.uint8)


def outputs_differ(network: nn.Sequential, path: Path) -> float:
    """The largest difference between the logits of the reference and of our network with the imported weights."""
    ours = BACKBONES[NAME].build().eval()
    ours.load_state_dict(read_weights(NAME, path), strict=False)
    with torch.inference_mode():
        x = scaled(torch.from_numpy(pictures()), "caffe")
        expected = network(x)
        return float(((ours(x) - expected).abs() / expected.abs().max()).max())


def matlab(network: nn.Sequential) -> list[tuple[str, list[np.ndarray]]]:
    """Layer name -> arrays as MatConvNet stores them."""
    layers = []
    for name, module in network.named_children():
        if isinstance(module, nn.BatchNorm2d):
            moments = torch.stack([module.running_mean, torch.sqrt(module.running_var + 1e-5)], dim=1)  # type: ignore[arg-type,operator]
            layers.append(
                (name, [module.weight.detach().numpy()[:, None], module.bias.detach().numpy()[:, None], moments.numpy()])
            )
        elif isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.detach().reshape(*module.weight.shape[:2], *module.weight.shape[2:] or (1, 1))
            layers.append((name, [weight.permute(2, 3, 1, 0).numpy(), module.bias.detach().numpy()[:, None]]))  # type: ignore[union-attr]
        else:
            layers.append((name, []))
    return layers


def cell(items: list) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def test_a_pth_file_gives_the_outputs_of_its_network(network: nn.Sequential, imported: Path) -> None:
    assert sum(p.numel() for p in network.parameters()) == 56_916_039
    assert outputs_differ(network, imported) < 1e-5


def test_a_dagnn_mat_file_gives_the_outputs_of_its_network(network: nn.Sequential, folder: Path) -> None:
    layers, params = [], []
    for name, arrays in matlab(network):
        names = [f"{name}{suffix}" for suffix in ("f", "b", "x")[: len(arrays)]]
        params += [{"name": n, "value": v} for n, v in zip(names, arrays, strict=True)]
        layers.append({"name": name, "params": cell(names)})
    source = folder / "alexnet-face-fer-bn.mat"
    scipy.io.savemat(source, {"net": {"layers": cell(layers), "params": cell(params)}})
    assert outputs_differ(network, import_weights(source, NAME, out=folder / "dag.safetensors")) < 1e-5


def test_a_simplenn_mat_file_gives_the_outputs_of_its_network(network: nn.Sequential, folder: Path) -> None:
    layers = [{"name": name, "type": "x", "weights": cell(list(arrays))} for name, arrays in matlab(network)]
    source = folder / "simple.mat"
    scipy.io.savemat(source, {"layers": cell(layers), "meta": 1})
    assert outputs_differ(network, import_weights(source, NAME, out=folder / "simple.safetensors")) < 1e-5


def test_the_imported_trunk_is_the_network_up_to_fc6(
    network: nn.Sequential, imported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIN_GRID_WEIGHTS", str(imported.parent))
    trunk = load_trunk(NAME)
    with torch.inference_mode():
        x = scaled(torch.from_numpy(pictures()), "caffe")
        fc6 = network[: list(dict(network.named_children())).index("fc7")](x).flatten(1)
    np.testing.assert_allclose(trunk(pictures()), fc6.numpy(), rtol=2e-3, atol=2e-3)
    assert trunk.fingerprint == trunk_fingerprint(NAME, weights=imported)
    assert "alexnet_face_fer_bn_dag.pth" in trunk.provenance
    # the trained head starts from the pre-trained FC-7, its BatchNorm folded in
    start = head_start(NAME)
    with torch.inference_mode():
        fc7 = network[: list(dict(network.named_children())).index("fc8")](x)
    ours = np.maximum(fc6.numpy() @ start["fc7.weight"].T + start["fc7.bias"], 0)
    np.testing.assert_allclose(ours, fc7.numpy(), rtol=1e-4, atol=1e-4)
    # or with the BatchNorm behind it, which training leaves as it is
    spatial = subnetwork("spatial", "fc7")
    frames = fc6.numpy()[:, None]
    labels = np.arange(len(frames)) % 2
    for epochs in (0, 1):
        settings = spatial.settings(fc7="frozen-bn", epochs=epochs, lr=1e-3)
        fitted = fit(spatial, settings, [frames], labels, seed=0, initial=head_start(NAME, fold=False))
        same = {k: np.array_equal(fitted.weights[k], v) for k, v in head_start(NAME, fold=False).items()}
        assert same == {k: k.startswith("bn7") or epochs == 0 for k in same}
        if epochs == 0:
            features = outputs(spatial, settings, fitted.weights, [frames], what="features")
            np.testing.assert_allclose(features[:, 0], fc7.numpy(), rtol=2e-3, atol=2e-3)


def test_the_weights_decide_the_fingerprint(tmp_path: Path) -> None:
    state = BACKBONES["mini-xception-fer"].build().state_dict()
    prints = []
    for k, change in enumerate((0, 0, 1)):
        source = tmp_path / f"{k}.pth"
        torch.save({"state_dict": {key: value + change for key, value in state.items()}}, source)
        path = import_weights(source, "mini-xception-fer", out=tmp_path / f"{k}.safetensors")
        prints.append(trunk_fingerprint("mini-xception-fer", weights=path))
        assert prints[-1] == load_trunk("mini-xception-fer", weights=path).fingerprint
    assert prints[0] == prints[1] != prints[2]


def test_wrong_tensors_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = BACKBONES["mini-xception-fer"].build().state_dict()
    state["head.bias"] = torch.zeros(8)
    state["extra"] = torch.zeros(1)
    state["conv2.weight"][0] = float("nan")
    del state["conv1.weight"]
    source = tmp_path / "broken.pth"
    torch.save(state, source)
    assert main(["import", str(source), "--as", "mini-xception-fer", "--out", str(tmp_path / "x.safetensors")]) == 2
    message = capsys.readouterr().err
    for part in (
        str(source),
        "missing conv1.weight (8, 1, 3, 3)",
        "unknown extra (1,)",
        "head.bias has shape (8,), expected (7,)",
        "conv2.weight holds values that are not finite",
    ):
        assert part in message
    assert not (tmp_path / "x.safetensors").exists()


def test_a_mat_file_of_another_network_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "other.mat"
    scipy.io.savemat(source, {"layers": cell([{"name": "conv1", "weights": cell([np.zeros((3, 3, 1, 8)), np.zeros(8)])}])})
    with pytest.raises(ValueError, match=r"conv1.weight has shape \(3, 3, 8\), expected \(96, 3, 11, 11\)"):
        import_weights(source, NAME, out=tmp_path / "x.safetensors")
    scipy.io.savemat(source, {"something": 1})
    with pytest.raises(ValueError, match="not a MatConvNet model"):
        import_weights(source, NAME, out=tmp_path / "x.safetensors")


class Malicious:
    """Unpickling an instance would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_a_file_that_would_run_code_is_refused(form: str, tmp_path: Path) -> None:
    source, trace = tmp_path / "weights.pth", tmp_path / "was-here"
    if form == "torch":
        torch.save({"conv1.weight": Malicious(trace)}, source)
    else:
        source.write_bytes(pickle.dumps(Malicious(trace)))
    with pytest.raises(ValueError, match="refused"):
        import_weights(source, NAME, out=tmp_path / "x.safetensors")
    assert not trace.exists()


@pytest.mark.parametrize("suffix", [".pth", ".mat", ".safetensors"])
def test_damaged_and_absent_files_are_named(suffix: str, tmp_path: Path) -> None:
    source = tmp_path / f"weights{suffix}"
    for content in (None, b"", b"not a weight file, just some text that is long enough to be read" * 9):
        if content is not None:
            source.write_bytes(content)
        with pytest.raises(ValueError, match=source.name):
            import_weights(source, NAME, out=tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_a_torch_file_given_as_weights_names_the_import_command(tmp_path: Path) -> None:
    source = tmp_path / "weights.pth"
    torch.save({}, source)
    with pytest.raises(ValueError, match=r"python -m painmodels\.weights import"):
        load_trunk(NAME, weights=source)
