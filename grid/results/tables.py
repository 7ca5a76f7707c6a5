"""Result tables: predictions in, a row a cell (scores.csv) and a row a (modality, scenario) (Table 2) out.

`predictions` has the columns modality, scenario, protocol, fold, repeat and seed (both 0 where they are missing), subject_name,
sample_name, frame (null but for the rows scored per frame), y_true, and those of the task (painmodels/tasks; of two classes
the probability of the second, y_true 0 or 1). Scores are as the task gives them, fractions are in percent in Table 2, as
the paper prints it (its numbers: `grid/reference/`, Farmani et al., "Multimodal automatic acute pain recognition", Tables 2, 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grid.experiment.cells import CELL, is_further
from grid.experiment.families import FRAME_MEAN, ROW_ORDER
from grid.results.axes import AXES, spread, with_axes
from grid.results.inference import people_of
from grid.results.learned import Mark, marks
from grid.results.selection import scenario_of, sees_test_side, selected_by
from grid.results.stats import intervals
from painmodels.tasks import PAIN, Task

SCENARIOS = ("all87", "expressive67")
LEARNING_COLUMNS = ["learned", "fits_not_learned", "fits_collapsed"]
"""Of scores.csv and table2.csv: 'true', 'false' or empty (no epochs, or not recorded), and counts (grid/results/learned.py)."""
PAPER_METRICS = ("accuracy", "f1", "sensitivity", "specificity")
"""Of the task that the paper has."""
REFERENCE = Path(__file__).parent.parent / "reference"


def in_order(names: Iterable[str], known: Sequence[str]) -> list[str]:
    """The distinct names, those of `known` first and in its order, the others after in the order met."""
    met = list(dict.fromkeys(names))
    return [name for name in known if name in met] + [name for name in met if name not in known]


def prediction_columns(task: Task) -> list[str]:
    """The columns of predictions.parquet."""
    return [*CELL, "subject_name", "sample_name", "frame", "y_true", *task.columns]


def score_columns(task: Task) -> list[str]:
    """The columns of a table of scores, without LEARNING_COLUMNS."""
    return [*CELL, "n_test", *(metric.name for metric in task.metrics)]


def scores_table(predictions: pd.DataFrame, *, cells: Iterable[Sequence[object]] = (), task: Task = PAIN) -> pd.DataFrame:
    """The columns `score_columns`, one row a cell, in canonical order: modality, scenario, protocol, fold, repeat, seed.

    `cells` (modality, scenario, protocol, fold, and repeat and seed where they are not 0) names those that were wanted; one
    without predictions gets n_test 0 and empty metrics. Raises ValueError where a trial (or frame) was predicted twice in a cell.
    """
    predictions = with_axes(predictions)
    wanted = dict.fromkeys((*cell, *(0 for _ in CELL[len(cell) :])) for cell in cells)
    unit = [*CELL, "sample_name", "frame"]
    twice = predictions.duplicated(unit)
    if twice.any():
        first = predictions[unit].iloc[int(np.argmax(twice.to_numpy()))].to_dict()
        raise ValueError(f"{int(twice.sum())} predictions are there twice, the first of them {first}; expected one a unit")
    rows = []
    for key, part in predictions.groupby(CELL, observed=True, sort=False):
        metrics = task.score(*task.of(part))
        rows.append({**dict(zip(CELL, key, strict=True)), "n_test": len(part), **metrics})
    there = {tuple(row[name] for name in CELL) for row in rows}
    rows += [{**dict(zip(CELL, cell, strict=True)), "n_test": 0} for cell in wanted if cell not in there]
    return sort_rows(pd.DataFrame(rows, columns=score_columns(task)).astype(dict.fromkeys(["n_test", *AXES], int)))


def subject_table(predictions: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Every metric over all predictions of a person: a row a (modality, scenario, protocol) and person, with n_test."""
    key = ["modality", "scenario", "protocol", "subject_name"]
    rows = [
        {**dict(zip(key, group, strict=True)), "n_test": len(part), **task.score(*task.of(part))}
        for group, part in predictions.groupby(key, observed=True, sort=False)
    ]
    return sort_rows(pd.DataFrame(rows, columns=[*key, "n_test", *(metric.name for metric in task.metrics)]))


def with_learning(scores: pd.DataFrame, learning: pd.DataFrame) -> pd.DataFrame:
    """A score table with LEARNING_COLUMNS at its end, from a table as `stored_fits.learning_table` makes it."""
    scores, found = with_axes(scores), marks(with_axes(learning), CELL)
    every = [found.get(tuple(cell), Mark()) for cell in scores[CELL].itertuples(index=False)]
    return scores.assign(
        learned=[m.learned for m in every],
        fits_not_learned=[m.not_learned for m in every],
        fits_collapsed=[m.collapsed for m in every],
    )


