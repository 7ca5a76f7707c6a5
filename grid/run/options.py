"""The options of `python -m grid.launch`. Nothing here loads torch, Ray or MLflow: `--help` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from dataprep.outputs import shown
from dataprep.program import program
from dataprep.storage import Place, place

ADAPTATIONS = ("batch-statistics", "coral")  # painmodels.methods.adaptation loads torch
PROTOCOLS = sorted(file.stem for file in (Path(__file__).parent.parent / "protocols").glob("[!_]*.py"))
EXECUTORS = sorted(
    file.stem.removesuffix("_executor").replace("_", "-")
    for file in (Path(__file__).parent.parent / "execute").glob("*_executor.py")
)


def parser() -> argparse.ArgumentParser:
    """The command line. Its names are a contract with users' scripts."""
    p = argparse.ArgumentParser(
        prog=program("grid.launch"),
        allow_abbrev=False,  # `--al` is a slip
        description="Train and compare every cell of the grid: modality rows x scenarios x folds (x partitions x seeds).",
        epilog="examples:\n"
        "  python -m grid.launch --all                                    synthetic data, minutes on a laptop\n"
        "  python -m grid.launch --all --data /data/BioVid/PartA          the paper's grid on your data\n"
        "  python -m grid.launch --all --data /data/PartA --plan          what would be done, and how long it takes\n"
        "  python -m grid.launch --modalities eda,eda+video --folds 0-2   a part of it\n"
        "Run the same command again after any interruption: finished work is not repeated.\n"
        "exit codes: 0 done, 1 incomplete (machine, failed fit), 2 bad input, 3 a bug of this program, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = p.add_argument_group("what to compute (a selection, or --all)")
    what.add_argument(
        "--all",
        action="store_true",
        help="every row, scenario and fold of the experiment; of a data set by a table also a row for each other channel",
    )
    what.add_argument(
        "--modalities", metavar="ROWS", help="rows, comma-separated: frame,video,ecg,eda,eda+video,eda:argmax,…"
    )
    beside = what.add_mutually_exclusive_group()
    beside.add_argument("--baselines", action="store_true", help="every baseline, too (or alone): majority, eda:argmax, …")
    beside.add_argument("--no-baselines", action="store_true", help="leave out the baselines that the experiment names")
    what.add_argument(
        "--methods", metavar="all|NAME,…", help="the rows of these methods, too (or alone): all, or cnn,painattn"
    )
    what.add_argument("--scenarios", metavar="NAMES", help="scenarios, comma-separated: all87,expressive67")
    what.add_argument("--folds", metavar="FOLDS", help="fold numbers such as 0-4,7")
    what.add_argument("--repeats", type=int, metavar="N", help="number of partitions into folds (default: 1)")
    what.add_argument("--seeds", metavar="SEEDS", help="seeds of initial weights such as 0,1,2 or 0-4 (default: 0)")
    what.add_argument("--protocol", choices=PROTOCOLS, help="how subjects are split (default: the experiment's, subject)")
    what.add_argument("--folds-from", type=Path, metavar="FILE", help="who is in which fold: the folds.csv of another run")
    how = p.add_argument_group("data and settings")
    how.add_argument(
        "--data",
        type=_place,
        metavar="PATH|URI",
        help="a data set, also s3://…; default: a synthetic one, written at the first run",
    )
    how.add_argument(
        "--train-on",
        type=_place,
        nargs="+",
        metavar="PATH",
        help="train on these data sets, test on those of --test-on: channels of one name, slowest clock, shortest window",
    )
    how.add_argument(
        "--test-on",
        type=_place,
        nargs="+",
        default=[],
        metavar="PATH",
        help="the data sets to test; without it, each of --train-on is tested in turn by training on the others",
    )
    how.add_argument(
        "--adapt",
        nargs="+",
        choices=ADAPTATIONS,
        default=[],
        help="show the crossing once more, adapted without labels to the tested people (their recordings are seen: transductive)",
    )
    how.add_argument("--dataset", metavar="NAME", help="its reader: biovid, stress-predict, …; default: recognised")
    how.add_argument(
        "--exclude",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="leave recordings out: a .txt with one trial id or file name per line, or one recording; may be repeated",
    )
    how.add_argument(
        "--experiment",
        metavar="NAME|FILE",
        help="demo, paper or a TOML file ([task]: what is learnt); default: paper with --data, else demo",
    )
    how.add_argument("--search", type=int, metavar="N", help="search hyperparameters, N trials each, on training data only")
    how.add_argument("--trunk", metavar="NAME", help="the frozen CNN, such as mini-xception-fer; default: the experiment's")
    how.add_argument("--random-trunk", action="store_true", help="use an untrained trunk (the report says so)")
    how.add_argument("--detector", metavar="NAME", help="retinaface-mobile (default, shipped) or retinaface (the paper's)")
    how.add_argument("--detector-weights", type=Path, metavar="FILE", help="for retinaface; default: its package's cache")
    how.add_argument("--out", type=_folder, metavar="DIR", help="folder for results; default: runs/<experiment>")
    how.add_argument(
        "--store", type=_place, metavar="DIR|URI", help="folder for artefacts, also s3://bucket/prefix; default: DIR/store"
    )
    run = p.add_argument_group("where to run")
    run.add_argument(
        "--plan", action="store_true", help="print the plan and stop; exit code 2 where the run would be refused"
    )
    run.add_argument("--status", action="store_true", help="show the progress of the run in --out, and stop")
    run.add_argument(
        "--address", metavar="ADDR", help="an existing Ray cluster ('auto' on its head); default: Ray on this machine"
    )
    run.add_argument(
        "--cpus", type=_number, metavar="N", help="processors of this machine to work on at most; default: all (with Ray)"
    )
    names = ", ".join(EXECUTORS)
    run.add_argument("--executor", choices=EXECUTORS, default="ray", metavar="NAME", help=f"who does the work: {names}")
    run.add_argument(
        "--in-process",
        dest="executor",
        action="store_const",
        const="in-process",
        help="the executor in-process: run in this process, without Ray (to debug; same results)",
    )
    run.add_argument("--tracking-uri", metavar="URI", help="an MLflow server or database; default: a database in DIR")
    run.add_argument("--compare", type=Path, metavar="DIR2", help="compare with another result folder in the report")
    run.add_argument("--strict", action="store_true", help="stop at the first unusable recording instead of leaving it out")
    return p


def _place(text: str) -> Place:
    """A path or a URI."""
    try:
        return place(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _folder(text: str) -> Path:
    """A folder of this machine: it holds a lock, a database and drafts that are renamed, which a bucket has not."""
    at = _place(text)
    if not isinstance(at, Path):
        raise argparse.ArgumentTypeError(f"{text}: results lie in a folder of this machine; for a bucket, --store {text}")
    if shown(text) != text:
        raise argparse.ArgumentTypeError(
            f"{shown(text)}: found a name that is not UTF-8, expected one that can be written down"
        )
    return at


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of processors from 1 on")
    return int(text)
