"""What is known of a row in a scenario, as its parent run in MLflow shows it: means, interval, the paper's numbers, the claim."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from dataprep.rounding import rounded
from grid.experiment.cells import is_further
from grid.experiment.families import FRAME_MEAN
from grid.results import selection
from grid.results.axes import AXES, spread
from grid.results.inference import FEW_PEOPLE, WIDER, people_of
from grid.results.learned import Mark
from grid.results.stats import against_chance, over_people
from grid.results.tables import is_the_papers, paper_table2, scores_table, with_frame_mean
from painmodels.tasks import Task


@dataclass
class RowFacts:
    """The tables of one result folder: `run` is run.json, `predictions` None where they are not in the folder."""

    run: dict[str, Any]
    task: Task
    scores: pd.DataFrame
    predictions: pd.DataFrame | None
    _against: dict[str, pd.DataFrame] = field(default_factory=dict)

    def values(self, modality: str, scenario: str) -> dict[str, float]:
        """Mean and spread of every metric, the interval of the main one, the paper's value and the difference from it."""
        mine = self.scores[(self.scores.modality == modality) & (self.scores.scenario == scenario)]
        found: dict[str, float] = {}
        paper = self._paper(modality, scenario, mine)
        for metric in (m.name for m in self.task.metrics):
            found |= {f"{metric}_{what}": value for what, value in spread(mine, metric).items()}
            if metric in paper:
                found[f"{metric}_paper"] = paper[metric] / 100
                found[f"{metric}_difference"] = found[f"{metric}_mean"] - found[f"{metric}_paper"]
        found |= self._interval(modality, scenario)
        if modality == "frame":
            found |= self._of_trials(scenario)
        main = self.task.main.name
        found[main] = found[f"{main}_mean"]  # under the name that a fold's run has: one column shows both
        scored = mine[mine[main].notna()]
        return found | {f"{axis}s": float(scored[axis].nunique()) for axis in AXES} | {"cells": float(len(scored))}

    def of(self, modality: str, scenario: str) -> pd.DataFrame:
        """The predictions of a row; without a line where there are none."""
        if self.predictions is None:
            return pd.DataFrame()
        return self.predictions[(self.predictions.modality == modality) & (self.predictions.scenario == scenario)]

    def _people(self, scenario: str) -> int | None:
        protocols: Any = [] if self.predictions is None else self.predictions["protocol"].astype(str).unique()
        return people_of(self.run.get("scenarios", {}).get(scenario, {}), protocols)

    def _paper(self, modality: str, scenario: str, cells: pd.DataFrame) -> dict[Any, float]:
        """The paper's numbers of a row, in percent; nothing where they are no numbers of the same data, people and task."""
        mine = self.of(modality, scenario)
        if mine.empty:
            return {}
        facts = self.run.get("scenarios", {}).get(scenario, {})
        published = paper_table2().to_dict("index").get((modality, scenario), {})
        scored = cells[cells[self.task.main.name].notna()]
        return published if is_the_papers(facts, scored, mine["subject_name"].nunique()) else {}

    def _of_trials(self, scenario: str) -> dict[str, float]:
        """Of the row `frame`: the main metric of the mean of a trial's frames, as the report's row frame:mean has it."""
        mine = self.of("frame", scenario)
        if mine.empty:
            return {}
        trials = with_frame_mean(mine, self.task)
        found = spread(scores_table(trials[trials.modality == FRAME_MEAN], task=self.task), self.task.main.name)
        return {f"{self.task.main.name}_frame_mean_{what}": v for what, v in found.items()}

    def _interval(self, modality: str, scenario: str) -> dict[str, float]:
        """The 95 % interval of the main metric over subjects; nothing where the predictions are not in the folder."""
        mine = self.of(modality, scenario)
        if mine.empty:
            return {}
        interval = over_people(mine, people=self._people(scenario), task=self.task)
        main = self.task.main  # no further than the metric can be, as in Table 2
        return {f"{main.name}_low": max(interval.low, main.low), f"{main.name}_high": min(interval.high, main.high)}

    def against_chance(self, scenario: str, marked: Collection[str]) -> pd.DataFrame:
        """The claims against chance of a scenario's rows, one family, by the row's name; without a line if nothing is known."""
        if scenario not in self._against:
            predictions = self.predictions
            if predictions is None or predictions.empty:
                return pd.DataFrame(columns=["p_holm", "claim", "tests", "few"])
            mine = predictions[predictions.scenario == scenario]
            found = against_chance(mine, marked=marked, people=self._people(scenario), task=self.task)
            self._against[scenario] = found.set_index("b")
        return self._against[scenario]


