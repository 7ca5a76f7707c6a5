"""What is odd and used all the same: the check says so, with where and for how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from dataprep.check import oddities
from dataprep.check.recordings import measure
from dataprep.datasets.synthetic import DATASET
from dataprep.faces import FaceSettings, prepare_video
from dataprep.records import Trial
from dataprep.synthetic.dataset import write_synthetic
from tests.dataprep.video.makers import Kind, write

pytestmark = pytest.mark.slow

TIME_S = np.arange(2816) / 512
CHANNELS: dict[str, np.ndarray] = {
    "slow": 3 + np.sin(TIME_S),
    "beats": np.exp(-(((TIME_S % 0.8 - 0.4) / 0.012) ** 2)) + 0.05 * np.sin(9 * TIME_S),
    "noise": np.random.default_rng(0).normal(size=2816),
    "few levels": np.round(3 + 0.5 * np.sin(TIME_S), 2),
}


def kinds(values: np.ndarray, rate_hz: float = 512.0) -> list[str]:
    return [kind for kind, _ in oddities.of_channel(values, rate_hz)]


@pytest.mark.parametrize("name", list(CHANNELS))
def test_a_sound_channel_is_not_odd(name: str) -> None:
    assert kinds(CHANNELS[name]) == []
    assert kinds(CHANNELS[name][::128], 4.0) == []


@pytest.mark.parametrize("name", ["slow", "beats", "noise"])
@pytest.mark.parametrize("start_s", [0.0, 1.7, 4.0])
def test_a_channel_that_freezes_is_named_with_where_and_for_how_long(name: str, start_s: float) -> None:
    values = CHANNELS[name].copy()
    at = round(start_s * 512)
    values[at : at + 768] = values[at]
    ((kind, sentence),) = oddities.of_channel(values, 512.0)
    assert kind == "frozen"
    assert "for 1.50 s" in sentence
    assert f"from {at / 512:.2f} s" in sentence


@pytest.mark.parametrize("name", ["slow", "beats", "noise"])
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("sign", [1, -1])
def test_spikes_are_counted_and_placed(name: str, width: int, sign: int) -> None:
    values = CHANNELS[name].copy()
    for at in (512, 1536):
        values[at : at + width] += sign * 4 * np.ptp(values)
    ((kind, sentence),) = oddities.of_channel(values, 512.0)
    assert kind == "spikes"
    assert "2 spikes" in sentence
    assert "(at 1.000, 3.000 s)" in sentence


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("odd") / "data"
    write_synthetic(root, subjects=1, trials=1, size=(320, 240))
    return root


def trial_of(tree: Path) -> Trial:
    return DATASET.read_trials(tree)[0][0]


def turned(degrees: float) -> Callable[[np.ndarray], np.ndarray]:
    matrix = cv2.getRotationMatrix2D((160, 120), degrees, 0.8)
    return lambda picture: cv2.warpAffine(picture, matrix, (320, 240), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize(("degrees", "kind"), [(50, "tilted"), (-50, "tilted")])
def test_a_face_on_its_side_is_a_finding_and_is_used(tree: Path, tmp_path: Path, degrees: float, kind: str) -> None:
    trial = trial_of(tree)
    with av.open(str(trial.video)) as container:
        pictures = [turned(degrees)(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    path = write(tmp_path / "odd.mp4", Kind(), pictures)
    facts = measure(Trial(trial.trial_id, trial.subject, 0, "BL1", video=str(path)), DATASET, FaceSettings())
    found = {f.kind: f for f in facts.findings}
    assert kind in found
    assert not found[kind].unusable
    assert facts.usable("video")
    assert "of 5.5" in found[kind].reason
    assert "the longest from" in found[kind].reason


def test_eyes_below_the_mouth_and_a_head_turned_aside_are_told_by_the_landmarks(tree: Path) -> None:
    track = prepare_video(str(trial_of(tree).video), FaceSettings(), n_steps=138)
    flipped, aside = track.landmarks_T52.copy(), track.landmarks_T52.copy()
    flipped[40:90] = (320, 240) - flipped[40:90]
    aside[10:60, 2, 0] += 0.8 * np.linalg.norm(aside[:50, 1] - aside[:50, 0], axis=1).mean()
    ((kind, sentence),) = oddities.of_track(replace(track, landmarks_T52=flipped), 25.0)
    assert kind == "upside-down"
    assert "for 2.00 of 5.52 s (the longest from 1.60 s to 3.60 s)" in sentence
    ((kind, sentence),) = oddities.of_track(replace(track, landmarks_T52=aside), 25.0)
    assert kind == "turned"
    assert "for 2.00 of 5.52 s" in sentence


def test_a_real_face_upside_down_is_found_out(tmp_path: Path) -> None:
    clip = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "videos" / "misc" / "pyfeat_single_face.mp4"
    if not clip.is_file():
        pytest.skip(f"{clip} is not here")
    with av.open(str(clip)) as container:
        pictures = [
            f.to_ndarray(format="rgb24")[::-1, ::-1] for _, f in zip(range(30), container.decode(video=0), strict=False)
        ]
    track = prepare_video(write(tmp_path / "down.mp4", Kind(), pictures), FaceSettings())
    assert [kind for kind, _ in oddities.of_track(track, 25.0)] == ["upside-down"]
    assert not list(oddities.of_track(prepare_video(clip, FaceSettings()), 25.0))


def test_a_face_that_looks_ahead_is_not_odd(tree: Path) -> None:
    facts = measure(trial_of(tree), DATASET, FaceSettings())
    assert facts.findings == ()


def test_interlaced_storage_is_a_finding(tree: Path, tmp_path: Path) -> None:
    trial = trial_of(tree)
    with av.open(str(trial.video)) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    path = write(tmp_path / "i.mp4", Kind(options={"flags": "+ildct+ilme"}), pictures)
    facts = measure(Trial(trial.trial_id, trial.subject, 0, "BL1", video=str(path)), DATASET, FaceSettings())
    assert [f.kind for f in facts.findings] == ["interlaced"]
    assert facts.usable("video")


def test_a_channel_that_freezes_or_spikes_is_a_finding_and_is_used(tree: Path, tmp_path: Path) -> None:
    trial = trial_of(tree)
    header, *rows = Path(str(trial.signals)).read_text().rstrip("\n").split("\n")
    table = np.array([[float(v) for v in row.split("\t")] for row in rows])
    table[800:1568, 1] = table[800, 1]
    table[2000, 2] += 9 * np.ptp(table[:, 2])
    np.savetxt(tmp_path / "x_bio.csv", table, delimiter="\t", header=header, comments="", fmt="%.6f")
    odd = Trial(trial.trial_id, trial.subject, 0, "BL1", signals=str(tmp_path / "x_bio.csv"))
    facts = measure(odd, DATASET, FaceSettings())
    assert sorted(f.kind for f in facts.findings) == ["frozen", "spikes"]
    assert facts.usable("signals")
    assert "channel 'eda': stays at" in next(f.reason for f in facts.findings if f.kind == "frozen")
    assert "channel 'ecg': has 1 spike" in next(f.reason for f in facts.findings if f.kind == "spikes")
