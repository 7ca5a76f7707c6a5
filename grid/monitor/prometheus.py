"""The grid's own figures for Prometheus: `python -m grid.monitor DIR [--port 9464]` serves them on 127.0.0.1.

Read from the result folder, like `--status`: the run itself is not touched, and may be on other machines. Rates are left to
Prometheus (`rate(grid_frames_total[5m])`). Ray's own figures, GPU memory among them, come from Ray.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dataprep.faults import guarded
from dataprep.ports import free_port
from dataprep.program import program
from dataprep.records import InputError
from grid.monitor import status

PORT = 9464


class GridCollector(Collector):
    """Reads the result folder each time Prometheus asks."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def collect(self) -> Iterator[Metric]:
        """All figures. None before a run was begun in the folder."""
        started = time.monotonic()
        try:
            now = status.snapshot(self.out)
        except InputError:
            return
        stages = GaugeMetricFamily("grid_stages", "Stages of the plan by state.", labels=["stage", "state"])
        for name, counts in now.stages.items():
            for state, n in counts.items():
                stages.add_metric([name, state], n)
        yield stages
        cells = GaugeMetricFamily("grid_cells", "Cells of the grid by state.", labels=["state"])
        for state in status.STATES:
            cells.add_metric([state], sum(v == state for v in now.cells.values()))
        yield cells
        fits = sum(counts["done"] for name, counts in now.stages.items() if name.startswith("fit-"))
        for name, about, value in (
            ("grid_fits", "Fits stored.", fits),
            ("grid_frames", "Video frames prepared.", now.frames),
            ("grid_epochs", "Epochs trained, counted when a fit is over.", now.epochs),
            ("grid_compute_seconds", "Seconds of work in all stored stages.", now.compute_seconds),
            ("grid_gpu_seconds", "Those of them on a GPU.", now.gpu_seconds),
        ):
            yield CounterMetricFamily(name, about, value=value)
        yield GaugeMetricFamily("grid_quarantined_recordings", "Recordings left out.", value=now.quarantined)
        yield GaugeMetricFamily("grid_store_bytes", "Size of the artefact store.", value=now.store_bytes)
        eta = float("nan") if now.eta_s is None else now.eta_s
        yield GaugeMetricFamily("grid_eta_seconds", "Estimated time left; NaN while nothing is known.", value=eta)
        yield GaugeMetricFamily("grid_scrape_seconds", "What reading this took.", value=time.monotonic() - started)


def serve(out: Path, port: int) -> int:
    """Serve in the background on loopback; returns the port (another one if `port` is 0). InputError if it is in use."""
    registry = CollectorRegistry()
    registry.register(GridCollector(out))
    server, _ = start_http_server(free_port(port), addr="127.0.0.1", registry=registry)
    return server.server_port


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog=program("grid.monitor"), description="Serve the figures of a run for Prometheus.")
    p.add_argument("dir", type=Path, help="a result folder (the --out of grid.launch)")
    p.add_argument("--port", type=int, default=PORT, help=f"port on 127.0.0.1 (default {PORT})")
    return p


def main(arguments: list[str] | None = None) -> int:
    """The command line: serve until interrupted."""
    options = parser().parse_args(arguments)
    if not options.dir.is_dir():
        print(f"error: {options.dir}: no such folder; expected the --out of a run", file=sys.stderr)
        return 2
    return guarded(lambda: _serve(options))


def _serve(options: argparse.Namespace) -> int:
    print(f"http://127.0.0.1:{serve(options.dir, options.port)}/metrics   (Ctrl-C ends it)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    return 0
