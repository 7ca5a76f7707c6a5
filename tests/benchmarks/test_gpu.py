"""What waits for a GPU is measured on one or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("gpu.sh")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: the script would measure")
def test_without_a_gpu_nothing_is_measured_and_no_file_is_written(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run([SCRIPT, str(tmp_path / "gpu.json")], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 3
    assert "no CUDA device: nothing was measured" in done.stderr
    assert not list(tmp_path.iterdir())
