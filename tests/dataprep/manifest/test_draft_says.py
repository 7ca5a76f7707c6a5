"""What a draft leaves out or shortens, it says: tables of events, files that are no recordings, recordings that are too short."""

import csv
import itertools
import tomllib
from pathlib import Path

import numpy as np
import pytest

from dataprep.check.command import main as check
from dataprep.datasets import recognise
from dataprep.manifest.command import main as draft
from dataprep.manifest.folder_guess import draft_manifest
from tests.dataprep.manifest.test_draft import ecg, eda, manifest, read, written

BIDS = "onset\tduration\ttrial_type\n5.0\t6\tpain\n20.0\t6\trest\n35.0\t6\tpain\n"
MARKERS = "time;marker\n5,0;S1\n20,0;S2\n35,0;S1\n"
CODES = "onset,code\n5.0,1\n20.0,2\n35.0,1\n"
TAGS = "1700000005.0\n1700000020.0\n"
NO_HEADER = "5.0,pain\n20.0,rest\n35.0,pain\n"


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "manifest.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def long_recordings(folder: Path) -> None:
    for p in ("p01", "p02", "p03"):
        columns = [np.arange(6000) / 100, eda(6000, 100), ecg(6000, 100)]
        written(folder / p / "recording.csv", columns, head="time,eda,ecg\n")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("events.csv", BIDS),
        ("p_task-heat_events.tsv", BIDS),
        ("stimulator.csv", BIDS),
        ("markers.csv", MARKERS),
        ("Trigger.txt", MARKERS),
        ("schedule.csv", CODES),
        ("tags.csv", TAGS),
        ("markers_session1.txt", TAGS),
        ("presentation.csv", NO_HEADER),
    ],
)
def test_a_table_of_events_is_no_trial(tmp_path, capsys, name, text):
    long_recordings(tmp_path)
    for p in ("p01", "p02", "p03"):
        (tmp_path / p / name).write_text(text)
    assert draft([str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert [r["signals"] for r in rows_of(tmp_path)] == [f"p0{n}/recording.csv" for n in (1, 2, 3)]
    assert f"left out   p01/{name}, p02/{name}, p03/{name}: a table of events, no recording" in said
    assert "start_s and end_s, or onset_s" in said
    assert "FILL IN a row for each of its events" in said
    assert {"start_s", "end_s"} <= rows_of(tmp_path)[0].keys()


def test_a_table_of_labels_is_filled_in_and_drafted_again(tmp_path, capsys):
    """The draft of dataset.toml waits for the labels: without them it would have to be removed and drafted once more."""
    long_recordings(tmp_path)
    (tmp_path / "events.csv").write_text(BIDS)
    assert draft([str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "not written" in said
    assert "next       fill in the table, then: python -m dataprep.manifest" in said
    assert not (tmp_path / "dataset.toml").exists()
    rows = [
        f"{p}-{k},{p},{c},{p}/recording.csv,{t},{t + 6}"
        for p in ("p01", "p02", "p03")
        for k, (t, c) in enumerate([(5, "pain"), (20, "rest"), (35, "pain")])
    ]
    manifest(tmp_path, "trial,subject,label,signals,start_s,end_s", rows)
    data, trials, _, _ = read(tmp_path, capsys)
    assert (len(trials), data.n_steps) == (9, 150)


def test_recordings_that_look_like_events_by_their_name_alone_are_recordings(tmp_path, capsys):
    for p, c, n in itertools.product(("p1", "p2"), ("rest", "pain"), (1, 2)):
        columns = [np.arange(600) / 100, eda(600, 100), (np.arange(600) > 300).astype(float)]
        written(tmp_path / f"{p}_{c}{n}" / "events.csv", columns, head="time,eda,trigger\n")
    assert draft([str(tmp_path)]) == 0
    assert len(rows_of(tmp_path)) == 8
    assert "left out   " not in capsys.readouterr().out.replace("left out   'trigger'", "")


def test_what_is_no_recording_is_told(tmp_path, capsys):
    for p, c, n in itertools.product(("p1", "p2"), ("rest", "pain"), (1, 2)):
        written(tmp_path / f"{p}_{c}_{n}.csv", [np.arange(600) / 100, eda(600, 100)], head="time,eda\n")
    for name in ("participants.csv", "plan.xlsx", "a.png", ".hidden"):
        (tmp_path / name).write_text("subject,sex\n")
    assert draft([str(tmp_path)]) == 0
    assert "left out   a.png, participants.csv, plan.xlsx: no recording" in capsys.readouterr().out
    assert len(rows_of(tmp_path)) == 8


def trials(folder: Path, lengths_s: dict[tuple[str, int], float], *, rate_hz: int = 50) -> None:
    """A file a trial: six seconds, or as long as is said of a person's number."""
    for p, c, n in itertools.product([f"p{k:02}" for k in range(1, 6)], ("rest", "pain"), (1, 2)):
        count = round(lengths_s.get((f"{p}_{c}", n), 6.0) * rate_hz)
        written(folder / f"{p}_{c}_{n}.csv", [np.arange(count) / rate_hz, eda(count, rate_hz, n)], head="time,eda\n")


def test_one_short_recording_does_not_decide_the_window(tmp_path, capsys):
    """It is named, and so is what keeps it; the check leaves it out with the reason."""
    trials(tmp_path / "x", {("p05_pain", 2): 2.0})
    assert draft([str(tmp_path / "x")]) == 0
    said = capsys.readouterr().out
    assert "window.length_s: 6 s keeps 19 of 20 trials and loses p05_pain_2 (2 s); 2 s would keep all" in said
    text = (tmp_path / "x" / "dataset.toml").read_text()
    assert "length_s = 6  # guess: the shortest recording, of 20 trials, but for the 1 shortest" in text
    assert tomllib.loads(text)["window"]["length_s"] == 6
    assert check([str(tmp_path / "x"), "--out", str(tmp_path / "look")]) != 2
    assert "p05_pain_2" in (tmp_path / "look" / "findings.csv").read_text()


def test_where_many_are_short_all_are_kept_and_told(tmp_path, capsys):
    trials(tmp_path, {(f"p0{n}_pain", k): 3.0 for n in (1, 2, 3) for k in (1, 2)})
    data, found, _, said = read(tmp_path, capsys)
    assert (len(found), data.n_steps) == (20, 75)
    assert "window.length_s: 3 s keeps all of 20 trials; 6 s would lose 6: p01_pain_1 (3 s)" in said
    assert "and 3 more" in said


def test_recordings_of_one_length_need_no_word(tmp_path, capsys):
    trials(tmp_path, {("p01_pain", 1): 5.9})
    data, _, _, said = read(tmp_path, capsys)
    assert data.n_steps == 147
    assert "window.length_s" not in said


def test_a_long_text_is_measured_whole(tmp_path, capsys):
    """Half an hour at 100 Hz, of which the guess reads the first rows alone."""
    for p in ("p1", "p2"):
        written(tmp_path / f"{p}.csv", [eda(180_000, 100)], head="# sampling rate: 100 Hz\neda\n")
    rows = [f"{p}-{k},{p},{c},{p}.csv,{1790 * k}" for p in ("p1", "p2") for k, c in enumerate(("rest", "pain"))]
    manifest(tmp_path, "trial,subject,label,signals,onset_s", rows)
    data, found, _, _ = read(tmp_path, capsys)
    assert (len(found), data.n_steps) == (4, 250)


def test_one_short_interval_does_not_decide_either(tmp_path, capsys):
    long_recordings(tmp_path)
    starts = [(t, t + 8) for t in (1, 10, 20, 30)]
    rows = [
        f"{p}-{k},{p},{('rest', 'pain')[k % 2]},{p}/recording.csv,{s},{e if (p, k) != ('p03', 3) else s + 1}"
        for p in ("p01", "p02", "p03")
        for k, (s, e) in enumerate(starts)
    ]
    manifest(tmp_path, "trial,subject,label,signals,start_s,end_s", rows)
    assert draft([str(tmp_path)]) == 0
    assert "window.length_s: 8 s keeps 11 of 12 trials and loses p03-3 (1 s); 1 s would keep all" in capsys.readouterr().out
    found, defects = recognise(tmp_path).read_trials(tmp_path)
    assert (len(found), [d.trial_id for d in defects]) == (11, ["p03-3"])


def test_a_trial_that_soon_follows_another_is_told(tmp_path, capsys):
    long_recordings(tmp_path)
    at_s = (1, 10, 20, 23, 40)
    rows = [
        f"{p}-{k},{p},{('rest', 'pain')[k % 2]},{p}/recording.csv,{t}"
        for p in ("p01", "p02", "p03")
        for k, t in enumerate(at_s)
    ]
    manifest(tmp_path, "trial,subject,label,signals,start_s", rows)
    data, _, _, said = read(tmp_path, capsys)
    assert data.n_steps == 75
    assert "window.length_s: 3 s, after which the trial behind p01-2 begins; most have 9.5 s" in said


def test_no_file_is_lost_where_videos_are_joined_to_signals(tmp_path):
    """Two folders of signals beside one of videos: joined by what follows the folder, one of two files would have gone."""
    for folder, p, n in itertools.product(("heat", "rest"), ("p1", "p2"), (1, 2)):
        written(tmp_path / folder / f"{p}_{n}.csv", [np.arange(600) / 100, eda(600, 100)], head="time,eda\n")
    (tmp_path / "video").mkdir()
    for p, n in itertools.product(("p1", "p2"), (1, 2)):
        (tmp_path / "video" / f"{p}_{n}.mp4").write_bytes(b"x")
    said = draft_manifest(tmp_path, tmp_path / "manifest.csv")
    named = [r[part] for r in rows_of(tmp_path) for part in ("video", "signals") if r[part]]
    assert len(named) == len(set(named)) == 12
    assert "signals: 4 of 12 trials name none: no file's name is that of their other one" in said


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (("warm", "heat"), None),  # in the order of the alphabet, heat would be called no pain
        (("A", "B"), None),
        (("stim", "control"), ["control", "stim"]),
        (("high", "low"), ["low", "high"]),
        (("T2", "T1", "T10"), ["T1", "T2", "T10"]),
        (("1", "0"), ["0", "1"]),
    ],
)
def test_which_label_is_without_pain_is_never_guessed_by_the_alphabet(tmp_path, capsys, labels, order) -> None:
    rows = []
    for p, label in itertools.product(("P1", "P2"), labels):
        written(tmp_path / f"{p}_{label}.csv", [np.arange(600) / 100, eda(600, 100)], head="time,EDA\n")
        rows.append(f"{p}-{label},{p},{label},{p}_{label}.csv")
    (tmp_path / "manifest.csv").write_text("\n".join(["trial,subject,label,signals", *rows]) + "\n")
    assert draft([str(tmp_path)]) == 0
    said = capsys.readouterr().out
    settings = tmp_path / "dataset.toml"
    if order:
        assert tomllib.loads(settings.read_text())["classes"]["order"] == order
        return
    assert f"nothing says which of {', '.join(sorted(labels))} is without pain. FILL IT IN" in said
    assert check([str(tmp_path)]) == 2
    assert (
        "classes.order: found no such key, expected the labels in their order: without pain first" in capsys.readouterr().err
    )
    settings.write_text(settings.read_text().replace("# order", "order"))
    assert check([str(tmp_path)]) in (0, 1)


def test_a_table_of_events_with_the_temperature_of_the_stimulus_is_no_recording(tmp_path, capsys) -> None:
    for p in ("P01", "P02", "P03"):
        written(tmp_path / f"{p}.csv", [np.arange(6000) / 100, eda(6000, 100)], head="time,EDA\n")
    table = "Proband;Beginn_s;Bedingung;Temperatur\nP01;5,0;warm;38\nP01;20,0;heiss;46\nP02;5,0;warm;38\n"
    (tmp_path / "events.csv").write_text(table)
    assert draft([str(tmp_path)]) == 0
    assert "left out   events.csv: a table of events, no recording" in capsys.readouterr().out
    assert "events" not in (tmp_path / "manifest.csv").read_text()