def with_frame_mean(predictions: pd.DataFrame, task: Task = PAIN) -> pd.DataFrame:
    """The predictions with the row `frame:mean` after them: the mean prediction of a trial's frames, where `frame` is there."""
    frames = predictions[predictions["modality"] == "frame"]
    if frames.empty:
        return predictions
    unit = [name for name in (*CELL, "subject_name", "sample_name") if name in frames]
    how = {"y_true": "first", **dict.fromkeys(task.columns, "mean")}
    means = frames.groupby(unit, observed=True, sort=False).agg(how)
    trials = means.reset_index().astype({"modality": str}).assign(modality=FRAME_MEAN)
    trials["frame"] = pd.array([pd.NA] * len(trials), dtype="Int64")
    both = pd.concat([predictions.astype({"modality": str}), trials[list(predictions.columns)]])
    texts = [name for name in ("scenario", "protocol", "subject_name", "sample_name") if name in both]
    if isinstance(predictions["modality"].dtype, pd.CategoricalDtype):
        order = in_order(both["modality"].unique(), ROW_ORDER)
        both["modality"] = pd.Categorical(both["modality"], categories=order)
        both = both.astype(dict.fromkeys(texts, "category"))
        return both.sort_values("modality", kind="stable", ignore_index=True)
    return both.reset_index(drop=True)


def sort_rows(table: pd.DataFrame) -> pd.DataFrame:
    """The rows in canonical order of modality, then scenario, then protocol, fold, repeat and seed; the index is renumbered."""
    rank = {
        "modality": {name: i for i, name in enumerate(in_order(table["modality"], ROW_ORDER))},
        "scenario": {name: i for i, name in enumerate(in_order(table["scenario"], SCENARIOS))},
    }
    by = [name for name in CELL if name in table]
    return table.sort_values(by, key=lambda c: c.map(rank[c.name]).astype(int) if c.name in rank else c, ignore_index=True)


@cache
def paper_table2() -> pd.DataFrame:
    """The published Table 2, in percent, indexed by (modality, scenario). Do not change it: the same object is shared."""
    return pd.read_csv(REFERENCE / "paper_table2.csv").set_index(["modality", "scenario"])


@cache
def paper_table3() -> pd.DataFrame:
    """The published Table 3: study, modality, validation, method, accuracy_67, accuracy_87 (percent or NaN)."""
    return pd.read_csv(REFERENCE / "paper_table3.csv")


@cache
def published_systems() -> pd.DataFrame:
    """Published accuracy of rows of other methods: row, study, validation, accuracy_67, accuracy_87 (percent or NaN), source."""
    return pd.read_csv(REFERENCE / "published_systems.csv")


def is_the_papers(facts: Mapping[str, Any], scored: pd.DataFrame, n_subjects: object) -> bool:
    """True if a row may stand beside the paper's: its scenario is the paper's, and no fold and nobody is missing.

    `scored` has a row per cell of the row that has scores; `facts` are those of the scenario in run.json.
    """
    if facts.get("not_the_papers") != "":
        return False
    cells = with_axes(scored)
    by_run = cells.groupby(["repeat", "seed"])["fold"].nunique()
    return len(by_run) > 0 and bool((by_run == facts.get("folds")).all()) and n_subjects == facts.get("subjects")


