"""The report of one run: `python -m dashboards.report DIR [--compare DIR2]` reads a result folder and writes DIR/report.html.

The page is one file without fonts or anything from a network, and can be read without its script; figure3.svg and figure3.png
are saved beside it. `dashboards/results.py` describes the result folder. If DIR is none, the exit status is 2 and a message
gives the reason. All text from the folder is escaped; the SVG is made here.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dashboards import (
    balance,
    beyond,
    claims,
    cohort,
    compare,
    drawings,
    figures,
    glossary,
    groups,
    leakage,
    marks,
    personal,
    published,
    searches,
    sensitivity,
    transfers,
    tripod,
    wording,
)
from dashboards.findings import findings
from dashboards.results import Panel, Results, read_results
from dashboards.tested import tested
from dataprep.faults import guarded
from dataprep.outputs import drafted
from dataprep.program import program
from dataprep.rounding import rounded
from grid.experiment.families import FRAME_MEAN
from grid.protocols import in_words
from grid.results import selection
from grid.results.axes import AXES
from grid.results.inference import ALPHA, FEW_PEOPLE, SIMULATED_PEOPLE
from grid.results.learned import KEY, SYMBOLS
from grid.results.tables import identity_check, table2

LISTED_AT_MOST = 500
TEMPLATES = Path(__file__).parent / "templates"


def write_report(folder: Path, other: Path | None = None) -> Path:
    """Write report.html, tripod-ai.md, figure3.svg and figure3.png into a result folder; returns the page's path.

    `other` is a second result folder to compare with. Raises InputError where `folder` is no result folder.
    """
    results = read_results(folder)
    beside = None if other is None else compare.side_by_side(results, read_results(other))
    table = table2(results.scores, results.predictions, results.marks, results.run, task=results.task)
    page = folder / "report.html"
    if results.panels:
        figures.save_figure3(figures.marked(drawings.figure3(results, table), results.mark), folder)
    tripod.write(results, table)
    with drafted(page) as draft:
        draft.write_text(render(results, table, beside), encoding="utf-8", errors="backslashreplace")
    return page


def render(results: Results, table: pd.DataFrame, beside: dict[str, Any] | None = None) -> str:
    """The page as text. `table` is Table 2 of these results, `beside` the comparison with other ones.

    Figures and headings carry the mark of the results, so that a part that is cut out still says what it is of.
    """
    with drawings.marking(results.mark):
        page = _page(results, table, beside)
    return page.replace("</h2>", f' <small class="mark">{results.mark}</small></h2>') if results.mark else page


@cache
def _environment() -> Environment:
    """Templates and filters: they are compiled once a process."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters |= {"signed": claims.signed, "number": wording.number, "duration": wording.duration}
    environment.filters |= {"plural": claims.plural, "p_value": claims.p_value, "rounded": rounded}
    environment.filters["is_number"] = lambda value: value is not None and not pd.isna(value)
    return environment


