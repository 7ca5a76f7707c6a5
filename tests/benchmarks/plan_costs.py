"""What `--plan` estimates (grid/plan/costs.py) beside what the same work takes, kind of stage by kind, in one run.

    PYTHONPATH=. python tests/benchmarks/plan_costs.py DATA [--case demo paper published]

DATA is a data set with BioVid's channels, such as the one that the demo writes. Fold 0 of `all87` is prepared and fitted in this
process with one thread; epochs are cut to EPOCHS. Seconds are CPU seconds, so other work on the machine counts for
little. `ratio` is measured by planned: above 1 the plan says too little. An empty store is planned, as for the first run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from grid.execute.executor import Prepared
from grid.experiment import config
from grid.plan.costs import Costs
from grid.plan.inventory import Inventory, read_inventory
from grid.plan.preparation import of_trials
from grid.plan.specs import Fit
from grid.run.session import Session
from grid.work.blocks import StoreBlocks
from grid.work.fit_predict import Runner
from grid.work.prepare import run_signals, run_video

FACES = ("frame:vgg16", "frame:resnet50", "video:mobilenet", "video:3dcnn", "video:vit", "video:sparse-lstm", "video:gnn")
FACES += ("video:stgcn-gru", "video:landmarks-rf", "eda+ecg+emg+video:cnn2d", "eda+ecg+emg+video:lstm-3dcnn", "emg:rf")
SIGNALS = ("eda", "eda+ecg", "eda:multitask", "eda+ecg:multitask", "eda:cnn", "eda+ecg+emg:cnn", "eda:mlp", "eda:painattn")
SIGNALS += ("eda+ecg:painattn", "eda+ecg:crossmod", "eda:painattn-native", "eda:cnn-lstm-native", "eda:rf", "ecg:logistic")
CASES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "demo": ("demo", {}, ()),
    "paper": (
        "paper",
        {"trunk": {"name": "alexnet-fer-bn", "random": True}},
        ("video", "eda", "eda+video", "eda+ecg+video", "video:rf"),
    ),
    "published": ("published", {}, SIGNALS),
    "faces": ("methods-demo", {}, FACES),
}
"""Name -> experiment, changes, rows (all where none is named): the small trunk, the paper's sizes, methods on body signals,
small ones on the face."""
EPOCHS = {"spatial": 1, "attention": 30, "fusion": 30, "physiological": 20}
"""Epochs that are made of a role at most; 3 of all others."""


def timed(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def measured(session: Session, found: Inventory) -> dict[str, list[tuple[float, float]]]:
    """Kind of stage -> (planned, measured) CPU seconds of each."""
    costs = Costs.of(session.experiment, found.dataset)
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    prepared = Prepared(of_trials(found.videos, found.signals))
    for block in found.signals:
        took = timed(lambda block=block: prepared.take_signals(block, *_signals(session, block)))
        times["signals, all kinds"].append((sum(costs.recording(s.name, len(block.trials)) for s in block.stages), took))
    for video in found.videos:
        took = timed(lambda video=video: run_video(video, session.store))
        times["video, all kinds"].append((sum(costs.recording(s.name) for s in video.stages), took))
    runner = Runner(session.store, StoreBlocks(session.store, prepared.stages, prepared.signals, {}))
    for fit in map(shortened, session.plan.fits.values()):
        times[fit.stage.name].append((costs.fit(fit), timed(lambda fit=fit: runner.fit(fit))))
    return times


def shortened(fit: Fit) -> Fit:
    """A fit with few epochs."""
    if not hasattr(fit.settings, "epochs"):
        return fit
    return replace(fit, settings=replace(fit.settings, epochs=min(fit.epochs, EPOCHS.get(fit.role, 3))))


def _signals(session: Session, block):
    from dataprep.faults import Failure

    return Failure(), run_signals(block, session.store)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--case", nargs="+", default=list(CASES), choices=CASES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for case in options.case:
        with tempfile.TemporaryDirectory() as folder:
            name, changes, some = CASES[case]
            experiment = config.load(name, **changes)
            rows = some or (*experiment.axes.modalities, *experiment.axes.baselines)
            asked = {"rows": rows, "scenarios": ("all87",)}
            found = read_inventory(options.data, experiment, **asked, memory=Path(folder) / "fingerprints.json")
            session = Session(experiment, found, Path(folder), **asked, folds=(0,))
            print(f"\n{case:<28}{'stages':>8}{'planned s':>12}{'measured s':>12}{'ratio':>8}", flush=True)
            for kind, seconds in measured(session, found).items():
                planned_s, measured_s = (sum(column) / len(seconds) for column in zip(*seconds, strict=True))
                ratio = measured_s / planned_s
                print(f"{kind:<28}{len(seconds):>8}{planned_s:>12.3f}{measured_s:>12.3f}{ratio:>8.2f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
