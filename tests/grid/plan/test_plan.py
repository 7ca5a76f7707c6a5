"""The plan of the published grid, from an index of its full size."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dataprep.datasets.biovid import SUBJECTS
from dataprep.manifest.command import EXAMPLE
from dataprep.synthetic.dataset import write_layout
from grid.launch import main

TRUNK = ("--trunk", "mini-xception-fer")


@pytest.fixture(scope="module")
def full_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BioVid tree of full size (87 subjects, 8700 trials) whose recordings are empty files: enough to plan on."""
    root = tmp_path_factory.mktemp("biovid")
    lines = ["subject_id\tsubject_name\tclass_id\tclass_name\tsample_id\tsample_name"]
    for s, subject in enumerate(SUBJECTS, 1):
        for part in ("video", "biosignals_filtered"):
            (root / part / subject).mkdir(parents=True)
        for c, name in enumerate(("BL1", "PA1", "PA2", "PA3", "PA4")):
            for i in range(20):
                sample = f"{subject}-{name}-{i + 81:03d}"
                lines.append(f"{s}\t{subject}\t{c}\t{name}\t{len(lines)}\t{sample}")
                if c in (0, 4):
                    (root / "video" / subject / f"{sample}.mp4").write_bytes(sample.encode())
                    (root / "biosignals_filtered" / subject / f"{sample}_bio.csv").write_bytes(sample.encode())
    (root / "starting_point").mkdir()
    (root / "starting_point" / "samples.csv").write_text("\n".join(lines))
    return root


@pytest.fixture(scope="module")
def every_subject(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 87 subjects with a trial a class: as many fits as with all trials, of fewer files."""
    root = tmp_path_factory.mktemp("subjects") / "data"
    write_layout(root, subjects=87, trials=1)
    return root


@pytest.mark.slow
def test_180_fits_serve_160_cells_and_neither_ray_nor_mlflow_is_imported(full_index: Path, tmp_path: Path) -> None:
    arguments = ["--plan", "--data", str(full_index), "--trunk", "mini-xception-fer", "--out", str(tmp_path / "out")]
    code = f"import sys; from grid.launch import main; assert main({arguments}) == 0; "
    code += "assert not {'ray', 'mlflow'} & set(sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "all87: 87 subjects, 3,480 trials, 480,240 frames" in run.stdout
    assert "expressive67: 67 subjects, 2,680 trials, 235,840 frames" in run.stdout
    assert "160 (8 rows x 2 scenarios x folds): 0 done, 160 to do" in run.stdout
    assert "180 fits serve 160 cells; " in run.stdout
    assert "baselines   160 (8 baselines x 2 scenarios x folds): 0 done, 160 to do" in run.stdout
    assert not (tmp_path / "out" / "store").exists()


def test_the_plan_speaks_of_frames_only_where_rows_take_videos(
    every_subject: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    small = tmp_path / "small.toml"  # the example has too few people for ten folds
    small.write_text('base = "paper"\n[protocol]\nfolds = 2\n')
    told = {}
    for rows, scenario, data in (
        ("eda", "all87", every_subject),
        ("eda,eda+video", "all87", every_subject),
        ("eda", "all", EXAMPLE),
    ):
        asked = ["--modalities", rows, "--scenarios", scenario, "--data", str(data), "--out", str(tmp_path / data.name)]
        assert main(["--plan", "--experiment", str(small), *asked, *TRUNK]) == 0
        (told[rows, data],) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("scenario "))
    assert told["eda", every_subject].endswith("87 subjects, 174 trials")
    assert told["eda,eda+video", every_subject].endswith("87 subjects, 174 trials, 24,012 frames")
    assert told["eda", EXAMPLE].endswith(" trials")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--protocol", "loso"], "1386 fits serve 1232 cells"),
        (["--protocol", "holdout"], "18 fits serve 16 cells"),
        (["--all", "--no-baselines"], "\n180 fits serve 160 cells\n"),
        (["--all"], "\n180 fits serve 160 cells; 160 fits of baselines serve 160 cells\n"),
        (
            ["--all", "--experiment", "demo"],
            "180 fits serve 160 cells; 40 fits of derived signals serve 40 cells; 160 fits of b",
        ),
        (["--modalities", "eda+ecg+emg,eda", "--folds", "0-4"], "20 fits serve 20 cells"),
        (["--modalities", "video", "--scenarios", "all87", "--folds", "3"], "3 fits serve 1 cells"),
    ],
)
def test_other_plans(
    every_subject: Path, tmp_path: Path, capsys: pytest.CaptureFixture, arguments: list[str], expected: str
) -> None:
    base = ["--plan", "--data", str(every_subject), "--trunk", "mini-xception-fer", "--out", str(tmp_path / "out")]
    assert main([*base, *arguments]) == 0
    assert expected in capsys.readouterr().out


def test_recalibration_and_other_onsets_are_counted_apart(
    every_subject: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('base = "paper"\nname = "mine"\n[fit]\ncalibrate = "platt"\n[sensitivity]\nonsets_s = [2, 3, 4]\n')
    where = ["--data", str(every_subject), "--experiment", str(mine), "--out", str(tmp_path / "out")]
    assert main(["--plan", *where, "--modalities", "eda", "--folds", "0"]) == 0
    told = capsys.readouterr().out
    assert "cells       2 (1 row x 2 scenarios x folds): 0 done, 2 to do" in told
    assert "onsets      5 (1 row x 5 scenarios x folds): 0 done, 5 to do" in told  # 2 s is expressive67's own
    assert "calibrate   platt: 7 calibrations, on predictions of 21 further fits in inner folds" in told
    assert "10 fits serve 2 cells; 25 fits of other onsets serve 5 cells" in told
    assert main(["--plan", *where, "--modalities", "eda", "--folds", "0", "--scenarios", "expressive67@3s"]) == 0
    assert "scenario    expressive67@3s: 67 subjects" in capsys.readouterr().out