def _page(results: Results, table: pd.DataFrame, beside: dict[str, Any] | None) -> str:
    environment = _environment()
    people = groups.people_of(results)
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    sections, main = results.task.sections, results.task.main
    identity = identity_check(table) if "identity" in sections else table[:0]
    trials = cohort.section(results)
    panels = [_panel(results, panel, table, identity, people) for panel in results.panels]
    return environment.get_template("report.html").render(
        style=Markup((TEMPLATES / "report.css").read_text(encoding="utf-8")),
        kicker=wording.kicker(results),
        title=results.get("experiment", "name") or results.get("data", "title") or results.folder.name,
        script=Markup(script),
        script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        findings=findings(results, panels),
        banners=[*wording.banners(results), *cohort.banners(trials)],
        cohort=trials,
        summary=wording.summary(results),
        source=results.get("data", "source"),
        tested=tested(results, panels),
        separation=leakage.sentences_on_leakage(results),
        glossary=glossary.glossary(results),
        checklist=tripod.FILE,
        classes=results.task.names,
        main=main,
        headline=wording.headline(results.task),
        rule=claims.rule_text(results.task),
        shown=results.task.metrics,
        task=results.task,
        panels=panels,
        figure3=drawings.main(results, table) if results.panels else None,
        table3=published.table3(results, table) if "paper" in sections else None,
        roc=drawings.roc(results) if "roc" in sections else [],
        calibration=drawings.calibration(results) if "calibration" in sections else [],
        transfers=transfers.section(results),
        personal=personal.section(results),
        beyond=beyond.tables(results),
        recalibration_by=results.get("experiment", "fit", "calibrate") or wording.NOT_RECORDED,
        recalibration=beyond.recalibration(results),
        sensitivity=sensitivity.section(results),
        decisions=beyond.curves(results) if "roc" in sections else [],
        curves=drawings.curves(results),
        mark_key=KEY,
        symbols=marks.every(results),
        marks_key=marks.key(results),
        seen=selection.SEES,
        learning=_learning(results),
        attention=drawings.attention(results),
        search=searches.section(searches.read_searches(results.folder), results.task),
        beside=beside,
        beside_sentences=[compare.sentence(p, main, leak=beside["leak"]) for p in beside["panels"]] if beside else [],
        series=[panel.title for panel in results.panels],
        age_sentences=groups.age_sentences(results.panels, people),
        failures=_listed(results.failures, ["status", "reason"]),
        quarantine=_listed(results.quarantine, ["part", "reason"]),
        odd=_listed(results.odd, ["part", "reason"]),
        provenance=_provenance(results),
        stages=[stage for stage in results.get("stages") or [] if isinstance(stage, dict)],
        departures=results.get("departures") or [],
        experiment=json.dumps(results.get("experiment") or {}, indent=2, ensure_ascii=False),
        alpha=ALPHA,
        fewest=SIMULATED_PEOPLE,
        few_people=FEW_PEOPLE,
        infinite=float("inf"),
    )


def _panel(
    results: Results, panel: Panel, table: pd.DataFrame, identity: pd.DataFrame, people: pd.DataFrame
) -> dict[str, Any]:
    """The values that the template needs for one panel."""
    mine = (table["scenario"] == panel.scenario) & (table["protocol"] == panel.protocol)
    found = claims.claims(results, panel)
    pairs = [*found["trivial"], *found["named"], *found["others"]]
    tested = panel.predictions.drop_duplicates(["modality", "sample_name", "frame"])  # however often each was predicted
    units = tested.groupby("modality", observed=True).size()
    return {
        "title": panel.title,
        "protocol": in_words(panel.protocol),
        "rows": panel.rows,
        "units": {str(name): int(n) for name, n in units.items()},
        "n_subjects": len(panel.by_subject),
        "table2": _records(table[mine]),
        "several": [axis for axis in ("repeats", "seeds") if table.loc[mine, axis].max() > 1],
        "identity": _records(identity[mine]) if len(identity) else [],
        "learned": [
            (row, mark) for (row, *place), mark in results.marks.items() if place == [panel.scenario, panel.protocol]
        ],
        "no_claim": {pair["b"]: claims.why_not(results, panel, pair) for pair in found["chance"]},
        "against_the_tested": _against_the_tested(results, panel, found["chance"]),
        "marks": {
            name: mark.symbol
            for (row, *place), mark in results.marks.items()
            if place == [panel.scenario, panel.protocol]
            for name in ([row, FRAME_MEAN] if row == "frame" else [row])
        },
        "not_the_papers": results.scenarios.get(panel.scenario, {}).get("not_the_papers"),
        "sees": any(selection.sees_test_side(results.run, row, panel.scenario) for row in panel.rows),
        "selection": cohort.selection_text(results, panel, groups.younger(results.panels, panel, people)),
        "size": wording.size_text(results.scenarios.get(panel.scenario, {}), panel),
        "paper": "paper_accuracy" in table and bool(table.loc[mine, "paper_accuracy"].notna().any()),
        "chances": panel.chances,
        "no_rule": claims.no_rule(panel.rows),
        "confusions": [(row, _confusion(panel, row)) for row in panel.rows] if "confusion" in panel.task.sections else [],
        "heat": drawings.subjects(results, panel),
        "subjects": [(name, list(values)) for name, *values in panel.by_subject.itertuples()],
        "people": panel.each_metric() if "people" in panel.task.sections else [],
        "groups": groups.groups(panel, people, results.people(panel)),
        "matrix": {(pair["a"], pair["b"]): pair for pair in pairs},
        "over": {
            (name, pair["b"]): pair
            for name in ("chance", "trivial")
            for pair in found[name]
            if not pd.isna(pair["difference"])
        },
        "families": {name: found[name] for name in claims.FAMILIES},
        "every": [(name, pair) for name, family in found.items() for pair in family],
    }


