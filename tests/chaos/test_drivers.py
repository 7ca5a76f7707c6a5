"""Drivers that are killed, again and again, and the same command repeated.

Nothing that was stored is made again, and the results are those of an undisturbed run, to the byte.

    python -m pytest -m chaos tests/chaos/test_drivers.py
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import tools
from tests.chaos.test_nodes import SEARCHED, undisturbed, varied

pytestmark = [pytest.mark.chaos, pytest.mark.ray]
MOMENTS = 10
EVERYTHING = ["--modalities", "video,eda,eda+video", "--scenarios", "all87"]
SPACE = """
[search]
trials = {trials}
inner_folds = 2
prune = {prune}
[search.physiological]
lr = {{low = 1e-4, high = 1e-1, log = true}}
hidden = [4, 8, 16]
"""


def killed_at(arguments: list[str], out: Path, artefacts: int, pattern: str = "[!.]*") -> set[str]:
    """A run whose driver is killed once there are so many artefacts; gives the fits that were then being computed."""
    run = tools.start(arguments)
    tools.until(lambda: len(tools.manifests(out, pattern)) >= artefacts, run)
    os.kill(run.pid, signal.SIGKILL)
    running = out / "store/.running"
    marks = {p.name for p in running.iterdir()} if running.exists() else set()
    run.communicate()
    return marks


def made_again(before: dict[Path, int], out: Path) -> list[Path]:
    now: dict[Path, Any] = tools.manifests(out)
    return [p for p, at in before.items() if now.get(p) != at]


@pytest.mark.timeout(900)
def test_the_driver_killed_at_ten_random_moments(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    """Across preparation, search and fits. Random, unpruned trials: the order in which workers end cannot matter."""
    space = SPACE.format(trials=3, prune="false")
    experiment = varied(tiny_experiment, tmp_path / "searched.toml", epochs=20, more=space)
    expected = undisturbed(tiny_data, experiment, tmp_path / "whole", EVERYTHING)
    out, whole = tmp_path / "out", len(tools.manifests(expected))
    kept: dict[Path, int] = {}
    with tools.nodes_of_one_processor(2) as cluster:
        arguments = tools.command(tiny_data, experiment, out, *EVERYTHING, "--address", cluster.address)
        for moment in sorted(random.Random(7).sample(range(1, whole - 2), MOMENTS)):
            in_flight = killed_at(arguments, out, moment)
            assert len(in_flight) <= 2, "no more is lost than there are processors"
            assert not made_again(kept, out)
            kept |= tools.manifests(out)
        done = tools.start(arguments)
        _, errors = done.communicate(timeout=tools.SECONDS)
    assert done.returncode == 0, errors
    assert not made_again(kept, out)
    assert len(tools.manifests(out)) == whole
    tools.assert_whole(out, expected)
    assert not list((out / "store").glob(".tune-*"))
    assert not list((out / "store/.checkpoints").iterdir())


def test_a_search_killed_twice_goes_on_as_it_would_have_gone(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    """One worker, pruning, and more trials than are drawn at random: what is tried, and what is stopped, depends on the past."""
    space = SPACE.format(trials=9, prune="true")
    experiment = varied(tiny_experiment, tmp_path / "searched.toml", epochs=18, more=space)
    expected = undisturbed(tiny_data, experiment, tmp_path / "whole", SEARCHED)
    out, kept = tmp_path / "out", {}
    with tools.nodes_of_one_processor(1) as cluster:
        arguments = tools.command(tiny_data, experiment, out, *SEARCHED, "--address", cluster.address)
        for trials in (3, 13):
            killed_at(arguments, out, trials, "search-trial")
            assert not made_again(kept, out)
            kept = tools.manifests(out)
            assert trials <= len(tools.manifests(out, "search-trial")) < 18
        done = tools.start(arguments)
        _, errors = done.communicate(timeout=tools.SECONDS)
    assert done.returncode == 0, errors
    assert not made_again(kept, out)
    assert len(tools.manifests(out, "search-trial")) == 18
    tools.assert_whole(out, expected)


def test_the_head_killed_and_the_command_repeated_on_a_new_cluster(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    """Without its head a cluster is over, and so is the run, with an exit code that says so."""
    rows = ["--modalities", "ecg,eda", "--scenarios", "all87"]
    out, experiment = tmp_path / "out", varied(tiny_experiment, tmp_path / "long.toml", epochs=300)
    with tools.nodes_of_one_processor(1) as cluster:
        run = tools.start(tools.command(tiny_data, experiment, out, *rows, "--address", cluster.address))
        tools.until(lambda: tools.manifests(out, "fit-*"), run)
        tools.kill(cluster, cluster.head_node)
        run.communicate(timeout=tools.SECONDS)
    assert run.returncode not in (0, None)
    kept = tools.manifests(out)
    assert len(tools.manifests(out, "fit-*")) < 4
    with tools.nodes_of_one_processor(1) as cluster:
        again = tools.start(tools.command(tiny_data, experiment, out, *rows, "--address", cluster.address))
        _, errors = again.communicate(timeout=tools.SECONDS)
    assert again.returncode == 0, errors
    assert not made_again(kept, out)
    tools.assert_whole(out, undisturbed(tiny_data, experiment, tmp_path / "whole", rows))


@pytest.mark.timeout(1800)
def test_two_workers_of_a_search_killed_at_ten_random_moments(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    """Pruning, and more trials than are drawn at random. What two workers do depends on who is first, what was handed out not."""
    experiment = varied(tiny_experiment, tmp_path / "searched.toml", epochs=900, more=SPACE.format(trials=12, prune="true"))
    out, chance = tmp_path / "out", random.Random(14)
    asked: dict[str, str] = {}
    kept: dict[Path, int] = {}
    killed = 0

    def handed_out() -> dict[str, str]:
        facts = [json.loads(p.read_text()) for p in tools.manifests(out, "search-asked")]
        return {f"{m['stage']['inputs'][0]} {m['facts']['number']}": json.dumps(m["facts"]["params"]) for m in facts}

    with tools.nodes_of_one_processor(2) as cluster:
        arguments = tools.command(tiny_data, experiment, out, *SEARCHED, "--address", cluster.address)
        for trials in sorted(chance.sample(range(1, 22), MOMENTS)):
            run = tools.start(arguments)
            before = len(kept)
            tools.until(lambda: len(handed_out()) >= trials and len(tools.manifests(out)) > before, run)  # noqa: B023
            time.sleep(chance.random() / 2)  # somewhere in the trials that are being worked on
            run.kill()
            run.communicate()
            killed += run.returncode == -signal.SIGKILL
            assert not made_again(kept, out)
            kept = tools.manifests(out)
            now = handed_out()
            assert asked.items() <= now.items()
            asked = now
        done = tools.start(arguments)
        said, errors = done.communicate(timeout=tools.SECONDS)
    assert done.returncode == 0, errors
    assert killed >= MOMENTS - 2
    assert not made_again(kept, out)
    every = handed_out()
    assert asked.items() <= every.items()
    assert len(every) == 24
    tried = {}
    for path in tools.manifests(out, "search-trial"):
        manifest = json.loads(path.read_text())
        facts = manifest["facts"]
        assert facts["state"] in ("complete", "pruned"), facts
        assert [r["rung"] for r in facts["reports"]] == list(range(1, len(facts["reports"]) + 1))
        tried[f"{manifest['stage']['inputs'][0]} {facts['number']}"] = json.dumps(facts["params"])
    assert tried == every, "the configurations that had been handed out, and no others"
    assert "0 failed" in said
    assert not list((out / "store/.checkpoints").iterdir())
