"""The dashboard's queries, asked of a real Prometheus that scrapes a real, running grid."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from dashboards.live import DASHBOARDS, prometheus_config
from grid.monitor import prometheus

BOARD = json.loads((DASHBOARDS / "pain-grid.json").read_text())
EXPRESSIONS = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def ask(port: int, expression: str) -> list:
    answer = json.loads(get(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(expression)}"))
    assert answer["status"] == "success", (expression, answer)
    return answer["data"]["result"]


def test_the_board_is_laid_out_and_asks_nothing_twice() -> None:
    taken = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert (x, y) not in taken, panel["title"]
                taken.add((x, y))
    assert len({p["title"] for p in BOARD["panels"]}) == len(BOARD["panels"])


def test_figures_of_a_finished_grid(tiny_grid: Path, tmp_path: Path) -> None:
    port = prometheus.serve(tiny_grid, 0)
    found = dict(re.findall(r"^(grid_\S+?(?:\{.*?\})?) (\S+)$", get(f"http://127.0.0.1:{port}/metrics"), re.M))
    assert float(found['grid_cells{state="done"}']) == 32
    assert float(found['grid_stages{stage="fit-temporal",state="done"}']) == 4
    assert float(found["grid_fits_total"]) == 36
    assert float(found["grid_frames_total"]) == 10 * 138
    assert float(found["grid_epochs_total"]) == 4 * (1 + 2 + 2 + 3 * 3 + 3 * 2)
    assert float(found["grid_store_bytes"]) > 1e5
    nothing = prometheus.serve(tmp_path, 0)
    assert "grid_" not in get(f"http://127.0.0.1:{nothing}/metrics")


@needs_prometheus
def test_the_configuration_is_one_that_prometheus_accepts(tmp_path: Path) -> None:
    config = prometheus_config(tmp_path, grid_port=1234)
    done = subprocess.run(["promtool", "check", "config", str(config)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.ray
@pytest.mark.slow
@needs_prometheus
def test_every_panel_has_data_while_a_grid_runs(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    """The one documented command beside a run on Ray. Panels of GPUs stay empty where there is none, and only those."""
    out, ports = tmp_path / "out", [free_port() for _ in range(2)]
    out.mkdir()
    live = subprocess.Popen(
        [sys.executable, "-m", "dashboards.live", str(out), "--port", str(ports[0]), "--prometheus-port", str(ports[1])],
        stdout=subprocess.PIPE,
        text=True,
    )
    launch = [sys.executable, "-m", "grid.launch", "--all"]
    run = subprocess.Popen(
        [*launch, "--data", str(tiny_data), "--experiment", str(tiny_experiment), "--out", str(out)],
        stdout=subprocess.DEVNULL,
    )
    seen: dict[str, bool] = dict.fromkeys(EXPRESSIONS, False)
    try:
        while run.poll() is None:
            time.sleep(3)
            for expression in (e for e, has in seen.items() if not has):
                try:
                    seen[expression] = bool(ask(ports[1], expression))
                except OSError:
                    break  # Prometheus is not up yet
        assert run.returncode == 0
        done, deadline = 0.0, time.monotonic() + 60
        while done < 32 and time.monotonic() < deadline:  # Prometheus asks every few seconds
            time.sleep(0.2)
            done = sum(float(cells["value"][1]) for cells in ask(ports[1], 'grid_cells{state="done"}'))
        assert done == 32
    finally:
        for process in (live, run):
            process.terminate()
            process.wait(timeout=60)
    with pytest.raises(OSError, match="refused"):  # Prometheus ended with the command that had started it
        ask(ports[1], "up")
    without = {e for e, has in seen.items() if not has}
    assert all(re.search("gram|gpus", e) for e in without), without
