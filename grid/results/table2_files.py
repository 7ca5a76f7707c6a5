"""Table 2 as files: table2.csv and table2.tex."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from dataprep.outputs import drafted
from dataprep.records import SYNTHETIC
from dataprep.rounding import rounded, rounded_number
from grid.results import selection
from grid.results.tables import PAPER_METRICS
from painmodels.tasks import PAIN, Task

TEX_MARKS = {"†": r"$^\dagger$", "‡": r"$^\ddagger$", selection.MARK: r"\S", selection.SEES_MARK: r"\P"}

NOTE = (
    "Mean (SD) over folds. Interval: over people, cut where the metric ends. Trials: of the first class and the other; the row "
    "frame is scored per frame."
)


def write_table2(table: pd.DataFrame, folder: Path, *, data: str, task: Task = PAIN) -> tuple[Path, Path]:
    """Write table2.csv (all columns, two decimals or more) and table2.tex (a booktabs tabular) into `folder`; returns the paths.

    `data` says what the numbers are of: a column of the one; a line of the other where the data are synthetic. The tabular has
    the SD over partitions and over fit seeds where there are several.
    """
    csv, tex = folder / "table2.csv", folder / "table2.tex"
    with drafted(csv) as draft:
        floats = [name for name in table if pd.api.types.is_float_dtype(table[name])]
        fine = {m.name: m.digits for m in task.metrics}
        places = {name: max(2, fine.get(str(name).rpartition("_")[0], 2)) for name in floats}
        shown = {str(name): table[name].map(partial(rounded_number, digits=places[name])) for name in floats}
        table.assign(**shown, data=data).to_csv(draft, index=False)
    main, others = task.main, list(task.metrics[1:])
    paper = "paper" in task.sections
    others = [m for m in others if m.name in PAPER_METRICS] if paper else others
    more = {f"{main.name}_sd_{axis}": name for axis, name in (("repeats", "SD, partitions"), ("seeds", "SD, seeds"))}
    more = {column: name for column, name in more.items() if table[column].notna().any()}
    heads = ["Row", "Scenario", f"{_tex(_capital(main.title))} (SD)", *more.values(), r"95\,\% interval"]
    heads += [*(_tex(_capital(m.title)) for m in others), "Trials", *(["Paper's accuracy"] if paper else [])]
    lines = [r"\begin{tabular}{ll" + "r" * (len(heads) - 2) + "}", r"\toprule"]
    if data == SYNTHETIC:
        said = f"{_tex(data)}: the numbers say nothing about pain"
        lines += [rf"\multicolumn{{{len(heads)}}}{{l}}{{{said}}} \\", r"\midrule"]
    lines += [" & ".join(heads) + r" \\", r"\midrule"]
    for row in table.to_dict("records"):
        cells = [
            _tex(str(row["modality"])) + "".join(TEX_MARKS[symbol] for symbol in selection.symbols(row)),
            _tex(str(row["scenario"])),
            f"{_num(row[f'{main.name}_mean'])} ({_num(row[f'{main.name}_sd'])})",
        ]
        cells += [_num(row[column]) for column in more]
        low, high = (row[f"{main.name}_{end}"] for end in ("low", "high"))
        cells += ["--" if pd.isna(low) else f"{_num(low)}--{_num(high)}"]
        cells += [_num(row[f"{m.name}_mean"]) for m in others]
        cells += [_trials(row), *([_num(row["paper_accuracy"])] if paper else [])]
        lines.append(" & ".join(cells) + r" \\")
    notes = [_tex(NOTE), *(f"{TEX_MARKS[symbol]} {_tex(text)}" for symbol, text in _notes(table))]
    lines.append(r"\midrule")
    lines += [rf"\multicolumn{{{len(heads)}}}{{p{{\linewidth}}}}{{\footnotesize {note}}} \\" for note in notes]
    lines += [r"\bottomrule", r"\end{tabular}"]
    with drafted(tex) as draft:
        draft.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return csv, tex


def _notes(table: pd.DataFrame) -> list[tuple[str, str]]:
    """A symbol of the table, and what it means, for the foot of the table."""
    used = "".join(selection.symbols(row) for row in table.to_dict("records"))
    said = [
        (
            "†",
            "In the epochs of a fit of the row, or of what feeds it, the training loss stayed above 95 % of a constant guess's.",
        ),
        (
            "‡",
            "A fit of the row, or of what feeds it, lost more than a quarter of what it had gained on a constant guess in "
            "its last epoch.",
        ),
    ]
    notes = [(symbol, text) for symbol, text in said if symbol in used]
    chosen = table[table["selected_by"] != ""].drop_duplicates("scenario")
    pairs = zip(chosen["scenario"], chosen["selected_by"], strict=True)
    notes += [(selection.MARK, selection.sentence(str(scenario), by)) for scenario, by in pairs]
    return notes + ([(selection.SEES_MARK, selection.SEES)] if selection.SEES_MARK in used else [])


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _trials(row: Mapping[Any, Any]) -> str:
    """The tested trials: those of the first class and the others, where there are two."""
    return f"{row['n_trials'] - row['n_pain']} + {row['n_pain']}" if row["n_pain"] else str(row["n_trials"])


def _num(value: Any) -> str:
    return "--" if pd.isna(value) else rounded(value, 2)


def _tex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, "\\" + c if c in "&%$#_{}" else c) for c in text)
