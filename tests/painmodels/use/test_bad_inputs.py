"""Thirty bad inputs at every entrance: refused with a reason, or judged rightly; none of them silently wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mlflow.pyfunc import PythonModelContext

from dataprep.signals.files import read_table
from dataprep.video.retinaface import onnx_session
from grid.tracking.served_model import Served
from painmodels.export import from_run
from painmodels.use.judgeable import NoEstimate
from painmodels.use.model import Model
from painmodels.use.onnx_files import write_onnx
from painmodels.use.running import Stream

RATE_HZ, N = 512.0, 2816
CHANNELS = ("eda", "ecg")
Signals = dict[str, np.ndarray]
Entrance = Callable[[Signals], float]


@pytest.fixture(scope="module")
def model(tiny_grid: Path) -> Model:
    return from_run(tiny_grid, "eda+ecg/expressive67/fold0")


@pytest.fixture(scope="module")
def good(tiny_data: Path) -> Signals:
    table = read_table(min((tiny_data / "biosignals_filtered").rglob("*_bio.csv")), columns=("gsr", "ecg"))
    return {"eda": table["gsr"], "ecg": table["ecg"]}


def written(signals: Signals, folder: Path) -> Path:
    file = folder / "x_bio.csv"
    n = max(len(x) for x in signals.values())
    longer = [np.pad(signals[c], (0, n - len(signals[c])), constant_values=np.nan) for c in CHANNELS]
    columns = [np.arange(n) / RATE_HZ * 1e6, *longer]
    header = "time\tgsr\tecg\temg_trapezius\temg_corrugator\temg_zygomaticus"
    np.savetxt(file, np.stack([*columns, *[np.zeros(n)] * 3], axis=1), delimiter="\t", header=header, comments="")
    return file


@pytest.fixture(scope="module")
def entrances(model: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Entrance]:
    """Each gives p, or raises ValueError with the reason. All of them begin with samples at the recorder's rate."""
    folder = tmp_path_factory.mktemp("entrances")
    model.save(folder / "model")
    served = Served()
    served.load_context(PythonModelContext({"model": str(folder / "model")}, None))
    write_onnx(model, folder / "onnx", rates_hz=dict.fromkeys(CHANNELS, RATE_HZ))
    on_clock, network = (onnx_session(folder / "onnx" / f"{n}.onnx", 1) for n in ("signals", "network"))
    width = on_clock.get_inputs()[0].shape[1]

    def streamed(signals: Signals) -> float:
        stream, found = Stream(model, rates_hz=dict.fromkeys(CHANNELS, RATE_HZ)), []
        for k in range(0, N, 256):
            found += stream.samples({c: x[k : k + 256] for c, x in signals.items()})
        if not found or found[0].prediction is None:
            raise NoEstimate(found[0].reason if found else "the source ended before the first window")
        return found[0].prediction.p_pain

    def by_onnx(signals: Signals) -> float:
        try:
            (x,) = on_clock.run(None, {c: signals[c][None, :width] for c in CHANNELS})
        except Exception as error:  # another number of samples
            raise ValueError(str(error)) from None
        names = [o.name for o in network.get_outputs()]
        found = dict(zip(names, network.run(None, {"signals": x}), strict=True))
        if not found["usable"][0]:
            assert np.isnan(found["p"]).all()
            raise NoEstimate("not usable")
        return float(1 - found["p"][0, 0])

    def by_mlflow(signals: Signals) -> float:
        return float(1 - served.predict(None, served.inputs(signals=str(written(signals, folder))))[0, 0])

    return {
        "files": lambda s: model.predict(signals=written(s, folder)).p_pain,
        "arrays": lambda s: model.predict_arrays(signals=s, rates_hz=dict.fromkeys(CHANNELS, RATE_HZ)).p_pain,
        "stream": streamed,
        "MLflow": by_mlflow,
        "ONNX": by_onnx,
    }