def table2(
    scores: pd.DataFrame,
    predictions: pd.DataFrame,
    learned: Mapping[tuple[str, ...], Mark] | None = None,
    run: Mapping[str, Any] | None = None,
    *,
    task: Task = PAIN,
) -> pd.DataFrame:
    """One row a (modality, scenario, protocol), fractions in percent and percentage points; none of a sensitivity analysis.

    Columns: modality, scenario, protocol, folds (with scores), folds_wanted, repeats and seeds (as wanted), cells (with scores),
    cells_wanted, n_subjects; for the task's metrics the METRIC_mean over the cells that define it and its METRIC_sd over folds,
    METRIC_sd_repeats over partitions and METRIC_sd_seeds over fit seeds (`axes.spread`), METRIC_cells how many define it;
    METRIC_low and METRIC_high (95 %, inference.py; `run` is run.json; NaN where it cannot be told); n_trials and
    n_pain (tested, and those not of the first class among them, however often each was predicted); balanced (every
    fold tests as many pain as no-pain units); in the paper's task paper_METRIC and difference_METRIC (ours - paper, NaN
    where the numbers are none of the paper's: see `is_the_papers`) for PAPER_METRICS; people (of the scenario, tested or
    not) and folds_in_all (of a partition); LEARNING_COLUMNS and `mark`, from the
    marks in `learned`; selected_by and sees_test_side (selection.py).
    """
    key = ["modality", "scenario", "protocol"]
    scores, predictions = (t[~t["scenario"].astype(str).map(is_further).astype(bool)] for t in (scores, predictions))
    scores, predictions = with_axes(scores), with_frame_mean(with_axes(predictions), task)
    read = scores_table(predictions[predictions["modality"] == FRAME_MEAN], task=task)
    shown, main, is_papers_task = task.metrics, task.main, "paper" in task.sections
    scores = pd.concat([scores, read], ignore_index=True) if len(read) else scores
    tested = {str_key(k): part for k, part in predictions.groupby(key, observed=True, sort=False)}
    rows = []
    for group, cells in scores.groupby(key, observed=True, sort=False):
        row: dict[str, object] = dict(zip(key, group, strict=True))
        scored = cells[cells[main.name].notna()]
        facts = scenario_of(run or {}, str(group[1]))
        row |= {"people": facts.get("subjects", np.nan), "folds_in_all": facts.get("folds", np.nan)}
        row |= {"folds": scored["fold"].nunique(), "folds_wanted": cells["fold"].nunique()}
        row |= {"repeats": cells["repeat"].nunique(), "seeds": cells["seed"].nunique()}
        row |= {"cells": len(scored), "cells_wanted": len(cells)}
        for metric in shown:
            row |= {f"{metric.name}_{what}": metric.scale * value for what, value in spread(cells, metric.name).items()}
            row[f"{metric.name}_cells"] = int(cells[metric.name].notna().sum())
        part = tested.get(str_key(group))
        if part is not None:
            row["n_subjects"] = part["subject_name"].nunique()
            found = intervals(part, [m.name for m in shown], people=people_of(facts, [str(group[2])]), task=task)
            row |= {f"{m.name}_low": m.scale * max(found[m.name].low, m.low) for m in shown}
            row |= {f"{m.name}_high": m.scale * min(found[m.name].high, m.high) for m in shown}
            trials = part.drop_duplicates("sample_name")["y_true"]
            row |= {"n_trials": len(trials), "n_pain": int((trials > 0).sum()) if task.n_classes else 0}
            row["balanced"] = is_papers_task and bool((part.groupby(["repeat", "fold"])["y_true"].mean() == 0.5).all())
        published = paper_table2().to_dict("index").get((str(group[0]), str(group[1])), {})
        paper = published if is_papers_task and is_the_papers(facts, scored, row.get("n_subjects")) else {}
        for name in PAPER_METRICS if is_papers_task else ():
            theirs = float(paper.get(name, np.nan))
            row |= {f"paper_{name}": theirs, f"difference_{name}": row[f"{name}_mean"] - theirs}  # type: ignore[operator]
        fitted = ("frame", *group[1:]) if str(group[0]) == FRAME_MEAN else group
        mark = (learned or {}).get(str_key(fitted), Mark())
        row |= {"learned": mark.learned, "fits_not_learned": mark.not_learned, "fits_collapsed": mark.collapsed}
        sees = sees_test_side(run or {}, str(group[0]), str(group[1]))
        rows.append({**row, "mark": mark.symbol, "selected_by": selected_by(facts, str(group[0])), "sees_test_side": sees})
    columns = [
        *key,
        "folds",
        "folds_wanted",
        "repeats",
        "seeds",
        "cells",
        "cells_wanted",
        "n_subjects",
        "people",
        "n_trials",
        "n_pain",
    ]
    columns.insert(columns.index("repeats"), "folds_in_all")
    kinds = ("mean", "sd", "sd_repeats", "sd_seeds", "cells", "low", "high")
    columns += [f"{metric.name}_{what}" for metric in shown for what in kinds]
    columns += ["balanced"]
    columns += [f"{what}_{name}" for name in (PAPER_METRICS if is_papers_task else ()) for what in ("paper", "difference")]
    columns += [*LEARNING_COLUMNS, "mark", "selected_by", "sees_test_side"]
    table = sort_rows(pd.DataFrame(rows, columns=columns))
    counts = {name: table[name].fillna(0).astype(int) for name in ("n_subjects", "n_trials", "n_pain")}
    return table.assign(**counts, balanced=table["balanced"].eq(True))


def identity_check(table: pd.DataFrame) -> pd.DataFrame:
    """accuracy - (sensitivity + specificity) / 2 of each row of Table 2 in points: `gap` for ours, `paper_gap` for theirs.

    It is exactly 0 where every fold tests as many pain as no-pain units (`balanced`). So a gap there means a wrong number.
    `holds` and `paper_holds` allow 0.02 points, what rounding to two decimals can make; False where there are no numbers.
    """
    out = table[["modality", "scenario", "protocol", "balanced"]].copy()
    out["gap"] = table["accuracy_mean"] - (table["sensitivity_mean"] + table["specificity_mean"]) / 2
    out["paper_gap"] = table["paper_accuracy"] - (table["paper_sensitivity"] + table["paper_specificity"]) / 2
    out["holds"] = out["gap"].abs() <= 0.02
    out["paper_holds"] = out["paper_gap"].abs() <= 0.02
    return out


def str_key(group: Iterable[object]) -> tuple[str, ...]:
    """A group's key as strings, so that categorical and text columns meet."""
    return tuple(str(part) for part in group)
