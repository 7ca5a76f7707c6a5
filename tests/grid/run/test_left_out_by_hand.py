"""Recordings that a user leaves out by hand (`--exclude`)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from grid.launch import main

pytestmark = pytest.mark.slow


def arguments(data: Path, experiment: Path, out: Path) -> list[str]:
    named = ["--data", str(data), "--experiment", str(experiment), "--out", str(out)]
    return ["--modalities", "eda", "--scenarios", "all87", "--in-process", *named]


@pytest.mark.parametrize("how", ["trial ids in a list", "file names in a list", "the recording itself"])
def test_recordings_left_out_by_hand_are_counted_as_such(
    how: str, tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    table = sorted((tiny_data / "biosignals_filtered").rglob("*.csv"))[4]
    trial = table.stem.removesuffix("_bio")
    listed = tmp_path / "bad.txt"
    listed.write_text(f"# looked at by hand\n\n{trial if 'ids' in how else table.name}  # electrode fell off\n")
    chosen = table if how == "the recording itself" else listed
    given = [*arguments(tiny_data, tiny_experiment, tmp_path / "out"), "--exclude", str(chosen)]
    assert main([*given, "--strict"]) == 0
    left_out = pd.read_csv(tmp_path / "out" / "quarantine.csv")
    assert list(left_out.trial_id) == [trial]
    assert left_out.reason[0].startswith("left out by hand")
    predicted = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert trial not in set(predicted.sample_name)
    assert len(set(predicted.sample_name)) == 9
    assert main([*given, "--plan"]) == 0
    assert "1 recordings are left out by hand" in capsys.readouterr().out


def test_an_exclusion_that_names_nothing_is_bad_input(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    listed = tmp_path / "bad.txt"
    given = [*arguments(tiny_data, tiny_experiment, tmp_path / "out"), "--exclude", str(listed)]
    for content, words in (
        ("no-such-trial\n", f"{listed}, line 1"),
        ("# nothing\n", "found no entry"),
        (None, "cannot be read"),
    ):
        if content is None:
            listed.unlink()
        else:
            listed.write_text(content)
        assert main(given) == 2
        assert words in capsys.readouterr().err
