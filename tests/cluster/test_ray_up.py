"""A real `ray up` of grid/clusters/onprem.yaml over SSH to three machines made of namespaces, the grid on it, `ray down`.

The file is used as it ships, but for the values to fill in, the size of the nodes, and the installation: the machines
see this checkout's environment instead of downloading one each.

    python -m pytest -m cluster tests/cluster
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from machines import Machines, missing

ROOT = Path(__file__).parents[2]
SMALL = " --num-cpus=1 --object-store-memory=100000000"
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(bool(missing()), reason=f"needs {missing()}")]


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    with Machines(tmp_path, ("head", "one", "two")) as three:
        yield three


def cluster_file(machines: Machines, token: Path) -> Path:
    config = yaml.safe_load((ROOT / "grid/clusters/onprem.yaml").read_text())
    config["provider"] |= {"head_ip": machines.address("head"), "worker_ips": [machines.address(n) for n in ("one", "two")]}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(machines.key)}
    config["file_mounts"]["~/.ray/auth_token"] = str(token)
    config["setup_commands"][-1] = "grep -q PYTHONPATH ~/.profile || echo 'export PYTHONPATH=~/pain-grid' >> ~/.profile"
    for kind in ("head_start_ray_commands", "worker_start_ray_commands"):
        config[kind] = [c + SMALL if "ray start" in c else c for c in config[kind]]
    path = machines.folder / "cluster.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def ray(*arguments: str, timeout: int = 400) -> str:
    """A `ray` command on this side, as a user gives it; fails with what it said."""
    program = str(Path(sys.executable).with_name("ray"))
    env = {**os.environ, "RAY_UP_enable_autoscaler_v2": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=timeout, cwd=ROOT, env=env)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


def test_up_a_job_the_results_and_down(
    machines: Machines, tiny_data: Path, tiny_experiment: Path, tiny_grid: Path, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef" * 4)
    config = str(cluster_file(machines, token))
    ray("up", "-y", config)
    try:
        alive = "ray list nodes --filter state=ALIVE --format json | grep -o node_id | wc -l"
        wait = f"for i in $(seq 60); do test $({alive}) -ge 3 && exit 0; sleep 2; done; exit 1"
        ray("exec", config, wait)
        # The door is locked: without the token neither the jobs' interface nor the cluster itself answers.
        code = "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8265/api/jobs/"
        assert machines.ssh("head", code).stdout == "401"
        nobody = "RAY_AUTH_MODE=disabled python -c 'import ray; ray.init(\"auto\")'"
        assert machines.ssh("head", f". ~/.profile; timeout 60 env {nobody}").returncode != 0
        assert machines.ssh("one", "stat -c %a ~/.ray/auth_token").stdout.strip() == "600"
        out = tmp_path / "shared-out"  # on the file system that all machines see
        grid = f"python -m grid.launch --all --data {tiny_data} --experiment {tiny_experiment} --out {out} --address auto"
        said = ray("exec", config, f"ray job submit -- bash -c 'cd ~/pain-grid && {grid}'")
        assert "Ray: 3 node(s), 3 CPUs, 0 GPUs" in said
        assert "succeeded" in said
        fetched = tmp_path / "fetched"
        fetched.mkdir()
        ray("rsync-down", config, f"{out}/", f"{fetched}/")
        assert (fetched / "predictions.parquet").read_bytes() == (tiny_grid / "predictions.parquet").read_bytes()
        assert (fetched / "report.html").stat().st_size > 10_000
        shutil.rmtree(out)
    finally:
        ray("down", "-y", config)
    # On machines of one's own, workers notice that their head is gone, and end within a minute or two.
    gone = "for i in $(seq 90); do pgrep raylet > /dev/null || exit 0; sleep 2; done; exit 1"
    for name in machines.names:
        assert machines.ssh(name, gone).returncode == 0, name
