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
        kept.append(len(stream.recent.values["eda"]))
    np.testing.assert_allclose(np.diff(times), 1.0)
    assert times[0] == pytest.approx(5.52)
    assert len(times) == 15
    assert max(kept) < 7 * RATE_HZ
    start = round(3 * RATE_HZ)  # the fourth estimate is about the stream from its third second on
    alone = Stream(models["eda+ecg"], rates_hz={"eda": RATE_HZ, "ecg": RATE_HZ})
    (again,) = alone.samples({c: v[start : start + 2826] for c, v in values.items()})
    assert again.prediction.p_pain == pytest.approx(p[3], abs=1e-3)


@pytest.mark.parametrize("row", ["eda+ecg+video", "eda+ecg"])
def test_every_recording_gives_in_a_stream_what_it_gives_as_a_file(
    models: dict[str, Model], tiny_data: Path, row: str
) -> None:
    model, differences = models[row], []
    for video in sorted((tiny_data / "video").rglob("*.mp4")):
        signals = tiny_data / "biosignals_filtered" / video.parent.name / f"{video.stem}_bio.csv"
        files = {"video": video if model.uses_video else None, "signals": signals if model.uses_signals else None}
        offline = model.predict(**files)
        (estimate,) = list(replay(model, **files))
        differences.append(abs(estimate.p_pain - offline.p_pain))
        if model.uses_video:
            np.testing.assert_allclose(estimate.prediction.frames_T, offline.frames_T, atol=1e-4)
    assert max(differences) < 1e-5


def test_a_stream_with_video_is_late_by_less_than_a_second_and_keeps_little(
    models: dict[str, Model], clip: dict[str, Path]
) -> None:
    stream, late_s, kept = Stream(models["video"], every_s=0.04), [], []
    frames = [f for _ in range(3) for f in open_video(clip["video"]).frames]
    for n, frame in enumerate(frames, start=1):
        late_s += [n / 25 - e.time_s for e in stream.picture(frame)]
        follower = stream.face.follower
        kept.append(follower.kept + len(stream.steps))
    assert min(late_s) >= 0
    assert max(late_s) <= 0.84 + 1e-9
    assert max(kept[300:]) <= max(kept[:300])
    assert [e.time_s for e in stream.rest()][-1] == pytest.approx(
        len(frames) / 25 + 0.04
    )  # one more step holds the last frame


def test_a_lost_face_is_said_and_found_again(models: dict[str, Model], clip: dict[str, Path]) -> None:
    stream = Stream(models["video"], every_s=0.2)
    pictures = [
        f.window((0, 0, f.width, f.height), width=f.width, height=f.height) for f in open_video(clip["video"]).frames
    ]
    grey = np.full_like(pictures[0], 127)
    estimates = [e for rgb in [*pictures, *[grey] * 20, *pictures, *pictures[:20]] for e in stream.frame(rgb)]
    lost = [e for e in estimates if e.prediction is None]
    assert estimates[0].prediction is not None
    assert lost
    assert "no face was seen for" in lost[0].reason
    assert 138 + 12 < lost[0].time_s * 25 <= 138 + 20
    assert estimates[-1].prediction is not None
    short = Stream(models["video"])
    bridged, *_ = [e for rgb in [*pictures[:100], *[grey] * 8, *pictures[100:]] for e in short.frame(rgb)]
    assert bridged.p_pain is not None  # eight frames without a face are bridged


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
