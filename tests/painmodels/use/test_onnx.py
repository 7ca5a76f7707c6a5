"""ONNX files: any number of recordings at once, what they are in their metadata, and nothing but onnxruntime and numpy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from dataprep import faces
from dataprep.signals.files import read_table
from dataprep.video.retinaface import onnx_session
from painmodels.export import from_run
from painmodels.export import main as export
from painmodels.use.model import Model

ALONE = """
import json, sys
from pathlib import Path
import numpy as np
import onnxruntime

folder = Path(sys.argv[1])
given = np.load(folder / "given.npz")
one = onnxruntime.SessionOptions()
one.intra_op_num_threads = 1  # others would turn in circles while they wait, on processors that tests share
run = {p.stem: onnxruntime.InferenceSession(p, one) for p in folder.glob("*.onnx")}
about = run["network"].get_modelmeta().custom_metadata_map
channels, n_steps = json.loads(about["channels"]), int(about["n_steps"])
(signals,) = run["signals"].run(None, {c: given[c] for c in channels})
features = [run["trunk"].run(None, {"crops": crops})[0] for crops in given["crops"]]
video = np.stack(features).astype(np.float16).astype(np.float32)
mask = np.ones((len(video), n_steps), np.float32)
names = [o.name for o in run["network"].get_outputs()]
out = dict(zip(names, run["network"].run(None, {"video": video, "mask": mask, "signals": signals})))
assert not {"torch", "scipy", "painmodels", "dataprep", "cv2"} & set(sys.modules)
print(json.dumps({"p": (1 - out["p"][:, 0]).tolist(), "usable": out["usable"].tolist()}))
"""


@pytest.fixture(scope="module")
def model(tiny_grid: Path) -> Model:
    return from_run(tiny_grid, "eda+ecg+video/expressive67/fold0")


@pytest.fixture(scope="module")
def folder(tiny_grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("onnx") / "model"
    cell = "eda+ecg+video/expressive67/fold0"
    assert export(["--run", str(tiny_grid), "--cell", cell, "--to", str(to), "--onnx"]) == 0
    return to


def recordings(data: Path) -> list[dict[str, Path]]:
    return [
        {"video": v, "signals": data / "biosignals_filtered" / v.parent.name / f"{v.stem}_bio.csv"}
        for v in sorted((data / "video").rglob("*.mp4"))
    ]


def samples(path: Path) -> dict[str, np.ndarray]:
    table = read_table(path, columns=("gsr", "ecg"))
    return {"eda": table["gsr"][:2807], "ecg": table["ecg"][:2807]}


@pytest.mark.slow
def test_all_recordings_at_once_from_their_own_rate_with_onnxruntime_and_numpy_alone(
    model: Model, folder: Path, tiny_data: Path, tmp_path: Path
) -> None:
    clips = recordings(tiny_data)[:4]
    crops = []
    for clip in clips:
        chunks: list[np.ndarray] = []
        faces.prepare_video(clip["video"], model.face_settings, n_steps=model.n_steps, on_crops=chunks.append)
        crops.append(np.concatenate(chunks))
    signals = [samples(clip["signals"]) for clip in clips]
    stacked = {c: np.stack([s[c] for s in signals]) for c in model.channels}
    for path in folder.glob("*.onnx"):
        (tmp_path / path.name).symlink_to(path)
    np.savez(tmp_path / "given.npz", crops=np.stack(crops), **stacked)
    run = subprocess.run([sys.executable, "-c", ALONE, str(tmp_path)], capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["usable"] == [True] * 4
    assert found["p"] == pytest.approx([model.predict(**clip).p_pain for clip in clips], abs=1e-4)


def test_bad_samples_at_their_own_rate_are_not_usable(model: Model, folder: Path, tiny_data: Path) -> None:
    good = samples(recordings(tiny_data)[0]["signals"])
    session = onnx_session(folder / "signals.onnx", 1)

    def given(channel: str, at: slice, value: float) -> dict[str, np.ndarray]:
        x = good[channel].copy()
        x[at] = value
        return {**good, channel: x}

    bad = [
        good,
        given("eda", slice(1500, 1501), np.nan),
        given("ecg", slice(2000, 2001), np.inf),
        given("eda", slice(None), 0.3),
        given("ecg", slice(1024, None), 2.0),  # flat in what the scenario uses
        given("eda", slice(1600, 1601), 1e39),
        given("eda", slice(0, 100), 5.0),
    ]
    (found,) = session.run(None, {c: np.stack([x[c] for x in bad]) for c in model.channels})
    usable = np.isfinite(found).all((1, 2))
    assert usable.tolist() == [True, False, False, False, False, False, True]
    np.testing.assert_allclose(found[0], model.signals(recordings(tiny_data)[0]["signals"]), rtol=1e-5, atol=1e-5)


def test_each_file_says_what_it_is(model: Model, folder: Path) -> None:
    for name in ("network", "trunk", "signals"):
        said = onnx_session(folder / f"{name}.onnx", 1).get_modelmeta().custom_metadata_map
        assert json.loads(said["classes"]) == ["BL1", "PA4"]
        assert json.loads(said["channels"]) == ["eda", "ecg"]
        assert (said["clock_hz"], said["n_steps"]) == ("25", "138")
        assert "min-max of each recording over steps 50 to 137" in said["scaling"]
        assert json.loads(said["rates_hz"]) == {"eda": 512.0, "ecg": 512.0}
        assert json.loads(said["low_pass"])["corner_hz"] == 10.0
        assert json.loads(said["crops"])["colours"] == "RGB"
        assert "not a medical device" in said["use"]
        assert "synthetic" in said["trained_on"]


def test_grey_is_made_by_a_convolution_and_not_by_a_matrix_product(folder: Path) -> None:
    nodes = onnx.load(folder / "trunk.onnx").graph.node
    assert "MatMul" not in {node.op_type for node in nodes}
    assert next(node.op_type for node in nodes if node.op_type in ("Conv", "Resize")) == "Conv"


def test_another_rate_and_none(tiny_grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    arguments = ["--run", str(tiny_grid), "--cell", "eda/all87/fold0", "--to", str(tmp_path), "--onnx"]
    assert export([*arguments, "--rate", "eda=100"]) == 0
    (given,) = onnx_session(tmp_path / "signals.onnx", 1).get_inputs()
    assert given.shape[1] == 549
    assert isinstance(given.shape[0], str)
    capsys.readouterr()
    for rate, message in (("eda", "expected CHANNEL=HZ"), ("eda=0", "found 0.0 for eda"), ("eda=x", "expected CHANNEL=HZ")):
        assert export([*arguments, "--rate", rate]) == 2
        assert message in capsys.readouterr().err
