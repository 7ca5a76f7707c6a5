"""There is a finite probability or a reason: bad recordings through every entrance, none of them silently wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow.pyfunc import PythonModelContext

from dataprep.signals.files import read_table
from dataprep.signals.resampling import to_clock
from dataprep.video.retinaface import onnx_session
from grid.tracking.model_versions import example_inputs
from grid.tracking.served_model import Served
from painmodels.export import from_run
from painmodels.predict import main as predict
from painmodels.stream import Stream, replay
from painmodels.stream import main as stream_main
from painmodels.use.judgeable import NoEstimate, longest
from painmodels.use.model import Model
from painmodels.use.onnx_files import write_onnx

RATE_HZ, CLOCK_HZ, N_STEPS = 512.0, 25.0, 138
COLUMNS = {"eda": "gsr", "ecg": "ecg"}

Signals = dict[str, np.ndarray]
"""Channel -> samples at the native rate."""


@pytest.fixture(scope="module")
def models(tiny_grid: Path) -> dict[str, Model]:
    cells = {
        "signals": "eda+ecg/expressive67/fold0",
        "video": "video/expressive67/fold0",
        "both": "eda+ecg+video/all87/fold0",
    }
    return {name: from_run(tiny_grid, cell) for name, cell in cells.items()}


@pytest.fixture(scope="module")
def signals(tiny_data: Path) -> Signals:
    file = min((tiny_data / "biosignals_filtered").rglob("*_bio.csv"))
    table = read_table(file, columns=("gsr", "ecg"))
    return {"eda": table["gsr"], "ecg": table["ecg"]}


def at(seconds: float) -> int:
    return round(seconds * RATE_HZ)


def changed(part: slice, value: float, channel: str = "eda") -> Callable[[Signals], Signals]:
    def change(signals: Signals) -> Signals:
        x = signals[channel].copy()
        x[part] = value
        return {**signals, channel: x}

    return change


WINDOW = slice(at(2), None)  # what the scenario uses: everything from 2 s on
BAD: dict[str, Callable[[Signals], Signals]] = {
    "one NaN": changed(slice(at(3), at(3) + 1), np.nan),
    "one NaN in the other channel": changed(slice(at(3), at(3) + 1), np.nan, "ecg"),
    "a second of NaN": changed(slice(at(3), at(4)), np.nan),
    "NaN at the end": changed(slice(at(5.3), None), np.nan),
    "all NaN": changed(slice(None), np.nan),
    "one infinity": changed(slice(at(4), at(4) + 1), np.inf),
    "one minus infinity": changed(slice(at(4), at(4) + 1), -np.inf, "ecg"),
    "beyond float32": changed(slice(at(4), at(4) + 1), 1e39),
    "flat": changed(slice(None), 0.37),
    "flat at zero": changed(slice(None), 0.0, "ecg"),
    "flat in the window": changed(WINDOW, 0.37),
    "flat at a huge value in the window": changed(WINDOW, 1e6, "ecg"),
}


def on_clock(signals: Signals) -> np.ndarray:
    """What a caller of the array entrances would make of it: the value at each moment, whatever it is."""
    steps = np.round(np.arange(N_STEPS) / CLOCK_HZ * RATE_HZ).astype(int)
    with np.errstate(over="ignore"):
        return np.stack([signals[c][steps] for c in COLUMNS], axis=1).astype(np.float32)


def spread(signals: Signals) -> np.ndarray:
    """The same with every bad sample seen, which a value at each moment may miss."""
    x_TC = on_clock(signals)
    for i, channel in enumerate(COLUMNS):
        for n in np.flatnonzero(~(np.abs(signals[channel]) < 1e38)):
            with np.errstate(over="ignore"):
                x_TC[min(N_STEPS - 1, round(n / RATE_HZ * CLOCK_HZ)), i] = np.float32(signals[channel][n])
    return x_TC


def written(signals: Signals, folder: Path) -> Path:
    file = folder / "x_bio.csv"
    n = len(signals["eda"])
    table = np.stack([np.arange(n) / RATE_HZ * 1e6, signals["eda"], signals["ecg"], *[np.zeros(n)] * 3], axis=1)
    header = "time\tgsr\tecg\temg_trapezius\temg_corrugator\temg_zygomaticus"
    np.savetxt(file, table, delimiter="\t", header=header, comments="")
    return file


@pytest.fixture(scope="module")
def entrances(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[Signals], float]]:
    """Each gives p, or raises ValueError with the reason."""
    model, folder = models["signals"], tmp_path_factory.mktemp("entrances")
    model.save(folder / "model")
    served = Served()
    served.load_context(PythonModelContext({"model": str(folder / "model")}, None))
    session = onnx_session(write_onnx(model, folder / "onnx")[0], 1)

    def streamed(signals: Signals) -> float:
        (estimate,) = Stream(model, rates_hz=dict.fromkeys(COLUMNS, RATE_HZ)).samples(signals)
        if estimate.prediction is None:
            raise NoEstimate(estimate.reason)
        return estimate.prediction.p_pain

    def by_onnx(signals: Signals) -> float:
        found = dict(
            zip(
                [o.name for o in session.get_outputs()],
                session.run(None, {"signals": spread(signals)[None]}),
                strict=True,
            )
        )
        if not found["usable"][0]:
            assert np.isnan(found["p"]).all()
            raise NoEstimate("not usable")
        return float(1 - found["p"][0, 0])

    return {
        "files": lambda s: model.predict(signals=written(s, folder)).p_pain,
        "arrays": lambda s: model.of_arrays(None, spread(s)).p_pain,
        "stream": streamed,
        "MLflow": lambda s: float(1 - served.predict(None, {"signals": spread(s)[None]})[0, 0]),
        "ONNX": by_onnx,
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_bad_signals_have_no_estimate(name: str, entrances: dict, signals: Signals) -> None:
    for entrance, call in entrances.items():
        with pytest.raises(ValueError, match=r"not finite|flat|same value|samples of the window are|not usable") as caught:
            call(BAD[name](signals))
        if entrance != "ONNX":
            assert ("ecg" if BAD[name](signals)["ecg"] is not signals["ecg"] else "eda") in str(caught.value), entrance


def test_good_signals_have_one_estimate_at_every_entrance(entrances: dict, signals: Signals, models: dict) -> None:
    expected = models["signals"].of_arrays(None, on_clock(signals)).p_pain
    found = {name: call(signals) for name, call in entrances.items()}
    assert all(np.isfinite(p) for p in found.values())
    assert found["files"] == pytest.approx(found["stream"], abs=1e-4)  # both through the low-pass
    for name in ("arrays", "MLflow", "ONNX"):
        assert found[name] == pytest.approx(expected, abs=1e-4)


def test_what_follows_the_window_changes_nothing(models: dict, signals: Signals, tmp_path: Path) -> None:
    wild = {c: np.concatenate([x, x[-1] + 1e3 * np.arange(500)]) for c, x in signals.items()}
    for n in (2807, 2810, 2816, 3316):
        p = models["signals"].predict(signals=written({c: x[:n] for c, x in wild.items()}, tmp_path)).p_pain
        assert p == models["signals"].predict(signals=written({c: x[:2807] for c, x in wild.items()}, tmp_path)).p_pain
    x = np.cumsum(np.random.default_rng(0).normal(size=4000))
    kinds = {"rate_hz": RATE_HZ, "clock_hz": CLOCK_HZ, "n_steps": N_STEPS}
    assert np.array_equal(to_clock(x[:2807], **kinds), to_clock(x, **kinds))


BAD_VIDEO: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "two frames": lambda x: x[:2],
    "no frame in the window": lambda x: x[:40],
    "a face that is gone for a second": lambda x: x[: N_STEPS - 25],
    "a NaN": lambda x: np.where(np.arange(x.size).reshape(x.shape) == x.size // 2, np.nan, x),
    "an infinity": lambda x: np.where(np.arange(x.size).reshape(x.shape) == x.size - 1, np.inf, x),
    "all NaN": lambda x: np.full_like(x, np.nan),
    "no frames": lambda x: x[:0],
    "another width": lambda x: x[:, :-1],
    "one row": lambda x: x[0],
}


@pytest.mark.parametrize("name", BAD_VIDEO)
def test_bad_video_features_have_no_estimate(name: str, models: dict, tmp_path: Path) -> None:
    model = models["video"]
    good = example_inputs(model)["video"][0]
    assert np.isfinite(model.of_arrays(good, None).p_pain)
    with pytest.raises(ValueError, match=r"no face was seen|not finite|found shape"):
        model.of_arrays(BAD_VIDEO[name](good), None)


def test_onnx_of_a_video_says_where_there_is_no_estimate(models: dict, tmp_path: Path) -> None:
    model = models["video"]
    session = onnx_session(write_onnx(model, tmp_path)[0], 1)
    good = example_inputs(model)["video"]
    names = [o.name for o in session.get_outputs()]
    masks = {"good": np.ones(N_STEPS), "hides all": np.zeros(N_STEPS), "hides a second": np.arange(N_STEPS) // 25 != 4}
    for name, mask_T in masks.items():
        got = session.run(None, {"video": good, "mask": mask_T[None].astype(np.float32)})
        found = dict(zip(names, got, strict=True))
        assert bool(found["usable"][0]) == (name == "good") == bool(np.isfinite(found["p"]).all())
    broken = good.copy()
    broken[0, 60, 3] = np.nan
    found = dict(zip(names, session.run(None, {"video": broken, "mask": np.ones((1, N_STEPS), np.float32)}), strict=True))
    assert not found["usable"][0]
    assert np.isnan(found["p"]).all()


def test_the_example_of_a_registered_model_is_a_whole_recording(models: dict) -> None:
    for model in models.values():
        example = example_inputs(model)
        found = model.of_arrays(*(example[k][0] if k in example else None for k in ("video", "signals")))
        assert np.isfinite(found.p_pain)


def test_a_stream_goes_on_when_bad_samples_have_left_the_window(models: dict) -> None:
    rng = np.random.default_rng(1)
    values = {c: np.cumsum(rng.normal(size=at(30))) for c in COLUMNS}
    values["ecg"][at(8)] = np.nan
    stream = Stream(models["signals"], rates_hz=dict.fromkeys(COLUMNS, RATE_HZ))
    found, kept = [], 0
    for n in range(0, at(30), 256):
        found += stream.samples({c: x[n : n + 256] for c, x in values.items()})
        kept = max(kept, *(len(x) for x in stream.recent.values.values()))
    without = [e for e in found if e.prediction is None]
    assert all("ecg" in e.reason for e in without)
    assert 4 <= len(without) <= 7  # windows of 5.52 s, one a second
    assert found[-1].prediction is not None
    assert kept < at(8)


def test_a_channel_that_stalls_is_named_and_nothing_grows(models: dict) -> None:
    rng = np.random.default_rng(2)
    stream = Stream(models["signals"], rates_hz=dict.fromkeys(COLUMNS, RATE_HZ))
    found, kept = [], 0
    for k in range(120):  # two minutes; the ECG is away from second 10 to 60
        found += stream.samples({"eda": np.cumsum(rng.normal(size=at(1)))})
        if not 10 <= k < 60:
            found += stream.samples({"ecg": np.cumsum(rng.normal(size=at(1)))}, at_s=float(k))
        kept = max(kept, *(len(x) for x in stream.recent.values.values()))
    times = [e.time_s for e in found]
    np.testing.assert_allclose(np.diff(times), 1.0)
    away = [e for e in found if e.prediction is None]
    assert {"no sample came" in e.reason and "ecg" in e.reason for e in away[:30]} == {True}
    assert 45 <= len(away) <= 62
    assert found[-1].prediction is not None
    assert kept <= at(13)


@pytest.mark.parametrize("rate_hz", [0, -5, float("nan"), float("inf"), 1e9])
def test_an_impossible_rate_is_refused(models: dict, rate_hz: float) -> None:
    with pytest.raises(ValueError, match=r"rates_hz: found .* for ecg, expected"):
        Stream(models["signals"], rates_hz={"eda": 512.0, "ecg": rate_hz})


def test_a_stream_of_the_recording_gives_its_own_prediction(models: dict, tiny_data: Path) -> None:
    for file in sorted((tiny_data / "biosignals_filtered").rglob("*_bio.csv")):
        offline = models["signals"].predict(signals=file).p_pain
        (estimate,) = replay(models["signals"], video=None, signals=file)
        assert estimate.prediction.p_pain == pytest.approx(offline, abs=1e-4)


def test_a_recording_too_short_for_a_window_is_an_error(
    models: dict, signals: Signals, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    models["signals"].save(tmp_path / "model")
    short = written({c: x[: at(3.9)] for c, x in signals.items()}, tmp_path)
    assert stream_main(["--model", str(tmp_path / "model"), "--signals", str(short)]) == 2
    assert "ended at 3.9" in capsys.readouterr().err
    flat = written(BAD["flat in the window"](signals), tmp_path)
    assert stream_main(["--model", str(tmp_path / "model"), "--signals", str(flat), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["p_pain"] is None
    assert "eda" in said["reason"]
    assert predict(["--model", str(tmp_path / "model"), "--signals", str(flat)]) == 2
    assert "eda" in capsys.readouterr().err


def test_the_longest_run() -> None:
    assert [longest(np.array(x, dtype=bool)) for x in ([], [0], [1], [1, 1, 0, 1], [0, 1, 1, 1])] == [0, 0, 1, 2, 3]
