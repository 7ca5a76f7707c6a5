"""The synthetic data set that an experiment runs on where no other is given."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path
from typing import Any

from dataprep.faces import load_detector
from dataprep.synthetic.dataset import VERSION, write_layout, write_synthetic
from grid.experiment.cells import row
from grid.experiment.config import Experiment
from grid.monitor.progress import Display
from grid.plan.preparation import TrunkSpec
from grid.store.identity import digest


def synthetic_data(experiment: Experiment, out: Path, rows: tuple[str, ...], *, plan: bool) -> Path:
    """The experiment's synthetic data set, written if it is not there; to `plan` on, its index alone in a temporary folder."""
    s = experiment.synthetic
    path = out / "data" / f"synthetic-{digest([VERSION, s.model_dump()])}"
    if path.exists():
        return path
    if plan:
        path = Path(tempfile.mkdtemp(prefix="grid-plan-")) / "synthetic-not-written-yet"
        atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
        write_layout(path, subjects=s.subjects, trials=s.trials, seed=s.seed)
        return path
    if any("video" in row(name).parts for name in rows):  # what cannot be loaded stops here, before anything is written
        TrunkSpec.of(experiment)
        load_detector(experiment.face_settings)
    print(
        f"no --data: writing a synthetic data set ({s.subjects} subjects, {s.trials} trials a class) to {path}", flush=True
    )
    width, _, height = s.size.partition("x")
    options: dict[str, Any] = {"subjects": s.subjects, "trials": s.trials, "seed": s.seed, "signal": s.signal}
    with Display("writing", s.subjects * s.trials * 2, unit="recordings") as display:
        write_synthetic(path, size=(int(width), int(height)), progress=lambda *_: display.advance(), **options)
    return path
