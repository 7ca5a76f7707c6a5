"""What the report says under a protocol follows from what the protocol's own file says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboards.results import read_results
from dataprep.records import InputError
from grid import protocols
from grid.results.cards import cards
from painmodels.tasks import PAIN
from painmodels.use.card import card
from tests.dashboards.test_report import FEW, MakeFolder, Predict, RunRecord, page_of

MINE = """
from grid.protocols import FoldSplit


def split(index, *, folds, seed, holdout=None):
    subject_of = dict(zip(index.trial_ids, index.subjects))
    return (FoldSplit("mine", 0, train=index.trial_ids[::2], test=index.trial_ids[1::2], subject_of=subject_of),)
"""
pytestmark = pytest.mark.slow

COUNTED = {"cells": 20, "training_sets": 10, "trials_on_both_sides": 0, "people_on_both_sides": 20, "searched_on_tested": 0}


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """register(text) adds `mine.py` with that text to the protocols."""
    folder = tmp_path / "protocols"
    folder.mkdir()
    monkeypatch.setattr(protocols, "__path__", [*protocols.__path__, str(folder)])
    monkeypatch.setattr(protocols, "mine", None, raising=False)

    def forget() -> None:
        sys.modules.pop("grid.protocols.mine", None)
        protocols.protocols.cache_clear()

    def write(text: str) -> None:
        (folder / "mine.py").write_text(MINE + text)
        forget()

    yield write
    forget()


def told(make_folder: MakeFolder, predict: Predict, run: dict[str, Any], protocol: str = "mine") -> tuple[str, Path]:
    folder = make_folder(predict(rows=("eda",), scenarios=FEW, protocol=protocol), run={**run, "separation": COUNTED})
    return page_of(folder).text, folder


def test_a_new_protocol_says_itself_that_tested_people_train(
    make_folder: MakeFolder, predict: Predict, run_record: RunRecord, register: Callable[[str], None]
) -> None:
    register('IN_WORDS = "every second trial is tested"\nTESTED_PEOPLE_TRAIN = True\n')
    run = run_record(protocol="mine", signals={"normalise": "subject"})
    text, folder = told(make_folder, predict, run)
    assert "Folds: every second trial is tested." in text
    assert "people both tested and trained with: in 20 cells, as the protocol has it." in text
    head = text[: text.index("Research software, not a medical device")]
    assert "Identity leaks" in head
    assert "Protocol “mine” puts trials of one subject on both sides of a fold" in head
    assert "those of the training side and those of the tested side apart" in head
    assert "Under “mine” the new trials are of people whom the network has met." in text
    assert "the same people, other trials of them" in (folder / "tripod-ai.md").read_text()
    about = {"cell": "", "synthetic": False, "channels": ["eda"], "video": [], "n_steps": 138, "clock_hz": 25.0}
    about |= {"reader": "biovid", "classes": ["BL1", "PA4"], "method": "hybrid", "networks": [], "trunk": {}}
    results = read_results(folder)
    facts = cards(run, PAIN, results.scores, results.predictions, {})["eda/all87/mine"]
    of_model = card(about, run, results.scores.iloc[0].to_dict(), facts, gives=PAIN.gives)
    assert "people who also trained it: too high for people it has never seen" in of_model


def test_a_protocol_that_does_not_say_so_is_not_excused(
    make_folder: MakeFolder, predict: Predict, run_record: RunRecord, register: Callable[[str], None]
) -> None:
    register("")
    text, _ = told(make_folder, predict, run_record(protocol="mine"))
    assert "people both tested and trained with: in 20 cells." in text
    assert "Identity leaks" not in text
    assert "whom the network has met" not in text


def test_a_protocol_may_word_its_caution_or_have_none(register: Callable[[str], None]) -> None:
    register('TESTED_PEOPLE_TRAIN = True\nCAUTION = "Every second trial trains."\n')
    assert protocols.caution("mine") == "Every second trial trains."
    assert [protocols.caution(name) for name in ("subject", "personal-4", "of-another-version")] == ["", "", ""]
    assert protocols.caution("sample").startswith("Protocol “sample” puts trials of one subject on both sides")


def test_people_on_both_sides_are_refused_unless_the_protocol_says_so(register: Callable[[str], None]) -> None:
    class Index:
        trial_ids = ("a1", "a2")
        subjects = ("a", "a")

    register("")
    with pytest.raises(InputError, match="mine fold 0: subjects on both sides"):
        protocols.protocols()["mine"](Index, folds=1, seed=0)
    register("TESTED_PEOPLE_TRAIN = True\n")
    assert protocols.protocols()["mine"](Index, folds=1, seed=0)[0].test == ("a2",)


def test_without_calibration_nobody_who_is_tested_trains() -> None:
    assert [protocols.tested_people_train(f"personal-{k}") for k in (0, 2, 4, 8)] == [False, True, True, True]
    assert [protocols.tested_people_train(name) for name in ("sample", "subject", "loso", "another")] == [True, *[False] * 3]
