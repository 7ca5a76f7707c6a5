"""Stress-Predict: trees of the watch's files, and the real recordings where they are."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataprep.datasets import recognise
from dataprep.datasets.stress_predict import DATASET
from dataprep.records import InputError, RecordingError, Trial
from dataprep.signals.files import prepare_signals

ROOT = Path(__file__).resolve().parents[3]
REAL = ROOT.parent / "shared" / "data" / "signals" / "stress_predict"
START = 1_644_829_925.0
PLAIN_S = (670.3, 1020, 1291, 1936, 2202, 2323, 2630)
USED = {5, *range(7, 17), *range(19, 30), *range(31, 36)}  # by Time_logs.xlsx and the tags


def subject(root: Path, name: str, tags_s=PLAIN_S, *, values=None, rate="4.000000") -> None:
    """A subject's folder. Each value tells its own time: the number of seconds since the start."""
    (root / name).mkdir(parents=True)
    values = np.arange(4 * 3300) / 4 if values is None else values
    lines = [f"{START:.6f}", f" {rate}", *(f"{v:.6f}" for v in values)]
    (root / name / "EDA.csv").write_text("\n".join(lines) + "\n")
    (root / name / f"tags_{name}.csv").write_text("".join(f"{START + t:.2f}\n" for t in tags_s))


def phase(at_s: float) -> str:
    names = ("rest", "stress", "rest", "stress", "rest", "stress", "rest")
    return names[int(np.searchsorted(PLAIN_S, at_s, side="right"))] if at_s < PLAIN_S[-1] else "after"


def test_windows_lie_inside_one_phase_are_balanced_and_hold_their_own_minute(tmp_path):
    subject(tmp_path, "S05")
    assert DATASET.recognise(tmp_path)
    trials, defects = DATASET.read_trials(tmp_path)
    assert defects == ()
    assert Counter(t.class_name for t in trials) == {"rest": 8, "stress": 8}
    assert len({t.trial_id for t in trials}) == 16
    assert {t.trial_id.split("-")[1] for t in trials} == {
        "baseline",
        "stroop",
        "rest1",
        "interview",
        "rest2",
        "hyperventilation",
        "rest3",
    }
    x_NTC, ids, defects = prepare_signals(trials, DATASET)
    assert (x_NTC.shape, ids, defects) == ((16, 240, 1), tuple(t.trial_id for t in trials), ())
    for t, x in zip(trials, x_NTC[:, :, 0], strict=True):
        np.testing.assert_allclose(x, t.start_s + np.arange(240) / 4)
        assert phase(x[0]) == phase(x[-1]) == t.class_name
    starts = sorted(t.start_s for t in trials)
    assert min(np.diff(starts)) >= 60


@pytest.mark.parametrize(
    ("tags_s", "words"),
    [
        ((79, *PLAIN_S), "expected 7"),
        ((), "expected 7"),
        ((-42521, *PLAIN_S[1:]), "ascend"),
        ((*PLAIN_S[:6], 9000), "ascend"),
        ((1043, 1576, 1983, 2276, 2433, 2717, 3290), "protocol"),
    ],
)
def test_a_subject_whose_tags_are_not_plain_is_listed_with_the_reason(tmp_path, tags_s, words):
    subject(tmp_path, "S05")
    subject(tmp_path, "S06", tags_s)
    trials, defects = DATASET.read_trials(tmp_path)
    assert {t.subject for t in trials} == {"S05"}
    assert [(d.subject, d.part) for d in defects] == [("S06", "index")]
    assert "tags_S06.csv" in defects[0].reason
    assert words in defects[0].reason


@pytest.mark.parametrize(("file", "content"), [("EDA.csv", b"x"), ("EDA.csv", b"\xff"), ("tags_S06.csv", b"1\nnan\n")])
def test_a_broken_file_is_named_and_the_others_are_read(tmp_path, file, content):
    subject(tmp_path, "S05")
    subject(tmp_path, "S06")
    (tmp_path / "S06" / file).write_bytes(content)
    trials, defects = DATASET.read_trials(tmp_path)
    assert {t.subject for t in trials} == {"S05"}
    assert file in defects[0].reason


def test_another_rate_is_refused(tmp_path):
    subject(tmp_path, "S05", rate="8.0")
    assert "rate 4" in DATASET.read_trials(tmp_path)[1][0].reason


def test_no_subject_at_all_is_an_error(tmp_path):
    with pytest.raises(InputError, match="S<number>"):
        DATASET.read_trials(tmp_path)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the Stress-Predict recordings are not at {REAL}")
def test_the_real_recordings_give_27_people_and_name_the_other_8():
    assert recognise(REAL) is DATASET
    trials, defects = DATASET.read_trials(REAL)
    assert {int(t.subject[1:]) for t in trials} == USED
    assert {int(d.subject[1:]) for d in defects} == set(range(1, 36)) - USED
    per_subject = Counter((t.subject, t.class_name) for t in trials)
    assert set(per_subject.values()) == {8}
    first = [t for t in trials if t.subject == "S05"]
    x_NTC, _, defects = prepare_signals(first, DATASET)
    assert defects == ()
    assert x_NTC.shape == (16, 240, 1)
    assert 0.01 < x_NTC.mean() < 30  # microsiemens


@given(st.binary(max_size=200), st.sampled_from(["EDA.csv", "tags_S05.csv"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_bytes_give_trials_defects_or_a_data_error(tmp_path_factory, content, name, tail):
    root = tmp_path_factory.mktemp("fuzz")
    subject(root, "S05")
    file = root / "S05" / name
    file.write_bytes((file.read_bytes() if tail else b"") + content)
    trials, defects = DATASET.read_trials(root)
    assert all("S05" in d.reason for d in defects)
    assert bool(trials) != bool(defects)
    try:
        x = DATASET.read_signals(
            Trial(
                trial_id="t",
                subject="S05",
                class_id=0,
                class_name="rest",
                video=None,
                signals=str(root / "S05" / "EDA.csv"),
                start_s=60.0,
            )
        )["eda"][0]
    except (InputError, RecordingError) as error:
        refusal = str(error)
    else:
        refusal = "" if x.dtype == np.float64 else "EDA.csv: no numbers"
    assert not refusal or (name == "EDA.csv" and "EDA.csv" in refusal)
