"""A recording is to blame if it ends a process of its own twice; what ends a process otherwise is the machine's."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from dataprep.datasets.synthetic import DATASET
from dataprep.faces import FaceSettings
from dataprep.faults import MACHINE, RECORDING
from dataprep.records import RecordingError
from grid.plan.preparation import TrunkSpec, video_job
from grid.store.artefacts import Store
from grid.work import attempts
from grid.work.attempts import in_own_process
from painmodels.trunks.trunk import load_trunk


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "PAUSE_S", 0.0)


class Ends:
    """A trunk whose loading ends the process by a signal, or raises."""

    def __init__(self, by: int) -> None:
        self.by = by

    def load(self) -> None:
        if self.by:
            os.kill(os.getpid(), self.by)
        raise RecordingError("x.mp4: found nothing, expected something")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "kind", "words"),
    [
        (signal.SIGSEGV, RECORDING, "crashes the decoder (SIGSEGV"),
        (signal.SIGKILL, MACHINE, "ended by SIGKILL"),
        (0, RECORDING, "found nothing"),
    ],
)
def test_only_a_file_that_crashes_its_own_process_twice_is_to_blame(
    by: int, kind: str, words: str, tiny_data: Path, tmp_path: Path
) -> None:
    trials, _ = DATASET.read_trials(tiny_data)
    trunk = load_trunk("mini-xception-fer")
    spec = TrunkSpec(
        name="mini-xception-fer",
        weights="",
        random=False,
        seed=0,
        scaling="",
        precision="float32",
        fingerprint=trunk.fingerprint,
    )
    job = video_job(trials[0], "0" * 16, settings=FaceSettings(), trunk=spec, dataset=DATASET)
    said = in_own_process(replace(job, trunk=Ends(by)), Store(tmp_path / "store"), limit_s=60)  # type: ignore[arg-type]
    assert said.kind == kind
    assert words in said.reason
