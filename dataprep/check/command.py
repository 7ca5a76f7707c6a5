"""Checks a data set before training: lists recordings that are present, missing or unusable, with reasons.

    python -m dataprep.check PATH [--json] [--out DIR]

Every recording of the two classes that are compared (`--all-classes`: of all) is read whole, as the grid would. `--out` writes
check.json, trials.csv, findings.csv, and two pictures to look at: faces.png (face crops: personal data, keep it where the
recordings are kept) and signals.png. `--json` prints check.json instead of words.
Exit codes: 0 clean, 1 usable with defects, 2 unusable (or wrong arguments).
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dataprep import file_names
from dataprep.check import overview, recordings
from dataprep.check.recordings import Finding, TrialFacts
from dataprep.check.tables import of_channel_files, of_values
from dataprep.datasets import dataset as dataset_named
from dataprep.datasets import opened
from dataprep.faces import FaceSettings
from dataprep.faults import guarded
from dataprep.outputs import check_folder, drafted
from dataprep.processes import ProcessDied, spread
from dataprep.program import program
from dataprep.records import DataSet
from dataprep.storage import Place, place
from dataprep.video.decode import DECODERS
from dataprep.video.retinaface import DETECTORS

VERDICTS = ("clean", "usable with defects", "unusable")
PARTS = ("video", "signals")
FACES = "faces.png"
FILES = (FACES, "signals.png", "findings.csv", "trials.csv", "check.json")
SHOWN = 30  # findings listed in words


def take(path: Place, dataset: DataSet, settings: FaceSettings, *, jobs: int, all_classes: bool = False) -> dict[str, Any]:
    """The data check of the data set at `path`: JSON-able, but for the key "measured" (the TrialFacts, for pictures).

    Raises InputError if it cannot be read as a whole.
    """
    trials, defects = dataset.read_trials(path)
    wanted = [t for t in trials if all_classes or any(t.class_id in side for side in dataset.sides)]
    measured = _measure(wanted, dataset, settings, jobs=jobs)
    findings = recordings.of_defects(defects)
    if wanted and not any(getattr(t, part) for t in wanted for part in PARTS):
        there = sorted(file_names.listed(path) or ())
        seen = ", ".join(there[:8]) + (f" and {len(there) - 8} more" if len(there) > 8 else "")
        reason = f"{path}: found {seen}, and no recording of any trial there; looked for {dataset.layout}"
        findings.append(
            Finding(trial_id="", subject="", part="index", kind="missing", unusable=True, file=str(path), reason=reason)
        )
    findings += [f for m in measured for f in m.findings]
    findings += recordings.of_files(trials, wanted, defects, within=path)
    findings += of_channel_files(trials, dataset, within=path) or of_values(measured, dataset, within=path)
    verdict = _verdict(measured, findings, dataset)
    return {
        "path": str(path),
        "dataset": dataset.name,
        "title": dataset.title,
        "verdict": VERDICTS[verdict],
        "exit_code": verdict,
        "counts": _counts(measured, findings),
        "findings": [asdict(f) for f in findings],
        "trials": [_record(m) for m in measured],
        "measured": measured,
    }


def _measure(trials: Sequence[Any], dataset: DataSet, settings: FaceSettings, *, jobs: int) -> list[TrialFacts]:
    out: dict[int, TrialFacts] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("ETA"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task("Reading trials", total=len(trials))
        for place, facts in spread(partial(_work, (dataset.name, dataset.description), settings), trials, jobs=jobs):
            if isinstance(facts, ProcessDied):
                files = {part: str(getattr(trials[place], part)) for part in PARTS if getattr(trials[place], part)}
                died = [
                    Finding(
                        trial_id=trials[place].trial_id,
                        subject=trials[place].subject,
                        part=part,
                        kind="unreadable",
                        unusable=True,
                        file=f,
                        reason=f"{f}: the process that read it died",
                    )
                    for part, f in files.items()
                ]
                facts = TrialFacts(trials[place], findings=tuple(died))
            out[place] = facts
            bar.advance(task)
    return [out[place] for place in sorted(out)]


def _work(dataset: tuple[str, Mapping[str, Any]], settings: FaceSettings, trial: Any) -> TrialFacts:
    return recordings.measure(trial, dataset_named(*dataset), settings)


def _verdict(measured: Sequence[TrialFacts], findings: Sequence[Finding], dataset: DataSet) -> int:
    """2 if no part is left with two subjects of both classes, which any comparison needs; 1 if anything was found."""
    for part in PARTS:
        usable = [m.trial for m in measured if m.usable(part)]
        sides = [{t.subject for t in usable if t.class_id in side} for side in dataset.sides]
        if len(sides[0] & sides[1]) >= 2:
            return 1 if findings else 0
    return 2


def _counts(measured: Sequence[TrialFacts], findings: Sequence[Finding]) -> dict[str, Any]:
    parts = [part for part in PARTS if any(getattr(m.trial, part) for m in measured)]
    lacking = {f.trial_id for f in findings if f.kind == "missing"}
    bad = {m.trial.trial_id for m in measured if any(f.unusable for f in m.findings)}
    rows = sum(f.kind == "index" for f in findings)
    shares = [m.video.face_share for m in measured if m.video and m.video.face_share >= 0]
    return {
        "trials_expected": len(measured) + rows,
        "trials_found": sum(m.trial.trial_id not in lacking for m in measured),
        "trials_missing": sum(m.trial.trial_id in lacking for m in measured),
        "trials_unreadable": len(bad),
        "rows_refused": rows,
        "subjects": len({m.trial.subject for m in measured}),
        "usable": {part: sum(m.usable(part) for m in measured) for part in parts},
        "face_share": round(sum(shares) / len(shares), 4) if shares else None,
        "findings": dict(Counter(f.kind for f in findings)),
    }


def _record(m: TrialFacts) -> dict[str, Any]:
    """One trial as JSON."""
    return {
        "trial_id": m.trial.trial_id,
        "subject": m.trial.subject,
        "class_name": m.trial.class_name,
        "usable": {part: m.usable(part) for part in PARTS if getattr(m.trial, part)},
        "video": asdict(m.video) if m.video else None,
        "channels": {name: asdict(c) for name, c in m.channels.items()},
        "kinds": sorted({f.kind for f in m.findings}),
    }


def text(found: dict[str, Any]) -> str:
    """The data check as text."""
    c = found["counts"]
    lines = [f"{found['title']} at {found['path']}"]
    lines.append(
        f"trials     {c['trials_expected']} expected by the index, {c['trials_found']} found, {c['trials_missing']} with a "
        f"missing file, {c['trials_unreadable']} with an unusable one, {c['rows_refused']} rows refused; "
        f"{c['subjects']} subjects"
    )
    for part, n in c["usable"].items():
        lines.append(f"{part:<10} {n} usable of {sum(part in t['usable'] for t in found['trials'])}")
    if c["face_share"] is not None:
        lines.append(f"faces      in {c['face_share']:.1%} of the frames")
    sizes = Counter(
        f"{t['video']['width']}x{t['video']['height']} at {t['video']['rate_hz']:.2f} fps"
        for t in found["trials"]
        if t["video"]
    )
    lines += [f"           {n} videos of {size}" for size, n in sizes.most_common(5)]
    for kind, n in sorted(c["findings"].items(), key=lambda item: -item[1]):
        lines.append(f"{'findings':<10} {n} x {kind}")
    for f in found["findings"][:SHOWN]:
        lines.append(
            f"  {'left out' if f['unusable'] else 'look at '}  {f['kind']:<10}  {f['trial_id'] or '-'}  {f['reason']}"
        )
    if len(found["findings"]) > SHOWN:
        lines.append(f"  … and {len(found['findings']) - SHOWN} more: see --json or --out")
    return "\n".join([*lines, f"verdict    {found['verdict']}"])


def write(found: dict[str, Any], dataset: DataSet, folder: Path) -> list[Path]:
    """Write the tables and pictures of the check into `folder`; returns the files. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "check.json", folder / "trials.csv", folder / "findings.csv"]
    with drafted(files[0]) as draft:
        draft.write_text(json.dumps(_plain(found), indent=1), encoding="utf-8")
    _write_csv(files[1], [_flat(t) for t in found["trials"]])
    _write_csv(files[2], found["findings"], [f.name for f in fields(Finding)])
    if any(m.thumbnail_HWC is not None for m in found["measured"]):
        files.append(folder / FACES)
        with drafted(files[-1]) as draft:
            overview.faces_picture(found["measured"], draft)
    if any(m.x_TC is not None for m in found["measured"]):
        files.append(folder / "signals.png")
        with drafted(files[-1]) as draft:
            overview.signals_picture(found["measured"], dataset, draft)
    return files