def put(part: slice, value: float, channel: str = "eda") -> Callable[[Signals], Signals]:
    def change(signals: Signals) -> Signals:
        x = signals[channel].copy()
        x[part] = value
        return {**signals, channel: x}

    return change


def cut(n: int, *channels: str) -> Callable[[Signals], Signals]:
    return lambda signals: {c: x[:n] if c in channels else x for c, x in signals.items()}


def at(first_s: float, last_s: float | None = None) -> slice:
    first = round(first_s * RATE_HZ)
    return slice(first, first + 1 if last_s is None else round(last_s * RATE_HZ))


ALL, LATE = slice(None), slice(round(2 * RATE_HZ), None)
REFUSED: dict[str, Callable[[Signals], Signals]] = {
    "a NaN in the window": put(at(3), np.nan),
    "a NaN in the other channel": put(at(4), np.nan, "ecg"),
    "a NaN between two steps": put(slice(1547, 1548), np.nan),
    "a NaN before the window, in the filter's reach": put(at(1.9), np.nan),
    "a NaN as the first sample": put(slice(0, 1), np.nan, "ecg"),
    "a NaN as the last sample of the window": put(slice(2805, 2806), np.nan),
    "a second of NaN": put(at(3, 4), np.nan),
    "every other sample NaN": put(slice(0, None, 2), np.nan),
    "NaN at the end": put(at(5, 5.5), np.nan),
    "all NaN": put(ALL, np.nan),
    "all NaN in the other channel": put(ALL, np.nan, "ecg"),
    "an infinity": put(at(4), np.inf),
    "a minus infinity": put(at(2.5), -np.inf, "ecg"),
    "all infinite": put(ALL, np.inf),
    "beyond float32": put(at(4), 1e39),
    "minus beyond float32": put(at(4), -1e300, "ecg"),
    "flat": put(ALL, 0.37),
    "flat at zero": put(ALL, 0.0),
    "flat and negative": put(ALL, -4.0, "ecg"),
    "flat at a huge value": put(ALL, 1e30),
    "flat at a tiny value": put(ALL, 1e-30, "ecg"),
    "both flat": lambda s: {c: np.full_like(x, 1.0) for c, x in s.items()},
    "flat in the window": put(LATE, 0.37),
    "flat in the window of the other channel": put(LATE, 2.0, "ecg"),
    "too short": cut(2000, *CHANNELS),
    "one channel too short": cut(2000, "ecg"),
    "nothing": cut(0, *CHANNELS),
}
JUDGED: dict[str, Callable[[Signals], Signals]] = {
    "a spike": put(at(3), 50.0),
    "clipped": lambda s: {**s, "ecg": s["ecg"].clip(-0.1, 0.1)},
    "another unit": lambda s: {**s, "eda": s["eda"] * 1e-6},
    "turned over": lambda s: {**s, "ecg": -s["ecg"]},
    "flat for a second": put(at(3, 4), 4.7),
    "a bad sample after the window": put(slice(2812, 2813), np.nan),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_judged_is_refused_with_a_reason_everywhere(
    name: str, entrances: dict[str, Entrance], good: Signals
) -> None:
    for call in entrances.values():
        with pytest.raises(ValueError, match=r"[a-z]{3}"):
            call(REFUSED[name](good))


@pytest.mark.parametrize("name", JUDGED)
def test_what_can_be_judged_has_the_same_finite_value_everywhere(
    name: str, entrances: dict[str, Entrance], good: Signals
) -> None:
    found = {where: call(JUDGED[name](good)) for where, call in entrances.items()}
    assert all(0 <= p <= 1 for p in found.values())
    assert max(found.values()) - min(found.values()) < 1e-4, found


def test_there_are_thirty(entrances: dict[str, Entrance]) -> None:
    assert len(REFUSED) + len(JUDGED) >= 30
    assert len(entrances) == 5
