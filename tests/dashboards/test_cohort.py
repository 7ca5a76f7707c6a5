"""The report's section on people and trials: what was left out and whether that depends on the class, folds, order, selection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboards.confounds import read_from_others
from dashboards.exclusions import dependence
from dashboards.report import write_report
from tests.dashboards.test_report import Page

pytestmark = pytest.mark.slow

MakeFolder, Predict, RunRecord = Callable[..., Path], Callable[..., pd.DataFrame], Callable[..., dict[str, Any]]
NAMES = [f"{101 + s:06d}_{'mw'[s % 2]}_{20 + 4 * s}" for s in range(8)]
FOLDS = pd.DataFrame(
    [("all87", "subject", 0, s % 4, name, name[7], int(name[-2:]), 8) for s, name in enumerate(NAMES)],
    columns=["scenario", "protocol", "repeat", "fold", "subject", "sex", "age", "trials"],
)


def trials_of(place: Callable[[int, int], Any] = lambda s, i: "") -> pd.DataFrame:
    """Eight trials of each person, no pain and pain in turn, as `predict` makes them."""
    rows = [
        (f"{name}-{i}", name, ("BL1", "PA4")[i % 2], i % 2, place(s, i), "")
        for s, name in enumerate(NAMES)
        for i in range(8)
    ]
    return pd.DataFrame(rows, columns=["trial_id", "subject", "class_name", "y_true", "place", "previous"])


def quarantined(trials: pd.DataFrame) -> pd.DataFrame:
    rows = [
        (t, s, "signals", f"/d/{t}.csv", f"/d/{t}.csv: found {100 + i} rows, expected 2816", "")
        for i, (t, s) in enumerate(zip(trials["trial_id"], trials["subject"], strict=True))
    ]
    return pd.DataFrame(rows, columns=["trial_id", "subject", "part", "file", "reason", "channels"])


@pytest.fixture
def shown(make_folder: MakeFolder, predict: Predict, run_record: RunRecord) -> Callable[..., Page]:
    """shown(lost trials, …) gives the page of eight people of whom the row eda lacks some trials, and video none."""

    def show(lost: pd.DataFrame, *, trials: pd.DataFrame | None = None, **run: Any) -> Page:
        found = predict(rows=("video", "eda"), scenarios={"all87": NAMES}, folds=4, trials=8)
        found = found[(found["modality"] != "eda") | ~found["sample_name"].isin(lost["trial_id"])]
        record = run_record(**run)
        record["data"]["class_names"] = ["BL1", "PA4"]
        tables = {"folds": FOLDS, "trials": trials_of() if trials is None else trials, "quarantine": quarantined(lost)}
        return Page(write_report(make_folder(found, run=record, **tables)).read_text(encoding="utf-8"))

    return show


def test_trials_of_one_class_that_were_lost_are_counted_and_told_at_the_top(shown: Callable[..., Page]) -> None:
    trials = trials_of()
    pain = trials[trials["y_true"] == 1]
    lost = pd.concat([pain.groupby("subject").head(2), trials[trials["y_true"] == 0].head(1)])
    text = shown(lost).text
    head = text[: text.index("Research software, not a medical device")]
    assert "What was left out depends on the class" in head
    assert "all87, eda: 1 of 32 trials of BL1 and 16 of 32 trials of PA4 were left out" in head
    assert "tested with the signs of the 8 people who lost unequal shares" in head
    assert "signals: found N rows, expected N" in text
    assert "Left out of eda" in text
    assert "Left out of video" not in text


def test_accuracy_is_given_with_the_lost_trials_decided_wrongly_and_by_a_coin(
    make_folder: MakeFolder, predict: Predict
) -> None:
    from dashboards.cohort import section
    from dashboards.results import read_results

    lost = trials_of().groupby("subject").head(2)  # a quarter of everybody's trials
    found = predict(rows=("eda",), scenarios={"all87": NAMES}, folds=4, trials=8)
    found["p_pain"] = found["y_true"].astype(float)
    kept = found[~found["sample_name"].isin(lost["trial_id"])]
    results = read_results(make_folder(kept, folds=FOLDS, trials=trials_of(), quarantine=quarantined(lost)))
    ((group,),) = [panel["left_out"] for panel in section(results)]
    assert group["sensitivity"] == [("eda", 100.0, 75.0, 87.5)]
    assert not group["clear"]
    assert [(name, counts) for name, counts in group["subjects"]] == [(name, [1, 1]) for name in NAMES]


def test_where_nothing_lacks_that_is_said_and_the_folds_are_told(shown: Callable[..., Page]) -> None:
    page = shown(trials_of().head(0), protocol="subject")
    assert "No trial of the people in the tested folds was left out." in page.text
    assert "about half of the others are tested in another fold" in page.text
    assert "The mean age of a fold's people runs from 28 to 40 years." in page.text
    assert "8 of 8 subjects have fewer than 10 tested trials in some row" in page.text
    assert "do not tell the order of trials in time" in page.text


def test_few_people_who_lost_trials_are_no_units() -> None:
    y, subjects = np.tile([0, 1], 40), np.repeat(np.arange(4), 20)
    out = (subjects < 2) & (y == 1)
    said = dependence(y, out, subjects)
    assert said.people == 0
    assert said.clear
    assert not dependence(y, (subjects < 2) & (np.arange(80) % 4 < 2), subjects).clear


def test_losses_that_have_nothing_to_do_with_the_class_are_seldom_called_dependent() -> None:
    """A person's trials are lost together, as those of a camera that failed."""
    rng = np.random.default_rng(1)
    subjects, y = np.repeat(np.arange(20), 8), np.tile([0, 1], 80)
    clear = []
    for _ in range(200):
        first = rng.integers(0, 8, 20)
        out = (np.arange(8) >= first[:, None]).ravel() & np.repeat(rng.random(20) < 0.6, 8)
        clear.append(dependence(rng.permuted(y.reshape(20, 8), axis=1).ravel(), out, subjects).clear)
    assert np.mean(clear) < 0.09


def test_rows_that_see_the_video_of_selected_people_say_so_with_their_age(shown: Callable[..., Page]) -> None:
    scenario = {"subjects": 8, "folds": 4, "not_the_papers": "", "selected": "the facial response in these very trials"}
    page = shown(trials_of().head(0), scenarios={"all87": scenario})
    assert page.text.count("video §") > 1
    assert "§ The people of all87 were selected by the facial response in these very trials" in page.text


@pytest.mark.parametrize(
    ("cue", "clear"),
    [
        (lambda s, i: 1 + (i // 2 if i % 2 == 0 else 4 + i // 2), True),  # no pain first
        (lambda s, i: 1 + (i + s * 3) % 8, False),
    ],
    ids=["pain last", "mixed"],
)
def test_an_order_that_tells_the_class_is_told_at_the_top(cue: Any, clear: bool, shown: Callable[..., Page]) -> None:
    text = shown(trials_of().head(0), trials=trials_of(cue)).text
    head = text[: text.index("Research software, not a medical device")]
    assert ("The order tells the class" in head) == clear
    assert ("the place in the session, in tenths, alone tells the class of 100.0 %" in text) == clear
    assert "the class of the trial before alone tells the class" in text


def test_the_class_is_read_from_other_people_alone() -> None:
    """Each person has an order of its own: it tells nobody else's classes, however well it tells its own."""
    cues = trials_of().assign(place=[f"{s}{y}" for s, y in zip(trials_of()["subject"], trials_of()["y_true"], strict=True)])
    right, _ = read_from_others(cues, "place")
    assert right.mean() == 0.5
