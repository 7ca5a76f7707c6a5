"""A trained row as a library: loaded by name, fed with files, lists or arrays, its errors in words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import painmodels
from dataprep.signals.files import read_table
from dataprep.video.decode import open_video
from painmodels.export import from_run
from painmodels.use.judgeable import NoEstimate

RATES = {"eda": 512, "ecg": 512}


@pytest.fixture(scope="module")
def folders(tiny_grid: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = {}
    for row in ("eda+ecg+video", "eda", "video"):
        folder = tmp_path_factory.mktemp("models") / row
        from_run(tiny_grid, f"{row}/expressive67/fold0").save(str(folder))
        out[row] = str(folder)
    return out


@pytest.fixture(scope="module")
def clips(tiny_data: Path) -> list[dict[str, str]]:
    found = []
    for video in sorted((tiny_data / "video").rglob("*.mp4"))[:3]:
        signals = tiny_data / "biosignals_filtered" / video.parent.name / f"{video.stem}_bio.csv"
        found.append({"video": str(video), "signals": str(signals)})
    return found


def in_memory(clip: dict[str, str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    frames = [f.window((0, 0, f.width, f.height), width=f.width, height=f.height) for f in open_video(clip["video"]).frames]
    table = read_table(Path(clip["signals"]), columns=("gsr", "ecg"))
    return np.stack(frames), {"eda": table["gsr"], "ecg": table["ecg"]}


def test_files_lists_and_arrays_give_the_same(folders: dict[str, str], clips: list[dict[str, str]]) -> None:
    model = painmodels.load(folders["eda+ecg+video"])
    one = model.predict(**clips[0])
    assert model.predict(video=Path(clips[0]["video"]), signals=Path(clips[0]["signals"])).p_pain == one.p_pain
    many = model.predict(video=[c["video"] for c in clips], signals=[c["signals"] for c in clips])
    assert [e.p_pain for e in many] == [model.predict(**c).p_pain for c in clips]
    frames, signals = in_memory(clips[0])
    found = model.predict_arrays(frames=frames, signals=signals, rates_hz=RATES)
    assert found.p_pain == pytest.approx(one.p_pain, abs=0.02)  # pixels went to RGB and back
    again = model.predict_arrays(frames=iter(frames), signals=signals, rates_hz={**RATES, "frames": 25})
    assert again.p_pain == found.p_pain


def test_arrays_of_other_rates_are_brought_to_the_clock(folders: dict[str, str], clips: list[dict[str, str]]) -> None:
    model = painmodels.load(folders["eda"])
    _, signals = in_memory(clips[0])
    expected = model.predict(signals=clips[0]["signals"]).p_pain
    assert model.predict_arrays(signals={"eda": signals["eda"]}, rates_hz={"eda": 512}).p_pain == expected
    t_s = np.arange(5632) / 1024
    finer = np.interp(t_s, np.arange(2816) / 512, signals["eda"])
    assert model.predict_arrays(signals={"eda": finer}, rates_hz={"eda": 1024.0}).p_pain == pytest.approx(expected, abs=2e-3)
    with pytest.warns(UserWarning, match="does not use ecg, frames: not read"):
        model.predict_arrays(signals=signals, frames=np.zeros((3, 64, 64, 3), np.uint8), rates_hz=RATES)


def test_a_list_has_a_reason_where_a_recording_cannot_be_judged(
    folders: dict[str, str], clips: list[dict[str, str]], tmp_path: Path
) -> None:
    flat = tmp_path / "flat_bio.csv"
    lines = Path(clips[0]["signals"]).read_text().splitlines()
    flat.write_text("\n".join([lines[0], *["\t".join([r.split("\t")[0], "0.5", *r.split("\t")[2:]]) for r in lines[1:]]]))
    files = [clips[0]["signals"], str(flat), str(tmp_path / "absent_bio.csv"), clips[1]["signals"]]
    model = painmodels.load(folders["eda"])
    found = model.predict(signals=files)
    assert [e.p_pain is None for e in found] == [False, True, True, False]
    assert "flat" in found[1].reason
    assert "no such file" in found[2].reason
    with pytest.raises(ValueError, match="found video: 1 files, signals: 2 files; expected two lists of the same length"):
        painmodels.load(folders["eda+ecg+video"]).predict(video=["a.mp4"], signals=["a", "b"])
    with pytest.raises(ValueError, match="expected two lists of the same length"):
        painmodels.load(folders["eda+ecg+video"]).predict(video="a.mp4", signals=["a"])  # type: ignore[call-overload]


WAVE = np.sin(np.arange(2816) / 50)
WRONG = {
    "no rate": ("eda", {"signals": {"eda": WAVE}}, r"found no rates_hz\['eda'\]"),
    "no signal": ("eda", {"signals": {"ecg": WAVE}, "rates_hz": RATES}, r"found no signals\['eda'\]"),
    "nothing": ("video", {}, "uses frames: found no frames"),
    "two columns": ("eda", {"signals": {"eda": WAVE.reshape(2, -1)}, "rates_hz": RATES}, "expected one row of values"),
    "words": ("eda", {"signals": {"eda": np.array(["x"])}, "rates_hz": RATES}, "expected one row of numbers"),
    "a rate of 0": ("eda", {"signals": {"eda": WAVE}, "rates_hz": {"eda": 0}}, "found 0 for eda"),
    "a rate in words": ("eda", {"signals": {"eda": WAVE}, "rates_hz": {"eda": "512"}}, "found 512 for eda"),
    "one picture": (
        "video",
        {"frames": np.zeros((64, 64, 3), np.uint8)},
        r"found shape .* expected \(frames, height, width",
    ),
    "floats": ("video", {"frames": np.zeros((2, 64, 64, 3))}, "found float64 .* brightness goes from 0 to 255"),
    "colours first": ("video", {"frames": np.zeros((2, 3, 64, 64), np.uint8)}, "the colours come last"),
    "grey": ("video", {"frames": [np.zeros((64, 64), np.uint8)]}, "a grey picture is given three times"),
    "tiny": ("video", {"frames": np.zeros((2, 8, 8, 3), np.uint8)}, "at least 32 x 32"),
    "frames a second": (
        "video",
        {"frames": np.zeros((2, 64, 64, 3), np.uint8), "rates_hz": {"frames": -1}},
        "frames a second",
    ),
    "no array": ("video", {"frames": ["a.png"]}, "found str"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arrays_are_told_in_words(name: str, folders: dict[str, str]) -> None:
    row, given, message = WRONG[name]
    with pytest.raises(ValueError, match=message) as caught:
        painmodels.load(folders[row]).predict_arrays(**given)
    assert not isinstance(caught.value, NoEstimate)


CANNOT = {
    "too short": ({"eda": WAVE[:2000]}, "eda: found 2000 rows, expected at least 2807"),
    "flat": ({"eda": np.full(2816, 3.0)}, "eda: all .* are 3"),
    "empty": ({"eda": np.empty(0)}, "eda: found 0 rows"),
    "a NaN": ({"eda": np.where(np.arange(2816) == 1500, np.nan, WAVE)}, "eda: found 1 values that are not finite"),
}


@pytest.mark.parametrize("name", CANNOT)
def test_arrays_that_cannot_be_judged_have_a_reason(name: str, folders: dict[str, str]) -> None:
    with pytest.raises(NoEstimate, match=CANNOT[name][1]):
        painmodels.load(folders["eda"]).predict_arrays(signals=CANNOT[name][0], rates_hz=RATES)


def test_a_model_says_what_it_is(folders: dict[str, str]) -> None:
    said = repr(painmodels.load(folders["eda+ecg+video"]))
    for part in ("eda+ecg+video/expressive67", "eda, ecg, a video of the face", "BL1 or PA4", "5.52 s", "25 Hz"):
        assert part in said
    assert "trained on synthetic data" in said


def test_a_device_that_is_not_there_is_told(folders: dict[str, str]) -> None:
    assert painmodels.load(folders["eda"], device="auto").device.type in ("cpu", "cuda")
    for name in ("cuda:99", "tpu", "meta", ""):
        with pytest.raises(ValueError, match="device: found"):
            painmodels.load(folders["eda"], device=name)


@pytest.mark.slow
def test_the_package_is_typed_and_light_to_import() -> None:
    assert (Path(painmodels.__file__).parent / "py.typed").is_file()
    code = "import sys, painmodels; assert 'torch' not in sys.modules; painmodels.load; assert 'ray' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    with pytest.raises(AttributeError, match="has no attribute 'loads'"):
        painmodels.loads  # noqa: B018