def found_out(
    facts: RowFacts, modality: str, scenario: str, *, values: dict[str, float], mark: Mark, marked: Collection[str]
) -> tuple[dict[str, str], dict[str, float]]:
    """Tags and metrics of what a row found: the claim against chance, and the run's note, a sentence."""
    main = facts.task.main
    mean = rounded(main.scale * values[f"{main.name}_mean"], main.digits)
    low, high = (values.get(f"{main.name}_{end}", math.nan) for end in ("low", "high"))
    interval = f" (95 % interval {rounded(main.scale * low, main.digits)} to {rounded(main.scale * high, main.digits)})"
    told = f"{main.title} {mean} {main.unit}".strip() + (interval if math.isfinite(low) else "")
    family = facts.against_chance(scenario, marked)
    people = (
        f" over {facts.of(modality, scenario)['subject_name'].nunique()} people" if facts.predictions is not None else ""
    )
    if why_not := _no_claim(family, modality, scenario, mark):
        claim, why = "none", f"nothing is claimed: {why_not}"
    elif modality not in family.index:
        claim, why = "not tested", "it is a baseline, and these are not tested against chance"
    else:
        tested: Any = family.loc[modality]
        p, rows, above = tested["p_holm"], f"Holm's correction over {tested['tests']} rows", bool(tested["claim"])
        claim = "above chance" if above else "none"
        why = f"{'better than chance' if above else 'not shown to be better than chance'} (p = {p:.2g}, {rows}{WIDER})"
        why = why if math.isfinite(p) else "it cannot be told whether that is better than chance"
    by = selection.selected_by(facts.run.get("scenarios", {}).get(scenario, {}), modality)
    note = f"{modality}, {scenario}: {told}{people}; {why}." + (f" {selection.sentence(scenario, by)}" if by else "")
    tags = {"claim": claim, "mlflow.note.content": note}
    p = math.nan if why_not else family["p_holm"].get(modality, math.nan)
    return tags, {"chance_p": float(p)} if math.isfinite(p) else {}


def _no_claim(family: pd.DataFrame, modality: str, scenario: str, mark: Mark) -> str:
    """Why nothing is claimed of a row whatever its value is; empty if something could be."""
    if is_further(scenario):
        return "its windows begin elsewhere than the grid's own, for a sensitivity analysis"
    few = modality in family.index and bool(family.loc[modality, "few"])
    return mark.text or (FEW_PEOPLE if few else "")


def warnings_of(run: Mapping[str, Any], cells: list[dict]) -> dict[str, str]:
    """Tags of cells of a row: whether held-out trials scaled each other, or were adapted to; by what its people were chosen."""
    by = selection.selected_by(run.get("scenarios", {}).get(cells[0]["scenario"], {}), cells[0]["modality"])
    sees = any(cell.get("scaling_sees_test_side") for cell in cells)
    how = next((cell["adapt"] for cell in cells if cell.get("adapt")), "")
    adapted = (
        {"adapted_to_the_tested": f"{how} (transductive: all tested recordings are seen, without labels)"} if how else {}
    )
    return {"scaling_sees_test_side": str(sees).lower(), **({"people_selected_by": by} if by else {}), **adapted}
