"""The TRIPOD+AI checklist of a run, filled as far as run.json and the tables go: tripod-ai.md, beside the report.

Items have the numbers of the published checklist and words of our own. Each is filled from the run, not applicable to such a
study, or to be written by the author: what nobody can know from a result folder is never guessed. Source: Collins et al.,
"TRIPOD+AI statement", BMJ 385 (2024), e078378.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dashboards.claims import plural
from dashboards.flow import flow, tested_people
from dashboards.results import Results
from dataprep.outputs import drafted
from dataprep.rounding import rounded
from grid.experiment.families import learned_rows
from grid.protocols import tested_people_train

FILE = "tripod-ai.md"
FILLED, NONE, AUTHOR = "filled", "not applicable", "to be written by the author"


@dataclass(frozen=True)
class Item:
    """A line of the checklist. `fill`: what the run says of it, empty where it says nothing; `without`: why there is none."""

    number: str
    topic: str
    fill: Callable[[Results], str] | None = None
    without: str = ""
    also: str = ""

    def line(self, results: Results) -> tuple[str, str, str, str]:
        """Number, topic, status and text."""
        text = self.fill(results) if self.fill else ""
        if text:
            return self.number, self.topic, f"{FILLED}{f'; {AUTHOR}: {self.also}' if self.also else ''}", text
        return self.number, self.topic, NONE if self.without else AUTHOR, self.without or self.also


def write(results: Results, table: pd.DataFrame) -> Path:
    """Write the checklist into the result folder; returns its path. `table` is Table 2 of these results."""
    lines = [item.line(results) if item.number != "23a" else _performance(item, results, table) for item in ITEMS]
    counts = {what: sum(status.startswith(what) for _, _, status, _ in lines) for what in (FILLED, NONE, AUTHOR)}
    head = f"# TRIPOD+AI checklist of {results.get('experiment', 'name') or results.folder.name}\n\n"
    if results.mark:
        head += f"**{results.mark.capitalize()}: nothing here is about people.**\n\n"
    head += (
        f"{len(lines)} items: {', '.join(f'{n} {what}' for what, n in counts.items())}. The numbers are those of Collins et al., "
        "BMJ 385 (2024), e078378; the words are not: read the statement beside this. “The report” is report.html in this "
        "folder.\n\n"
        "| item | topic | state | text |\n|---|---|---|---|\n"
    )
    body = "".join(f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in line)} |\n" for line in lines)
    with drafted(results.folder / FILE) as draft:
        draft.write_text(head + body, encoding="utf-8")
    return results.folder / FILE


def _title(r: Results) -> str:
    return str(r.get("data", "title") or r.get("data", "name") or "")


def _aim(r: Results) -> str:
    if not _title(r):
        return ""
    what = f"that tell {r.task.names[0]} from {r.task.names[1]}" if r.task.n_classes == 2 else f"of {r.task.words}"
    return f"Development and internal evaluation of models {what} on {_title(r)}."


def _data(r: Results) -> str:
    n = [f"{r.get('data', what):,} {what}" for what in ("subjects", "trials") if isinstance(r.get("data", what), int)]
    source = f" {r.get('data', 'source')}" if r.get("data", "source") else ""
    return f"{_title(r)}: {', '.join(n)}; fingerprint of the files {r.get('data', 'fingerprint')}.{source}" if n else ""


def _preparation(r: Results) -> str:
    signals = r.get("signals", "fits")
    text = f"Signals at {r.get('data', 'clock_hz')} steps a second" if r.get("data", "clock_hz") else "Signals on one clock"
    if isinstance(signals, dict) and signals:
        text += f", scaled ([signals] normalise): {', '.join(f'{how} ({n} fits)' for how, n in signals.items())}"
    faces = r.get("experiment", "faces")
    if isinstance(faces, dict) and any("video" in row or row == "frame" for row in _rows(r)):
        text += f"; faces by {faces.get('detector')}, crop {faces.get('crop')}"
    return f"{text}. {plural(len(r.odd), 'recording')} used though odd (odd.csv)."


def _rows(r: Results) -> list[str]:
    """The rows that have any score."""
    return [str(row) for row in dict.fromkeys(r.scores.loc[r.scores["n_test"] > 0, "modality"])]


def _outcome(r: Results) -> str:
    what = "The class" if r.get("data", "pain") is False else r.task.words.capitalize()
    labels = f"{what}: {', '.join(r.task.names)}, as the data set labels each trial"
    return f"{labels}; there is no time horizon, it is of the trial itself."


def _predictors(r: Results) -> str:
    return f"Rows of recordings, fixed in the experiment: {', '.join(_rows(r))}."


def _missing(r: Results) -> str:
    failed = int(r.scores[r.task.main.name].isna().sum())
    return (
        f"No trial is imputed{_gaps(r)}. {plural(len(r.quarantine), 'recording')} left out with a reason each (quarantine.csv), "
        f"{plural(failed, 'cell')} without a score (failures.csv); People and trials in the report has them by class and person."
    )


def _gaps(r: Results) -> str:
    gap = r.get("experiment", "faces", "max_gap_s")
    seen = gap and any("video" in row or row == "frame" for row in _rows(r))
    return f"; within a video, a face that is not seen for up to {gap} s is interpolated" if seen else ""


def _partition(r: Results) -> str:
    folds = int(r.scores["fold"].nunique())
    in_all = max((n for facts in r.scenarios.values() if isinstance(n := facts.get("folds"), int)), default=folds)
    counts = [plural(folds, "fold") if in_all <= folds else f"{folds} of {in_all} folds"]
    counts += [plural(int(r.scores[axis].nunique()), word) for axis, word in (("repeat", "partition"), ("seed", "fit seed"))]
    protocols = ", ".join(sorted(set(r.scores["protocol"].astype(str))))
    return (
        f"Protocol {protocols}: {', '.join(counts)}; folds.csv says who is tested where. How this was tested in the report."
    )


def _models(r: Results) -> str:
    trials = r.get("experiment", "search", "trials")
    how = f"a search of {trials} trials for hyperparameters" if trials else "no hyperparameter search"
    return f"{plural(len(learned_rows(_rows(r))), 'learned row')}, {how}; every setting under Provenance in the report."


def _measures(r: Results) -> str:
    metrics = [m.title for m in r.task.metrics]
    metrics += ["ECE", "calibration line", "net benefit"] if "roc" in r.task.sections else []
    return f"{', '.join(metrics)}; intervals and tests are described in How this was tested."


def _updating(r: Results) -> str:
    how = r.get("experiment", "fit", "calibrate")
    return f"Recalibrated ({how}) on inner folds of the training side." if how not in (None, "off") else ""


def _output(r: Results) -> str:
    threshold = "; 0.5 decides, fixed beforehand" if "roc" in r.task.sections else ""
    return f"{r.task.gives[:1].upper()}{r.task.gives[1:]}{threshold}."


def _people(r: Results) -> str:
    tested = set(r.predictions["subject_name"].astype(str))
    people = r.folds[r.folds["subject"].isin(tested)].drop_duplicates("subject")
    ages = people["age"].dropna()
    if ages.empty:
        return ""
    women = int((people["sex"] == "w").sum())
    least, most, mean = rounded(ages.min()), rounded(ages.max()), rounded(ages.mean(), 1)
    return f"Tested: {len(people)} people, {women} women; age {least} to {most}, mean {mean} years."


def _sizes(r: Results) -> str:
    n = r.scores[r.scores["n_test"] > 0].groupby("scenario", observed=True)["n_test"].agg(["min", "max"])
    return (
        "; ".join(f"{name}: {a} to {b} tested units a cell" for name, (a, b) in n.iterrows())
        + ". cells.json has n_train of each."
    )


def _performance(item: Item, r: Results, table: pd.DataFrame) -> tuple[str, str, str, str]:
    main, told = r.task.main, []
    for row in table.to_dict("records"):
        mean, low, high = (row[f"{main.name}_{what}"] for what in ("mean", "low", "high"))
        if mean == mean:
            between = f" ({rounded(low, main.digits)} to {rounded(high, main.digits)})" if low == low else ""
            told.append(f"{row['scenario']} {row['modality']} {rounded(mean, main.digits)} {main.unit}".strip() + between)
    text = f"{main.title.capitalize()}, mean over folds (95 % interval): {'; '.join(told)}." if told else ""
    groups = " By sex and age: Subjects in the report." if text and _people(r) else ""
    return item.number, item.topic, FILLED if text else AUTHOR, text + groups


def _sides(r: Results) -> str:
    protocols = set(r.scores["protocol"].astype(str))
    if not protocols & {"transfer"} and not any(map(tested_people_train, protocols)):
        return "The same data set, other people of it."
    if all(map(tested_people_train, protocols)):
        return "The same data set and the same people, other trials of them."
    return "Different data sets: see Transfer in the report." if protocols == {"transfer"} else ""


def _code(r: Results) -> str:
    return (
        f"pain-grid, commit or version {r.get('commit')}; versions of libraries under Provenance." if r.get("commit") else ""
    )


ITEMS: tuple[Item, ...] = (
    Item("1", "Title", _aim, also="the title itself"),
    Item("2", "Abstract"),
    Item("3a", "Background: healthcare context, existing models"),
    Item("3b", "Background: target population, purpose, users", also="research software; no care of a person is intended"),
    Item("3c", "Background: known health inequalities"),
    Item("4", "Objectives", _aim),
    Item("5a", "Data: sources, why these, representative of whom", _data, also="why these, and whom they represent"),
    Item("5b", "Data: dates of collection"),
    Item("6a", "Participants: setting, centres"),
    Item("6b", "Participants: eligibility", also="the data set's own criteria"),
    Item("6c", "Participants: treatments", also="medicines that matter here, if the data set tells"),
    Item("7", "Data preparation and checks", _preparation),
    Item("8a", "Outcome: definition, time horizon", _outcome, also="why this outcome"),
    Item("8b", "Outcome: who assessed it, where that is a judgement"),
    Item("8c", "Outcome: blinding of its assessment"),
    Item("9a", "Predictors: choice", _predictors),
    Item("9b", "Predictors: definition, how and when measured", _preparation, also="devices and their placement"),
    Item("9c", "Predictors: assessors", without="No predictor is judged by a person."),
    Item(
        "10",
        "Sample size",
        also="why so many; the report gives the difference that would be found with a probability of 80 %",
    ),
    Item("11", "Missing data", _missing),
    Item("12a", "Analysis: how data were used and partitioned", _partition),
    Item("12b", "Analysis: handling of predictors", _preparation),
    Item("12c", "Analysis: models, tuning, internal validation", _models),
    Item(
        "12d",
        "Analysis: heterogeneity between clusters",
        lambda r: "People are the clusters: spread between people and the mixed model in the report.",
    ),
    Item("12e", "Analysis: measures and plots", _measures),
    Item("12f", "Analysis: model updating", _updating, without="Nothing was updated or recalibrated."),
    Item(
        "12g",
        "Analysis: how predictions were calculated",
        lambda r: "By this program's code, held out by folds: predictions.parquet has each.",
    ),
    Item(
        "13",
        "Class imbalance",
        lambda r: f"No class is weighted or sampled again. Tested trials: {tested_people(r)}." if tested_people(r) else "",
    ),
    Item("14", "Fairness: approaches", lambda r: "None was used; performance by group is item 23a."),
    Item("15", "Model output", _output),
    Item("16", "Training against evaluation data", _sides),
    Item("17", "Ethical approval and consent", also="of the data set, and of this use of it"),
    Item("18a", "Funding"),
    Item("18b", "Conflicts of interest"),
    Item("18c", "Protocol"),
    Item("18d", "Registration"),
    Item("18e", "Data sharing", also="under the terms of the data set"),
    Item("18f", "Code sharing", _code),
    Item("19", "Patient and public involvement"),
    Item(
        "20a",
        "Participants: flow",
        lambda r: f"{flow(r)} Tested: {tested_people(r)}. {_missing(r)}" if tested_people(r) else "",
    ),
    Item("20b", "Participants: characteristics", _people, also="what else the data set tells of them"),
    Item(
        "20c",
        "Participants: predictors against those of the development",
        lambda r: _sides(r) if set(r.scores["protocol"].astype(str)) <= {"transfer"} else "",
        without="Development and evaluation draw from the same people by folds.",
    ),
    Item("21", "Participants and events in each analysis", _sizes),
    Item(
        "22",
        "Full model",
        lambda r: "`python -m painmodels.export` writes the model of any fold with its settings and a card.",
        also="restrictions of the data and of the weights (NOTICE)",
    ),
    Item("23a", "Performance with intervals, and by group"),
    Item(
        "23b",
        "Heterogeneity of performance",
        lambda r: "Accuracy of each person, SD between people, worst tenth and mixed model in the report.",
    ),
    Item(
        "24",
        "Results of updating",
        lambda r: "Calibration before and after, in the report." if _updating(r) else "",
        without="Nothing was updated.",
    ),
    Item("25", "Interpretation, fairness included"),
    Item("26", "Limitations", lambda r: "The banners at the top of the report.", also="all others"),
    Item(
        "27a",
        "Use: poor or missing input",
        lambda r: "A recording that cannot be judged has no estimate and a reason (`painmodels.predict`).",
    ),
    Item("27b", "Use: interaction and expertise of users", also="nobody should act on an output"),
    Item("27c", "Use: next steps"),
)
"""All 52 lines of the 27 items."""
