"""Two drivers on one store, killed again and again, and the same commands repeated.

Nothing that was stored is made again or lost, and the results of both are those of undisturbed runs, to the byte.

    python -m pytest -m chaos tests/chaos/test_shared_store.py
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.chaos import tools
from tests.chaos.test_nodes import undisturbed, varied

pytestmark = [pytest.mark.chaos, pytest.mark.ray]
KILLS = 8
ROWS = {
    "a": ["--modalities", "video,eda,eda+video", "--scenarios", "all87"],
    "b": ["--modalities", "ecg,eda,eda+video", "--scenarios", "all87"],
}


def unfinished(store: Path) -> list[Path]:
    """What drivers at work have in a store beside artefacts."""
    left = [p for name in (".drafts", ".running", ".leases", ".checkpoints") for p in (store / name).glob("*")]
    return left + list(store.glob(".tune-*"))


@pytest.mark.timeout(1800)
def test_two_drivers_killed_at_random_moments(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    """One of the two, or both, once there are so many artefacts; rows in common, so both want the same fits."""
    experiment = varied(tiny_experiment, tmp_path / "long.toml", epochs=200)
    expected = {x: undisturbed(tiny_data, experiment, tmp_path / f"whole-{x}", rows) for x, rows in ROWS.items()}
    keys = {p.relative_to(out / "store") for out in expected.values() for p in tools.manifests(out)}
    shared, chance = tmp_path / "shared", random.Random(13)
    kept: dict[Path, int] = {}
    runs: dict[str, subprocess.Popen] = {}
    killed = 0

    def start(cluster: object) -> None:
        for x, rows in ROWS.items():
            if x not in runs:
                more = ["--store", str(shared / "store"), "--address", cluster.address]  # type: ignore[attr-defined]
                runs[x] = tools.start(tools.command(tiny_data, experiment, tmp_path / x, *rows, *more))

    with tools.nodes_of_one_processor(2) as cluster:
        for moment in sorted(chance.sample(range(1, len(keys) - 2), KILLS)):
            start(cluster)
            until = time.monotonic() + tools.SECONDS
            while len(tools.manifests(shared)) < moment and any(run.poll() is None for run in runs.values()):
                assert time.monotonic() < until
                time.sleep(0.02)
            for x in chance.choice([["a"], ["b"], ["a", "b"]]):
                run = runs.pop(x)
                run.send_signal(signal.SIGKILL)
                said = run.communicate()
                assert run.returncode in (0, -signal.SIGKILL), said
                killed += run.returncode != 0
            now = tools.manifests(shared)
            assert {p: now.get(p) for p in kept} == kept, "what was stored stays as it is"
            kept = now
        start(cluster)
        for run in runs.values():
            said = run.communicate(timeout=tools.SECONDS)
            assert run.returncode == 0, said
    assert killed >= KILLS - 2
    now = tools.manifests(shared)
    assert {p: now.get(p) for p in kept} == kept
    assert {p.relative_to(shared / "store") for p in now} == keys
    for x, whole in expected.items():
        tools.assert_whole(tmp_path / x, whole)
    again = {
        x: tools.start(tools.command(tiny_data, experiment, tmp_path / x, *rows, "--in-process")) for x, rows in ROWS.items()
    }
    for run in again.values():
        said, errors = run.communicate(timeout=tools.SECONDS)
        assert run.returncode == 0, errors
        assert "nothing was computed again" in said
    assert unfinished(shared / "store") == []
    assert os.listdir(shared) == ["store"]
