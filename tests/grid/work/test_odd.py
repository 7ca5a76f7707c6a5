"""A recording that is odd is used, and is said to be odd where those left out are listed."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from dashboards.report import write_report
from dataprep.datasets.synthetic import DATASET
from grid.launch import main
from tests.dataprep.video.makers import Kind, write


@pytest.mark.slow
def test_odd_recordings_are_used_and_listed(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(tiny_data, data)
    trials = [t for t in DATASET.read_trials(data)[0] if t.class_id in (0, 4)]
    frozen, tilted = trials[0], trials[3]
    header, *rows = Path(str(frozen.signals)).read_text().rstrip("\n").split("\n")
    table = np.array([[float(v) for v in row.split("\t")] for row in rows])
    table[800:1568, 1] = table[800, 1]
    np.savetxt(str(frozen.signals), table, delimiter="\t", header=header, comments="", fmt=["%d"] + ["%.6f"] * 5)
    with av.open(str(tilted.video)) as container:
        matrix = cv2.getRotationMatrix2D((160, 120), -50, 0.8)
        pictures = [cv2.warpAffine(f.to_ndarray(format="rgb24"), matrix, (320, 240)) for f in container.decode(video=0)]
    write(Path(str(tilted.video)), Kind(), pictures)
    command = ["--data", str(data), "--experiment", str(tiny_experiment), "--out", str(out), "--in-process"]
    command += ["--modalities", "eda+hr+video", "--scenarios", "all87", "--folds", "0"]  # `hr` is made: it is never odd
    for _ in range(2):  # the second time from the store
        assert main(command) == 0
        odd = pd.read_csv(out / "odd.csv")
        assert sorted(zip(odd["part"], odd["trial_id"], strict=True)) == [
            ("signals", frozen.trial_id),
            ("video", tilted.trial_id),
        ]
        assert "channel 'eda': stays at" in odd[odd["part"] == "signals"]["reason"].item()
        assert "is tilted by more than 30°" in odd[odd["part"] == "video"]["reason"].item()
        assert pd.read_csv(out / "quarantine.csv").empty
    report = write_report(out).read_text(encoding="utf-8")
    section = report[report.index('id="quarantine"') : report.index('id="provenance"')]
    assert "Used, but odd" in section
    assert frozen.trial_id in section