def forget(folder: Path, subject: str) -> list[Path]:
    """Remove the files that `write` left in a folder, if the subject is among the people they show; gives those removed."""
    found = json.loads((folder / "check.json").read_text(encoding="utf-8"))
    if subject not in {t["subject"] for t in found["trials"]}:
        return []
    files = [folder / name for name in FILES if (folder / name).exists()]
    for file in files:  # the one that names the people goes last: killed before, the same call goes on
        file.unlink()
    return files


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in found.items() if k != "measured"}


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    row = {k: record[k] for k in ("trial_id", "subject", "class_name")} | {"findings": " ".join(record["kinds"])}
    row |= {f"{part}_usable": record["usable"].get(part, "") for part in PARTS}
    row |= record["video"] or {}
    return row | {f"{name}_{k}": v for name, c in record["channels"].items() for k, v in c.items()}


def _write_csv(path: Path, rows: Sequence[dict[str, Any]], names: Sequence[str] = ()) -> None:
    names = names or list(dict.fromkeys(name for row in rows for name in row))
    with drafted(path) as draft, open(draft, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        table = csv.DictWriter(stream, names, restval="")
        table.writeheader()
        table.writerows(rows)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog=program("dataprep.check"), description="Check the recordings of a data set before training."
    )
    p.add_argument("path", metavar="PATH", help="the folder of the data set, or s3://BUCKET/PREFIX")
    p.add_argument("--dataset", metavar="NAME", help="its reader; default: recognised by its files")
    p.add_argument("--all-classes", action="store_true", help="read the trials of every class")
    p.add_argument("--json", action="store_true", help="print the data check as JSON")
    p.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write tables, a plot of signals, and faces.png, which shows faces with subject names: personal data",
    )
    p.add_argument("--detector", choices=list(DETECTORS), default=FaceSettings.detector)
    p.add_argument("--decoder", choices=list(DECODERS), default=FaceSettings.decoder)
    p.add_argument("--stream", type=int, default=-1, metavar="N", help="number of the stream, for files with several videos")
    p.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="number of processes; default: one per core"
    )
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    p = parser()
    options = p.parse_args(arguments)
    if options.jobs < 1:
        p.error(f"--jobs: found {options.jobs}, expected at least 1")
    return guarded(lambda: _command(options))


def _command(options: argparse.Namespace) -> int:
    path = place(options.path)
    if options.out:
        check_folder("--out", options.out, inputs=[path if isinstance(path, Path) else None])
    dataset = opened(path, options.dataset)
    settings = FaceSettings(detector=options.detector, decoder=options.decoder, stream=options.stream)
    found = take(path, dataset, settings, jobs=options.jobs, all_classes=options.all_classes)
    files = write(found, dataset, options.out) if options.out else []
    print(json.dumps(_plain(found), indent=1) if options.json else text(found))
    for file in files:
        warning = "   (people's faces under their names: personal data; delete it when you have looked)"
        print(f"written    {file}{warning if file.name == FACES else ''}", file=sys.stderr)
    return int(found["exit_code"])