def _against_the_tested(results: Results, panel: Panel, chance: list[dict[str, Any]]) -> str:
    """Of each row whose interval lies wholly below chance, what the classes of the training sides have to do with it."""
    folds = results.scenarios.get(panel.scenario, {}).get("folds")
    clear = [str(pair["b"]) for pair in chance if pair["difference"] < 0 and pair["high"] < 0]
    return " ".join(dict.fromkeys(balance.against_the_tested(panel, row, folds) for row in clear))


def _confusion(panel: Panel, row: str) -> list[list[tuple[int, float]]]:
    """Counts and shares of the true class, a line a true class and a column a called one."""
    table_KK = panel.task.confusion(*panel.task.of(panel.of_row(row))).tolist()
    return [[(n, n / max(sum(line), 1)) for n in line] for line in table_KK]


def _learning(results: Results) -> dict[str, Any] | None:
    """The fits that did not learn or collapsed, each once, for a list; None where nothing was recorded."""
    table = results.learning.drop_duplicates("key")
    if table.empty:
        return None
    bad = table[table["verdict"].isin(list(SYMBOLS))]
    columns = ["stage", "scenario", *AXES, "verdict", "epochs", "constant_loss", "lowest_loss", "last_loss"]
    columns += ["train_accuracy", "largest_gradient_norm"]
    shown = bad[columns].copy()
    for name in columns[columns.index("constant_loss") :]:
        shown[name] = pd.to_numeric(shown[name]).map(lambda x: rounded(x, 3))
    return {"fits": len(table), "listed": _listed(shown, ["verdict", "stage"])}


def _listed(table: pd.DataFrame, by: list[str]) -> dict[str, Any]:
    """A table of refusals: counts by kind, the most frequent first, and at most LISTED_AT_MOST rows."""
    counts = table.groupby(by, sort=False).size().sort_values(ascending=False, kind="stable").reset_index(name="n")
    kinds = list(counts.itertuples(index=False, name=None))
    listed = table.head(LISTED_AT_MOST)
    return {"n": len(table), "kinds": kinds, "columns": list(table.columns), "rows": listed.to_numpy().tolist()}


def _provenance(results: Results) -> list[tuple[str, list[tuple[str, str]]]]:
    """(heading, [(key, value)]) from run.json; a missing value is shown as not recorded."""

    def pairs(value: Any) -> list[tuple[str, str]]:
        if not isinstance(value, dict) or not value:
            return [("", wording.NOT_RECORDED)]
        return [(str(k), wording.number(v) if isinstance(v, int | str | None) else json.dumps(v)) for k, v in value.items()]

    run = {key: results.get(key) for key in ("command", "started", "seconds", "commit", "protocol", "folds")}
    run["seconds"] = wording.duration(run["seconds"])
    scenarios = results.get("scenarios")
    blocks = [("Run", pairs(run)), ("Data", pairs(results.get("data")))]
    blocks += [
        (f"Scenario {name}", pairs(value)) for name, value in (scenarios.items() if isinstance(scenarios, dict) else ())
    ]
    blocks += [(key.capitalize(), pairs(results.get(key))) for key in ("trunk", "signals", "hardware", "versions")]
    blocks += [("Made with", wording.makers(results.get("made_with")))]
    return [("Face network" if name == "Trunk" else name, rows) for name, rows in blocks]


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog=program("dashboards.report"), description="Write the report of a result folder.")
    p.add_argument("folder", type=Path, metavar="DIR", help="a result folder, as grid.launch writes it")
    p.add_argument("--compare", type=Path, metavar="DIR2", help="compare with another result folder")
    return p


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns 0, or 2 where the folder is no result folder."""
    options = parser().parse_args(argv)
    return guarded(lambda: _command(options))


def _command(options: argparse.Namespace) -> int:
    print(write_report(options.folder, options.compare))
    return 0


if __name__ == "__main__":
    sys.exit(main())
