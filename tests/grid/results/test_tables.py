from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataprep.datasets import dataset as dataset_named
from dataprep.datasets.biovid import SUBJECTS
from dataprep.records import SampleIndex
from grid.experiment.cells import PAPER_ROWS
from grid.experiment.config import load
from grid.plan.inventory import Inventory
from grid.plan.specs import Plan
from grid.results.table2_files import write_table2
from grid.results.tables import identity_check, paper_table2, score_columns, scores_table, table2
from grid.run.notes import notes
from grid.run.scenario_facts import scenario_facts
from grid.tracking.row_facts import warnings_of
from painmodels.tasks import PAIN, task


def predictions(modalities: tuple[str, ...], *, scenario: str = "all87", subjects: int = 6, folds: int = 3) -> pd.DataFrame:
    """Four trials a subject, two of either class, both pain trials right and one of the others wrong for odd subjects."""
    rows = []
    for modality in modalities:
        for s in range(subjects):
            for i, (y, p) in enumerate([(1, 0.9), (1, 0.8), (0, 0.2), (0, 0.6 if s % 2 else 0.1)]):
                frame = i if modality == "frame" else pd.NA
                rows.append((modality, scenario, "subject", s % folds, f"s{s}", f"s{s}-{i}", frame, y, p))
    columns = ["modality", "scenario", "protocol", "fold", "subject_name", "sample_name", "frame", "y_true", "p_pain"]
    return pd.DataFrame(rows, columns=columns).astype({"frame": "Int64"})


def papers(subjects: int, folds: int) -> dict[str, dict]:
    """What run.json says of two scenarios that are the paper's."""
    return {name: {"subjects": subjects, "folds": folds, "not_the_papers": ""} for name in ("all87", "expressive67")}


def test_scores_have_the_columns_and_order_of_the_grid() -> None:
    table = scores_table(
        pd.concat([predictions(("zeta", *reversed(PAPER_ROWS))), predictions(("eda",), scenario="expressive67")])
    )
    assert list(table.columns) == score_columns(PAIN)
    assert list(dict.fromkeys(table["modality"])) == [*PAPER_ROWS, "zeta"]
    assert table[table["modality"] == "eda"]["scenario"].tolist() == ["all87"] * 3 + ["expressive67"] * 3
    assert table[table["modality"] == "video"]["fold"].tolist() == [0, 1, 2]
    assert (table["n_test"] == 8).all()


def test_a_wanted_cell_without_predictions_is_an_empty_row() -> None:
    wanted = [("eda", "all87", "subject", fold) for fold in range(4)]
    table = scores_table(predictions(("eda",)), cells=wanted)
    assert table["fold"].tolist() == [0, 1, 2, 3]
    assert table["n_test"].tolist() == [8, 8, 8, 0]
    assert table.loc[3, [metric.name for metric in PAIN.metrics]].isna().all()
    summary = table2(table, predictions(("eda",)))
    assert summary.loc[0, ["folds", "folds_wanted"]].tolist() == [3, 4]


def test_a_trial_predicted_twice_is_refused() -> None:
    table = predictions(("eda",))
    with pytest.raises(ValueError, match="s0-0"):
        scores_table(pd.concat([table, table.iloc[:1]], ignore_index=True))


def test_table2_is_in_percent_with_spread_interval_and_the_papers_numbers() -> None:
    data = predictions(("eda",), subjects=6, folds=2)  # fold 0: no wrong trial; fold 1: one of four
    row = table2(scores_table(data), data, run={"scenarios": papers(6, 2)}).loc[0]
    assert row["accuracy_mean"] == pytest.approx(87.5)
    assert row["accuracy_sd"] == pytest.approx(np.std([100, 75], ddof=1))
    assert row["sensitivity_mean"] == 100
    assert row["specificity_mean"] == 75
    assert 60 < row["accuracy_low"] < 75 < 87.5 < row["accuracy_high"] <= 100  # three people train with one another
    assert (row["folds"], row["n_subjects"]) == (2, 6)
    assert row["paper_accuracy"] == 82.69
    assert row["difference_accuracy"] == pytest.approx(87.5 - 82.69)


@pytest.mark.parametrize(
    ("scenario", "facts"),
    [
        ("everybody", {"everybody": {"subjects": 6, "folds": 3, "not_the_papers": ""}}),
        ("all87", {"all87": {"subjects": 6, "folds": 3, "not_the_papers": "the data are not BioVid Part A"}}),
        ("all87", {"all87": {"subjects": 6, "folds": 10, "not_the_papers": ""}}),  # three of ten folds
        ("all87", {"all87": {"subjects": 87, "folds": 3, "not_the_papers": ""}}),  # six of 87 people
        ("all87", None),
    ],
)
def test_the_papers_numbers_stand_only_where_they_belong(scenario: str, facts: dict | None) -> None:
    data = predictions(("eda",), scenario=scenario)
    row = table2(scores_table(data), data, run={"scenarios": facts or {}}).loc[0]
    assert np.isnan(row["paper_accuracy"])
    assert np.isnan(row["difference_accuracy"])


