"""The one command: from recordings to a compared grid of trained models.

    python -m grid.launch --all

Reads or writes a data set, prepares it, fits what is not fitted yet, scores, mirrors into MLflow and writes the report. Killed
at any time, the same command goes on where it was: every finished piece of work is an artefact in DIR/store.
Exit codes: 0 done (recordings in quarantine included), 1 incomplete because of the machine or a failed fit (the rest is complete
and usable), 2 bad input (one clear message), 3 a bug of this program, 130 interrupted. 3 beats 1 beats 2.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataprep.faults import BUG, INTERRUPTED, MACHINE, exit_code, guarded
from dataprep.program import program
from dataprep.records import InputError
from grid.run.options import parser

if TYPE_CHECKING:
    from grid.experiment.config import Experiment
    from grid.plan.inventory import Inventory
    from grid.run.session import Session


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    p = parser()
    options = p.parse_args(arguments)
    options.folder = options.transfer = None
    if (options.train_on or options.test_on) and (
        options.data or options.dataset or options.protocol not in (None, "transfer")
    ):
        p.error(
            "--train-on and --test-on say data and protocol themselves: expected neither --data, --dataset nor --protocol"
        )
    if options.adapt and not options.train_on:
        p.error("--adapt is for --train-on and --test-on; in an experiment file a scenario has it: [scenarios.NAME] adapt")
    if options.cpus and (options.address or options.executor == "in-process"):
        p.error(
            "--cpus is for Ray on this machine: a cluster has what its nodes were started with, --in-process is one process"
        )
    options.arguments = sys.argv[1:] if arguments is None else arguments
    if options.status:
        return guarded(lambda: _status(options))
    if not (
        options.all
        or options.baselines
        or options.methods
        or options.modalities
        or options.scenarios
        or options.folds
        or options.plan
    ):
        p.error("say what to compute: --all, or a selection such as --modalities eda (see --help)")
    from grid.execute.interrupts import TERMINATED, sigterm_noted

    with sigterm_noted() as terminated:
        code = guarded(
            lambda: _command(options),
            kept="what was finished is kept; the same command goes on from here",
            log=lambda: None if options.plan or not options.folder else options.folder / "logs",
        )
    return TERMINATED if terminated and code == INTERRUPTED else code


def _command(options: argparse.Namespace) -> int:
    from grid.execute.executor import check
    from grid.run import probes
    from grid.store.artefacts import Store
    from grid.store.exclusive_lock import exclusive_lock

    if options.address:
        check(options.executor, options.address)
    experiment = _experiment(options)
    out = (options.out or Path("runs") / experiment.name).resolve()
    places = probes.places(out, options.store or Store(out / "store").root, options.tracking_uri)
    if not options.plan and probes.SILENT in places[-1]:
        print(f"warning: {places[-1]}", file=sys.stderr)
    options.folder = out
    with nullcontext() if options.plan else exclusive_lock(out):
        return _run(options, experiment, out, places)


def _status(options: argparse.Namespace) -> int:
    """Show the folder that a run with these options uses."""
    from grid.experiment import config
    from grid.monitor import status

    name = config.load(options.experiment or ("paper" if options.data else "demo")).name
    status.show(options.out or Path("runs") / name)
    return 0


def _experiment(options: argparse.Namespace) -> Experiment:
    from dataprep.video.retinaface import RESNET_WEIGHTS
    from grid.experiment import config
    from grid.experiment.cells import numbers

    if options.detector_weights:  # for every process started from here
        os.environ[RESNET_WEIGHTS] = str(options.detector_weights.resolve())
    changes: dict[str, Any] = {}
    if options.train_on or options.test_on:
        from grid.run.transfer import transfer

        options.transfer = transfer(options.train_on or [], options.test_on, options.adapt)
        changes |= options.transfer.changes()
    if options.trunk or options.random_trunk:
        named = {"name": options.trunk, "weights": "", "scaling": ""} if options.trunk else {}
        changes["trunk"] = {"random": options.random_trunk, **named}
    if options.detector:
        changes["faces"] = {"detector": options.detector}
    if options.cpus:
        changes["execution"] = {"cpus": options.cpus}
    if options.search is not None:
        changes["search"] = {"trials": options.search}
    asked = {"name": options.protocol, "repeats": options.repeats}
    asked["folds_from"] = str(options.folds_from.resolve()) if options.folds_from else None
    changes.setdefault("protocol", {}).update({key: value for key, value in asked.items() if value is not None})
    if options.seeds is not None:
        changes["fit"] = {"seeds": numbers(options.seeds, "--seeds")}
    own = options.data or options.transfer
    return config.load(options.experiment or ("paper" if own else "demo"), **changes)


def _run(options: argparse.Namespace, experiment: Experiment, out: Path, places: Sequence[str]) -> int:
    from dataprep.datasets import dataset
    from dataprep.exclusions import read_exclusions
    from grid.execute.executor import nodes
    from grid.experiment import cells
    from grid.experiment.partitions import splits_of
    from grid.experiment.scenarios import named_for, with_onsets
    from grid.monitor.progress import Hashing, tell_first
    from grid.plan.inventory import open_data, read_inventory
    from grid.run import show
    from grid.run.earlier import Earlier
    from grid.run.result_folder import write, write_quarantine
    from grid.run.selection import selected_rows
    from grid.run.session import Session
    from grid.run.synthetic_data import synthetic_data
    from grid.store.artefacts import Store, point
    from grid.store.forgotten import refuse_unfinished
    from grid.store.layout import check_layout
    from grid.tracking.redact import redact

    everything = bool(options.all or options.plan)
    apart = {"baselines": options.baselines, "no_baselines": options.no_baselines, "of_methods": options.methods}
    rows = selected_rows(experiment, named=options.modalities, whole=everything, **apart)
    asked = options.transfer.write(out, plan=options.plan) if options.transfer else options.data and options.data.resolve()
    reader = open_data(asked, options.dataset) if asked else dataset("biovid")  # synthetic data have its layout
    experiment = with_onsets(named_for(experiment, reader))
    if everything and not options.modalities and reader.description:  # a table may name channels that no experiment knows
        rows = cells.with_unseen(rows, reader.channels)
    cells.refuse_unknown(rows, reader.channels)
    scenarios = experiment.axes.scenarios
    if options.scenarios:
        asked_for = cells.choose(options.scenarios, experiment.scenarios, "scenario")
        scenarios = tuple(s for s in experiment.scenarios if s in asked_for or cells.base_of(s) in asked_for)
    if options.store and not options.plan:
        point(out / "store", options.store)
    store = Store(options.store or out / "store")
    check_layout(store)
    if not options.plan:
        refuse_unfinished(store)
    data = asked or synthetic_data(experiment, out, rows, plan=options.plan)
    memory = (out if options.data or not options.plan else data.parent) / "fingerprints.json"

    def surveyed(rows: Iterable[str], scenarios: Iterable[str]) -> Inventory:
        what: dict[str, Any] = {"rows": rows, "scenarios": scenarios, "memory": memory, "dataset": options.dataset}
        what["exclude"] = read_exclusions(options.exclude)
        with Hashing() as hashing:
            return read_inventory(data, experiment, **what, on_progress=hashing.progress, plan_only=options.plan)

    found = surveyed(rows, scenarios)
    if experiment.protocol.folds_from:  # what is wrong with the file stops here, and is no reason of single cells
        for name in scenarios:
            splits_of(experiment, found.dataset, found.index, experiment.scenario(name))
    folds = None
    if options.folds:
        most = 1 + max(s.fold for s in splits_of(experiment, found.dataset, found.index))
        folds = cells.fold_numbers(options.folds, most)

    session = Session(experiment, found, out, rows=rows, scenarios=scenarios, folds=folds)
    _refuse(session, None if options.plan else write_quarantine)
    if options.plan:
        there = nodes(options.executor, options.address) if options.address else None
        print(show.plan_text(experiment, found, session.plan, store, there), "", *places, sep="\n")
        if found.excluded:
            print(f"\n{len(found.excluded)} recordings are left out by hand (--exclude)")
        if found.missing:
            raise InputError(f"before it can run: {found.missing}")
        return 0
    tell_first([f"left out: {defect.reason}" for defect in found.defects], "quarantine.csv")
    if options.strict and found.defects:
        raise InputError(f"{len(found.defects)} recordings cannot be used, and --strict was given")
    earlier = Earlier.beyond(out, session.plan.cells)
    earlier.check(earlier.joined(session, surveyed))
    session.command = redact(f"{program('grid.launch')} " + shlex.join(options.arguments))
    session.run(options.executor, address=options.address, strict=options.strict)
    whole = earlier.joined(session, surveyed)
    if not session.failures:
        _refuse(whole, write_quarantine)  # recordings may have turned out to be unusable
    return _finish(options, session, write(whole))


def _refuse(session: Session, write: Callable[[Session], None] | None) -> None:
    """Raises InputError if no cell can be computed: a run that does nothing is no success. `write` lists what was left out."""
    plan, left_out = session.plan, session.defects
    if not plan.cells:
        raise InputError("nothing was selected: expected at least one row, scenario and fold")
    if len(plan.impossible) == len(plan.cells):
        said = "no cell can be computed: " + "; ".join(list(dict.fromkeys(plan.impossible.values()))[:3])
        if left_out:
            said += f"\n{len(left_out)} recordings are left out, such as {left_out[0].reason}"
            if write:
                write(session)
                said += f"\nall of them, with the reasons: {session.out / 'quarantine.csv'}"
        raise InputError(said)


def _finish(options: argparse.Namespace, session: Session, scores: Any) -> int:
    """Mirror, report, and say how it went; returns the exit code."""
    import pandas as pd

    from grid.run import show
    from grid.run.finish import mirror, write_report
    from grid.run.result_folder import summary

    out = session.out
    problem, report_kinds = write_report(out, options.compare)
    mirrored, mirror_kinds = mirror(out, options.tracking_uri)
    learning, failures, table = (pd.read_csv(out / f"{name}.csv") for name in ("learning", "failures", "table2"))
    people = {str(name): int(n) for name, n in table.groupby("scenario", sort=False)["n_subjects"].max().items()}
    print(f"\n{show.outcome_text(scores, learning, session.inventory.learns, failures=failures, people=people)}\n")
    if session.defects:
        print(f"{len(session.defects)} recordings left out: see {out / 'quarantine.csv'}")
    if session.plan.impossible:
        print(f"{len(session.plan.impossible)} cells impossible with this data: see {out / 'failures.csv'}")
    print(summary(session))
    print(mirrored)
    print(show.seen(out, problem, options.tracking_uri))
    tracebacks = f"; tracebacks are in {out / 'logs'}" if (out / "logs").is_dir() else "; tracebacks are above"
    if session.failures:
        print(f"{len(session.failures)} preparations failed: see {out / 'failures.csv'}", file=sys.stderr)
    if session.failed:
        print(f"{len(session.failed)} fits failed: see {out / 'failures.csv'}{tracebacks}", file=sys.stderr)
    kinds = session.kinds | ({MACHINE} if session.failed or session.failures else set())
    if BUG in kinds:
        print(f"some failed by a bug in this program{tracebacks}", file=sys.stderr)
    return exit_code(kinds | mirror_kinds | report_kinds)


if __name__ == "__main__":
    sys.exit(main())
