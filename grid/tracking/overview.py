"""All rows of a grid on one page: an artefact of the run `report`, to which the experiment's description leads.

The page has accuracy by modality and scenario, with links to the runs; it names no person. The report, which names subjects, is
added where MLflow's files lie in the result folder itself, and to no server.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dataprep.rounding import rounded
from grid.store.identity import digest
from grid.tracking.runs import PLAIN, Entry, Runs
from grid.tracking.work_times import Span
from painmodels.tasks.task import Metric

PAGE = "rows.html"
STYLE = (
    "body{font:15px system-ui,sans-serif;margin:1.5em;color:#222;background:#fff}table{border-collapse:collapse}"
    "th,td{padding:.35em .9em;text-align:right;border-bottom:1px solid #ddd}th:first-child,td:first-child{text-align:left}"
    ".bar{display:block;height:5px;background:#0072b2}small{color:#555}"
)


def page(name: str, main: Metric, rows: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    """HTML of a table: a line a modality row, a column a scenario; `rows` has values and the claim by modality and scenario."""
    scenarios = list(dict.fromkeys(scenario for _, scenario in rows))
    head = "".join(f"<th>{html.escape(scenario)}</th>" for scenario in scenarios)
    lines = []
    for modality in dict.fromkeys(modality for modality, _ in rows):
        cells = "".join(f"<td>{_cell(main, rows.get((modality, scenario)))}</td>" for scenario in scenarios)
        lines.append(f"<tr><td>{html.escape(modality)}</td>{cells}</tr>")
    title = html.escape(f"{name}: {main.title} by modality and scenario")
    key = "Mean over cells, 95 % interval over people. * better than chance, as a family. "
    key += "† the training loss of some fits stayed near, or went back to, a constant guess's."
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f"<table><tr><th>row</th>{head}</tr>{''.join(lines)}</table><p><small>{key} Research software: no output may guide the "
        "care of a person.</small></p></html>"
    )


def _cell(main: Metric, found: Mapping[str, Any] | None) -> str:
    if found is None or not math.isfinite(found["values"][main.name]):
        return "–"
    low, high = (found["values"].get(f"{main.name}_{end}", math.nan) for end in ("low", "high"))
    mean = main.scale * found["values"][main.name]
    mark = "†" if found["marked"] else "*" if found["claim"] == "above chance" else ""
    interval = f" <small>{rounded(main.scale * low, main.digits)} to {rounded(main.scale * high, main.digits)}</small>"
    bar = f'<span class=bar style="width:{max(0.0, min(100.0, mean)):.0f}%"></span>' if main.unit == "%" else ""
    return f"{rounded(mean, main.digits)} {main.unit}{mark}{interval if math.isfinite(low) else ''}{bar}"


def mirror_report(runs: Runs, content: str, common: Mapping[str, str], span: Span | None, report: Path | None) -> str:
    """Make or complete the run with the page, and the report, if one is given; the run's id."""
    files = {PAGE: content.encode()}
    if report is not None and report.is_file():
        files["report.html"] = report.read_bytes()
        checklist = report.with_name("tripod-ai.md")
        files |= {checklist.name: checklist.read_bytes()} if checklist.is_file() else {}
    told = f"All rows in one table: [{PAGE}](#/experiments/{runs.experiment}/runs/{{run_id}}/artifacts/{PAGE}?{PLAIN})"
    if "report.html" in files:
        told += (
            f" · the report: [report.html](#/experiments/{runs.experiment}/runs/{{run_id}}/artifacts/report.html?{PLAIN})"
        )
    marks = {name: digest([body.decode("utf-8", "replace")]) for name, body in files.items()}
    tags = {**common, "kind": "report", "mlflow.runName": "report", "mlflow.note.content": told, "pages": str(marks)}
    key = digest(["report", common["experiment"], common["data_fingerprint"]])
    return runs.write(Entry(key, tags, dict(common), [], span=span, files=files))