@pytest.mark.parametrize(
    ("subjects", "classes", "changes", "reason"),
    [
        (SUBJECTS, (0, 4), {}, ""),
        (SUBJECTS, (0, 1), {}, "the paper tells BL1 from PA4, this run BL1 from PA1"),
        (SUBJECTS[:12], (0, 4), {}, "the paper has 87 people, these data 12 of them"),
        (tuple(f"p{i}" for i in range(87)), (0, 4), {}, "the paper has 87 people, these data 0 of them"),
        (SUBJECTS, (0, 4), {"all87": {"subset": "all", "skip_s": 1.0}}, "the paper drops 0 s of each trial, this run 1 s"),
        (
            SUBJECTS,
            (0, 4),
            {"all87": {"subset": "all", "end_s": 4.0}},
            "the paper uses each trial to its end, this run to 4 s",
        ),
    ],
)
def test_a_run_says_whether_its_scenario_is_the_papers(
    subjects: tuple[str, ...], classes: tuple[int, int], changes: dict, reason: str, tmp_path: Path
) -> None:
    ids = [f"{s}-{label}" for s in subjects for label in (0, 1)]
    index = SampleIndex(tuple(ids), tuple(i.rpartition("-")[0] for i in ids), tuple(int(i[-1]) for i in ids))
    biovid = dataset_named("biovid")
    learns = task("binary", tuple(biovid.classes[c] for c in classes))
    survey = Inventory(dataset=biovid, path=tmp_path, index=index, fingerprint="", learns=learns)
    facts = scenario_facts(load("paper", scenarios=changes), survey, "all87")
    assert facts["not_the_papers"] == reason
    assert (facts["subjects"], facts["folds"], facts["subset_size"]) == (len(subjects), 10, 87)
    survey.dataset = dataset_named("synthetic")
    assert scenario_facts(load("paper"), survey, "all87")["not_the_papers"] == "the data are not BioVid Part A"


def test_settings_that_were_chosen_on_the_people_of_a_run_are_told(tmp_path: Path) -> None:
    recommended, index = load("recommended"), SampleIndex(("a",), ("s",), (0,))
    told = {}
    for name in ("stress-predict", "biovid"):
        data = dataset_named(name)
        learns = task("binary", data.two)
        told[name] = notes(
            recommended, Inventory(dataset=data, path=tmp_path, index=index, fingerprint="", learns=learns), Plan()
        )
    assert told["stress-predict"] == [
        "Optimistic: settings of this experiment were chosen by what they gave on people of stress-predict ([claims] "
        "chosen_on), so "
        "its rows may be too good on these people."
    ]
    assert told["biovid"] == []


def test_categorical_columns_give_the_same_table() -> None:
    data = predictions(("eda", "ecg"))
    small = data.astype(dict.fromkeys(("modality", "scenario", "protocol", "subject_name", "sample_name"), "category"))
    pd.testing.assert_frame_equal(table2(scores_table(data), data), table2(scores_table(small), small), check_dtype=False)


def test_identity_holds_for_balanced_folds_and_shows_where_the_paper_breaks_it() -> None:
    data = pd.concat([predictions(("video", "eda"), scenario=name) for name in ("all87", "expressive67")])
    check = identity_check(table2(scores_table(data), data, run={"scenarios": papers(6, 3)})).set_index(
        ["modality", "scenario"]
    )
    assert check["balanced"].all()
    assert check["holds"].all()
    assert round(check.loc[("video", "expressive67"), "paper_gap"], 2) in (7.26, 7.27)
    assert round(check.loc[("eda", "expressive67"), "paper_gap"], 2) == 3.68
    assert round(check.loc[("video", "all87"), "paper_gap"], 2) == 1.37
    assert not check.loc[("video", "expressive67"), "paper_holds"]


def test_identity_shows_unbalanced_folds() -> None:
    data = predictions(("eda",)).drop(index=[0, 1])  # a subject without its pain trials
    check = identity_check(table2(scores_table(data), data)).loc[0]
    assert not check["balanced"]
    assert not check["holds"]


def test_written_tables_can_be_read_again(tmp_path: Path) -> None:
    data = predictions(("eda", "my_row&co"))
    table = table2(scores_table(data), data, run={"scenarios": papers(6, 3)})
    csv, tex = write_table2(table, tmp_path, data="biovid")
    assert pd.read_csv(csv)["accuracy_mean"].tolist() == table["accuracy_mean"].round(2).tolist()
    text = tex.read_text()
    assert r"my\_row\&co" in text
    assert text.count(r" \\") == 4  # the note on the numbers is one
    assert "82.69" in text
    assert "synthetic" not in text


def test_tables_of_synthetic_data_say_so(tmp_path: Path) -> None:
    data = predictions(("eda",))
    csv, tex = write_table2(table2(scores_table(data), data), tmp_path, data="synthetic data")
    assert set(pd.read_csv(csv)["data"]) == {"synthetic data"}
    head = tex.read_text().splitlines()[0].partition("}{")[2]
    assert rf"\multicolumn{{{len(head) - 1}}}{{l}}{{synthetic data: the numbers say nothing about pain}}" in tex.read_text()


def test_files_say_of_rows_that_see_the_video_that_their_people_were_selected_by_it(tmp_path: Path) -> None:
    data = predictions(("frame", "video", "eda", "eda+video"), scenario="expressive67")
    by = "the facial response in these very trials"
    facts = {"expressive67": {**papers(6, 3)["expressive67"], "selected": by}}
    csv, tex = write_table2(table2(scores_table(data), data, run={"scenarios": facts or {}}), tmp_path, data="biovid")
    said = pd.read_csv(csv, keep_default_na=False).set_index("modality")["selected_by"]
    assert said.to_dict() == {**dict.fromkeys(("frame", "frame:mean", "video", "eda+video"), by), "eda": ""}
    assert tex.read_text().count(r"\S") == 5  # four rows and the note, which is a line of the table
    assert r"\S The people of expressive67 were selected by the facial response" in tex.read_text()
    run, cell = {"scenarios": facts}, {"scenario": "expressive67", "modality": "video"}
    assert warnings_of(run, [cell])["people_selected_by"] == by
    assert "people_selected_by" not in warnings_of(run, [{**cell, "modality": "ecg"}])


def test_the_reference_has_all_sixteen_rows_of_the_paper() -> None:
    assert set(paper_table2().index) == {(row, scenario) for row in PAPER_ROWS for scenario in ("all87", "expressive67")}
