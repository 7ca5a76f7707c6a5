"""Thirty-six kinds of damage in one data set: each is named, the rest is unharmed, nothing crashes or hangs."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import cv2
import pandas as pd
import pytest

from dataprep.check import command
from dataprep.synthetic.dataset import write_synthetic
from grid.launch import main
from tests.grid.work.planted import NOWHERE, ROWS, SIGNALS, VIDEO, Defect

pytestmark = pytest.mark.slow

FOLDERS = {"video": ("video", ".mp4"), "signals": ("biosignals_filtered", "_bio.csv")}


@dataclass(frozen=True)
class Tree:
    """A damaged data set: which trial got which defect, by part; `trials` is every trial written, `duplicates` have one video."""

    path: Path
    trials: tuple[str, ...]
    planted: dict[tuple[str, str], Defect]
    duplicates: tuple[str, ...]

    def file(self, trial: str, part: str) -> Path:
        folder, ending = FOLDERS[part]
        return self.path / folder / trial.split("-")[0] / f"{trial}{ending}"

    def sound(self, part: str) -> set[str]:
        """The trials whose recording of a part is usable."""
        return {t for t in self.trials if not (d := self.planted.get((t, part))) or not d.kind or not d.unusable}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    path = tmp_path_factory.mktemp("planted") / "data"
    write_synthetic(path, subjects=5, trials=3, size=(320, 240))
    index = path / "starting_point" / "samples.csv"
    lines = index.read_text().splitlines()
    trials = tuple(line.split("\t")[5] for line in lines[1:])
    spread = sorted(trials, key=lambda t: (int(t[-3:]), t))  # subject by subject in turn: all keep something usable
    planted = {(t, "video"): d for t, d in zip(spread, VIDEO, strict=False)}
    planted |= {(t, "signals"): d for t, d in zip(reversed(spread), SIGNALS, strict=False)}
    assert len(planted) == len(VIDEO) + len(SIGNALS)
    tree = Tree(path, trials, planted, tuple(spread[-2:]))
    for (trial, part), defect in planted.items():
        defect.damage(tree.file(trial, part))
    added = [row.format(good=lines[1]) for _, row, _ in ROWS] + [NOWHERE]
    index.write_bytes("\n".join([*lines, *added, ""]).encode(errors="surrogateescape"))
    twin = tree.file(spread[-1], "video")
    shutil.copy(tree.file(spread[-2], "video"), twin)  # two recordings of the same bytes
    shutil.copy(twin, twin.with_name("071309_w_21-BL1-999.mp4"))  # a file that no row names
    return tree


@pytest.fixture(scope="module")
def checked(tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("checked")
    assert command.main([str(tree.path), "--out", str(out), "--jobs", "2"]) == 1
    return out


def test_the_census_gives_each_its_reason_and_the_others_none(tree: Tree, checked: Path) -> None:
    found = json.loads((checked / "check.json").read_text())
    by_place = {
        (f["trial_id"], f["part"]): f for f in found["findings"] if f["kind"] not in ("index", "duplicate", "orphan")
    }
    for place, defect in tree.planted.items():
        if not defect.kind:
            assert place not in by_place, defect.name
            continue
        finding = by_place.pop(place)
        assert (finding["kind"], finding["unusable"]) == (defect.kind, defect.unusable), (defect.name, finding)
        assert defect.words in finding["reason"], defect.name
        assert tree.file(*place).name in finding["reason"], defect.name
    nowhere = [by_place.pop((NOWHERE.split("\t")[5], part)) for part in ("video", "signals")]
    assert all(f["kind"] == "missing" and "the subject's folder" in f["reason"] for f in nowhere)
    assert by_place == {}
    usable = {part: {t["trial_id"] for t in found["trials"] if t["usable"].get(part)} for part in FOLDERS}
    assert usable == {part: tree.sound(part) for part in FOLDERS}


def test_the_census_names_bad_rows_twins_and_orphans(tree: Tree, checked: Path) -> None:
    findings = pd.read_csv(checked / "findings.csv").fillna("")
    rows = findings[findings.kind == "index"]
    assert len(rows) == len(ROWS)
    for (name, _, words), reason in zip(ROWS, rows.reason, strict=True):
        assert words in reason, name
        assert "samples.csv: row" in reason, name
    assert findings[findings.kind == "duplicate"].trial_id.tolist() == [max(tree.duplicates, key=tree.trials.index)]
    orphan = findings[findings.kind == "orphan"]
    assert [Path(f).name for f in orphan.file] == ["071309_w_21-BL1-999.mp4"]


def test_the_census_counts_and_measures(tree: Tree, checked: Path) -> None:
    counts = json.loads((checked / "check.json").read_text())["counts"]
    assert counts["trials_expected"] == len(tree.trials) + len(ROWS) + 1
    assert (counts["trials_missing"], counts["rows_refused"]) == (3, len(ROWS))
    trials = pd.read_csv(checked / "trials.csv").set_index("trial_id")
    names = {d.name: t for (t, part), d in tree.planted.items() if part == "video"}
    assert trials.loc[names["100 frames"], "frames"] == 100
    assert trials.loc[names["wrong rate"], "rate_hz"] == 30
    assert trials.loc[names["no face"], "face_share"] == 0
    assert trials.loc[names["face away for 2 s"], "face_share"] == pytest.approx(88 / 138)
    assert trials.loc[names["two faces"], "faces"] == 2
    names = {d.name: t for (t, part), d in tree.planted.items() if part == "signals"}
    assert trials.loc[names["NaN block"], "eda_nan"] == 100
    assert trials.loc[names["Inf"], "ecg_infinite"] == 1
    assert trials.loc[names["short"], "eda_rows"] == 1999
    assert trials.loc[names["clipped"], "eda_clipped"] > 0.2
    for picture, least in (("faces.png", 5 * 130), ("signals.png", 600)):
        assert cv2.imread(str(checked / picture)).shape[0] >= least


def test_the_grid_quarantines_exactly_what_the_census_refuses(
    tree: Tree, checked: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    command = ["--modalities", "eda,frame,eda+ecg+emg", "--scenarios", "all87", "--data", str(tree.path)]
    command += ["--experiment", str(tiny_experiment), "--out", str(out), "--in-process"]
    assert main(command) == 0
    expected = pd.read_csv(checked / "findings.csv").fillna("")
    expected = expected[expected.unusable]
    left_out = pd.read_csv(out / "quarantine.csv").fillna("")
    places = [list(zip(table.trial_id, table.part, strict=True)) for table in (expected, left_out)]
    assert sorted(places[0]) == sorted(places[1])
    pipe = left_out.reason.str.contains("cannot be read")  # the grid gives up on a pipe before it is opened
    assert set(left_out.reason[~pipe]) <= set(expected.reason)
    assert f"{len(left_out)} recordings left out" in capsys.readouterr().out
    report = (out / "report.html").read_text()
    assert "class_id &#39;4&#39; with class_name" in report or "class_id '4' with class_name" in report
    predictions = pd.read_parquet(out / "predictions.parquet")
    for row, part in (("eda+ecg+emg", "signals"), ("frame", "video")):
        assert set(predictions[predictions.modality == row].sample_name) == tree.sound(part), row
    assert main([*command, "--strict"]) == 2
    assert "--strict" in capsys.readouterr().err


def test_exit_codes_and_words(tree: Tree, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert command.main([str(tiny_data), "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert "10 expected by the index, 10 found" in said
    assert "verdict    clean" in said
    assert command.main([str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
    ruined = Path(shutil.copytree(tiny_data, tmp_path / "ruined"))
    shutil.rmtree(ruined / "video")
    for file in (ruined / "biosignals_filtered").rglob("*.csv"):
        file.write_bytes(b"")
    assert command.main([str(ruined), "--json", "--jobs", "1"]) == 2
    assert json.loads(capsys.readouterr().out)["verdict"] == "unusable"
