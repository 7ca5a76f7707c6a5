"""Live dashboards of a running grid: `python -m dashboards.live DIR` starts what is installed and ends it with itself.

Always: the grid's own figures (grid/monitor/prometheus.py). With `prometheus` on the PATH: a Prometheus that scrapes them and the
Ray that the grid runs on. With `grafana-server` (or `grafana`) too: a Grafana with the dashboard of `dashboards/grafana/`.
All listen on 127.0.0.1 alone; their files live in DIR/live. Without Grafana, import the JSON into one you have.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from dataprep.faults import guarded
from dataprep.ports import free_port
from dataprep.program import program
from grid.monitor import prometheus

DASHBOARDS = Path(__file__).parent / "grafana"
RAY_TARGETS = Path("/tmp/ray/prom_metrics_service_discovery.json")
"""Where the head of a standing Ray cluster with a dashboard lists its nodes; a run writes DIR/live/ray.json itself."""
SECONDS = 5


def prometheus_config(folder: Path, *, grid_port: int) -> Path:
    """Write prometheus.yml into `folder`; returns its path. JSON is YAML."""
    config = {
        "global": {"scrape_interval": f"{SECONDS}s", "evaluation_interval": f"{SECONDS}s"},
        "scrape_configs": [
            {"job_name": "grid", "static_configs": [{"targets": [f"127.0.0.1:{grid_port}"]}]},
            {
                "job_name": "ray",
                "file_sd_configs": [
                    {"files": [str(folder / "ray.json"), str(RAY_TARGETS)], "refresh_interval": f"{SECONDS}s"}
                ],
            },
        ],
    }
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(config, indent=1), encoding="utf-8")
    return path


def start_prometheus(folder: Path, *, grid_port: int, port: int) -> subprocess.Popen:
    """A Prometheus on 127.0.0.1 with its data and log in `folder`. Raises FileNotFoundError if it is not installed."""
    config = prometheus_config(folder, grid_port=grid_port)
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=30d"]
    with open(folder / "prometheus.log", "w", encoding="utf-8") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def start_grafana(folder: Path, binary: str, *, prometheus_port: int, port: int) -> subprocess.Popen:
    """A Grafana on 127.0.0.1 that every user of this machine may read, with the dashboard and its data source."""
    provisioning = folder / "provisioning"
    for part in ("datasources", "dashboards"):
        (provisioning / part).mkdir(parents=True, exist_ok=True)
    source = {"name": "grid", "uid": "grid", "type": "prometheus", "access": "proxy", "isDefault": True}
    source["url"] = f"http://127.0.0.1:{prometheus_port}"
    _yaml(provisioning / "datasources" / "grid.yaml", {"apiVersion": 1, "datasources": [source]})
    provider = {"name": "grid", "type": "file", "options": {"path": str(DASHBOARDS.resolve())}}
    _yaml(provisioning / "dashboards" / "grid.yaml", {"apiVersion": 1, "providers": [provider]})
    settings = {
        "GF_PATHS_PROVISIONING": provisioning,
        "GF_PATHS_DATA": folder / "grafana",
        "GF_PATHS_LOGS": folder / "grafana",
        "GF_SERVER_HTTP_ADDR": "127.0.0.1",
        "GF_SERVER_HTTP_PORT": port,
        "GF_AUTH_ANONYMOUS_ENABLED": "true",
        "GF_ANALYTICS_REPORTING_ENABLED": "false",
        "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    }
    home = next((p for p in ("/usr/share/grafana", "/usr/local/share/grafana") if Path(p).is_dir()), "")
    command = [binary, *(["server"] if Path(binary).name == "grafana" else []), *(["--homepath", home] if home else [])]
    with open(folder / "grafana.log", "w", encoding="utf-8") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **{k: str(v) for k, v in settings.items()}}
        )


def _yaml(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog=program("dashboards.live"), description="Live dashboards of a running grid.")
    p.add_argument("dir", type=Path, help="a result folder (the --out of grid.launch)")
    p.add_argument("--port", type=int, default=prometheus.PORT, help="port of the run's figures (default %(default)s)")
    p.add_argument("--prometheus-port", type=int, default=9090, help="port of Prometheus (default %(default)s)")
    p.add_argument("--grafana-port", type=int, default=3000, help="port of Grafana (default %(default)s)")
    return p


def main(arguments: list[str] | None = None) -> int:
    """The command line: start all servers, print their addresses, stop them with Ctrl-C."""
    options = parser().parse_args(arguments)
    if not options.dir.is_dir():
        print(f"error: {options.dir}: no such folder; expected the --out of a run", file=sys.stderr)
        return 2
    return guarded(lambda: _live(options))


def _live(options: argparse.Namespace) -> int:
    options.port = free_port(options.port, "--port")
    options.prometheus_port = free_port(options.prometheus_port, "--prometheus-port")
    options.grafana_port = free_port(options.grafana_port, "--grafana-port")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that what was started here ends with it
    folder = (options.dir / "live").resolve()
    folder.mkdir(exist_ok=True)
    started: list[subprocess.Popen] = []
    port = prometheus.serve(options.dir, options.port)
    print(f"figures     http://127.0.0.1:{port}/metrics", flush=True)
    grafana = shutil.which("grafana-server") or shutil.which("grafana")
    try:
        if shutil.which("prometheus"):
            started.append(start_prometheus(folder, grid_port=port, port=options.prometheus_port))
            print(f"Prometheus  http://127.0.0.1:{options.prometheus_port}", flush=True)
        else:
            print("Prometheus  not installed (Debian: apt install prometheus)", flush=True)
        if grafana and started:
            started.append(
                start_grafana(folder, grafana, prometheus_port=options.prometheus_port, port=options.grafana_port)
            )
            print(f"Grafana     http://127.0.0.1:{options.grafana_port}/d/pain-grid", flush=True)
        else:
            print(f"Grafana     not started; import {DASHBOARDS / 'pain-grid.json'} into yours", flush=True)
        while all(process.poll() is None for process in started):
            time.sleep(1)
        print(f"error: a server ended by itself; its log is in {folder}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        for process in started:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
