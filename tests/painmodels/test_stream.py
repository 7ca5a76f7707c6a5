"""Running input: an estimate a second, the numbers of the recording's own prediction, nothing from the future."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataprep.signals.files import read_table
from dataprep.video.decode import open_video
from painmodels.export import from_run
from painmodels.stream import Stream, main, replay
from painmodels.use.judgeable import longest
from painmodels.use.model import Model

RATE_HZ = 512.0


@pytest.fixture(scope="module")
def models(tiny_grid: Path) -> dict[str, Model]:
    return {row: from_run(tiny_grid, f"{row}/all87/fold0") for row in ("eda+ecg+video", "eda+ecg", "video")}


@pytest.fixture(scope="module")
def clip(tiny_data: Path) -> dict[str, Path]:
    video = min((tiny_data / "video").rglob("*.mp4"))
    signals = tiny_data / "biosignals_filtered" / video.parent.name / f"{video.stem}_bio.csv"
    return {"video": video, "signals": signals}


def signals_of(clip: dict[str, Path]) -> dict[str, np.ndarray]:
    table = read_table(clip["signals"], columns=("gsr", "ecg"))
    return {"eda": table["gsr"], "ecg": table["ecg"]}


def test_signals_alone_give_the_prediction_of_the_recording(models: dict[str, Model], clip: dict[str, Path]) -> None:
    expected = models["eda+ecg"].predict(signals=clip["signals"]).p_pain
    stream, found = Stream(models["eda+ecg"], rates_hz={"eda": RATE_HZ, "ecg": RATE_HZ}), []
    values = signals_of(clip)
    for k in range(0, 2816, 100):  # in pieces, one channel after the other
        found += stream.samples({"eda": values["eda"][k : k + 100]})
        found += stream.samples({"ecg": values["ecg"][k : k + 100]})
    (estimate,) = found
    assert estimate.time_s == 138 / 25
    assert estimate.prediction.p_pain == pytest.approx(expected, abs=1e-3)


def test_an_estimate_a_second_over_a_long_stream_with_bounded_memory(models: dict[str, Model]) -> None:
    rng = np.random.default_rng(0)
    long_s = 20
    values = {c: np.cumsum(rng.normal(size=int(long_s * RATE_HZ))) for c in ("eda", "ecg")}
    stream, times, kept = Stream(models["eda+ecg"], rates_hz={"eda": RATE_HZ, "ecg": RATE_HZ}), [], []
    p = []
    for k in range(0, len(values["eda"]), 256):
        for estimate in stream.samples({c: v[k : k + 256] for c, v in values.items()}):
            times.append(estimate.time_s)
            p.append(estimate.prediction.p_pain)
        kept.append(len(stream.values["eda"]))
    np.testing.assert_allclose(np.diff(times), 1.0)
    assert times[0] == pytest.approx(5.52)
    assert len(times) == 15
    assert max(kept) < 7 * RATE_HZ
    start = round(3 * RATE_HZ)  # the fourth estimate is about the stream from its third second on
    alone = Stream(models["eda+ecg"], rates_hz={"eda": RATE_HZ, "ecg": RATE_HZ})
    (again,) = alone.samples({c: v[start : start + 2826] for c, v in values.items()})
    assert again.prediction.p_pain == pytest.approx(p[3], abs=1e-3)


def test_video_and_signals_come_near_the_prediction_of_the_recording(models: dict[str, Model], tiny_data: Path) -> None:
    (video,) = (tiny_data / "video").rglob("080614_m_24-PA4-*.mp4")  # a face that shows it, so that frames differ
    clip = {"video": video, "signals": tiny_data / "biosignals_filtered" / video.parent.name / f"{video.stem}_bio.csv"}
    model = models["eda+ecg+video"]
    offline = model.predict(**clip)
    (estimate,) = list(replay(model, **clip))
    assert estimate.prediction.p_pain == pytest.approx(offline.p_pain, abs=0.05)
    assert np.corrcoef(estimate.prediction.frames_T, offline.frames_T)[0, 1] > 0.9
    assert estimate.prediction.attention_T.sum() == pytest.approx(1, abs=1e-4)


def test_a_lost_face_is_said_and_found_again(models: dict[str, Model], clip: dict[str, Path]) -> None:
    stream = Stream(models["video"], every_s=0.2)
    pictures = [
        f.window((0, 0, f.width, f.height), width=f.width, height=f.height) for f in open_video(clip["video"]).frames
    ]
    grey = np.full_like(pictures[0], 127)
    estimates = [e for rgb in [*pictures, *[grey] * 20, *pictures] for e in stream.frame(rgb)]
    lost = [e for e in estimates if e.prediction is None]
    assert estimates[0].prediction is not None
    assert lost
    assert "no face was seen for" in lost[0].reason
    assert 138 + 12 < lost[0].time_s * 25 <= 138 + 20
    assert estimates[-1].prediction is not None
    short = Stream(models["video"])
    (bridged,) = [e for rgb in [*pictures[:100], *[grey] * 8, *pictures[100:130]] for e in short.frame(rgb)]
    gap = bridged.prediction.attention_T[101:108]
    assert (gap == 0).sum() >= 5  # steps without a face get no attention


def test_wrong_input_is_named(
    models: dict[str, Model], clip: dict[str, Path], capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="expected a rate for ecg"):
        Stream(models["eda+ecg"], rates_hz={"eda": 512})
    stream = Stream(models["eda+ecg"], rates_hz={"eda": 512, "ecg": 512})
    with pytest.raises(ValueError, match="uses no video"):
        stream.frame(np.zeros((120, 160, 3), np.uint8))
    with pytest.raises(ValueError, match="found channel 'emg'"):
        stream.samples({"emg": np.zeros(3)})
    with pytest.raises(ValueError, match="found float64"):
        Stream(models["video"]).frame(np.zeros((120, 160, 3)))
    models["eda+ecg"].save(tmp_path)
    assert main(["--model", str(tmp_path)]) == 2
    assert "uses signals: found no signals file" in capsys.readouterr().err
    assert main(["--model", str(tmp_path), "--signals", str(clip["signals"])]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["time", "p_pain"]
    assert line.startswith("    5.52 s  0.")


def test_the_longest_run() -> None:
    assert longest(np.array([1, 1, 0, 1, 1, 1, 0, 1], bool)) == 3
    assert longest(np.zeros(4, bool)) == 0
