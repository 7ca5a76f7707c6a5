"""Nodes that die while they fit and search, and nodes that join.

The results are those of an undisturbed run, to the byte.

    python -m pytest -m chaos tests/chaos/test_nodes.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.numpy import load_file

from grid.launch import main
from tests.chaos import tools

pytestmark = [pytest.mark.chaos, pytest.mark.ray]
LONG = ["--modalities", "ecg,eda,eda+ecg", "--scenarios", "all87"]
SEARCHED = ["--modalities", "eda", "--scenarios", "all87"]


def varied(tiny_experiment: Path, place: Path, *, epochs: int, more: str = "") -> Path:
    """The tiny experiment with longer physiological fits."""
    head, tail = tiny_experiment.read_text().split("[physiological]\n")
    place.write_text(f"{head}[physiological]\n{tail.replace('epochs = 3', f'epochs = {epochs}', 1)}{more}")
    return place


def undisturbed(data: Path, experiment: Path, out: Path, rows: list[str]) -> Path:
    """The yardstick: one process, nobody disturbs it."""
    assert main(["--data", str(data), "--experiment", str(experiment), "--out", str(out), "--in-process", *rows]) == 0
    return out


def epochs_kept(out: Path) -> dict[str, int]:
    """Epochs in the checkpoint of each fit that is under way."""
    found = {}
    for path in (out / "store/.checkpoints").glob("fit-*.safetensors"):
        try:
            found[path.name] = len(load_file(path)["curve"])
        except FileNotFoundError:  # the fit ended in this moment
            continue
    return found


def test_a_node_lost_while_it_prepares_a_video(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    out, rows = tmp_path / "out", ["--modalities", "video", "--scenarios", "all87"]
    with tools.nodes_of_one_processor(2) as cluster:
        run = tools.start(tools.command(tiny_data, tiny_experiment, out, *rows, "--address", cluster.address))
        tools.until(lambda: len(tools.manifests(out, "features")) >= 2, run)
        tools.kill(cluster, tools.until(lambda: next((n for n in cluster.worker_nodes if tools.working_on(n)), None), run))
        made = tools.manifests(out, "features")
        assert len(made) < 10, "some are left"
        said, errors = run.communicate(timeout=tools.SECONDS)
    assert run.returncode == 0, errors
    assert "10 recordings prepared now" in said
    assert "6 fits computed, 0 reused, 0 failed" in said
    tools.assert_whole(out, undisturbed(tiny_data, tiny_experiment, tmp_path / "whole", rows))


def test_a_fit_lost_with_its_node_goes_on_from_its_checkpoint_on_one_that_joins(
    tiny_data: Path, tiny_experiment: Path, tmp_path: Path
) -> None:
    """One node, so the fit that runs is on it. It dies; a second joins, then a third, which dies at work too."""
    out, experiment = tmp_path / "out", varied(tiny_experiment, tmp_path / "long.toml", epochs=1200)
    with tools.nodes_of_one_processor(1) as cluster:
        run = tools.start(tools.command(tiny_data, experiment, out, *LONG, "--address", cluster.address))
        (first,) = cluster.worker_nodes
        tools.until(lambda: max(epochs_kept(out).values(), default=0) >= 100, run)
        tools.kill(cluster, first)
        at_loss = epochs_kept(out)
        ((lost, epochs),) = at_loss.items()
        assert epochs >= 100
        assert len(list((out / "store/.running").iterdir())) == 1, "the fit in flight was lost, and nothing else runs"
        second = tools.join(cluster)

        def goes_on() -> bool:
            now = epochs_kept(out).get(lost)
            assert now is None or now >= epochs, "begun again from the start"
            return now is not None and now > epochs

        tools.until(goes_on, run)
        assert not tools.manifests(out, "fit-*")
        third = tools.join(cluster)
        tools.until(lambda: tools.working_on(third) and tools.working_on(second), run)
        tools.kill(cluster, third)
        marks = {p.name for p in (out / "store/.running").iterdir()}
        said, errors = run.communicate(timeout=tools.SECONDS)
    assert run.returncode == 0, errors
    assert len(marks) == 2, "one fit on each node: the third's was lost"
    assert "6 fits computed, 0 reused, 0 failed" in said
    tools.assert_whole(out, undisturbed(tiny_data, experiment, tmp_path / "whole", LONG))


def test_a_node_lost_while_it_works_on_a_trial_of_a_search(tiny_data: Path, tiny_experiment: Path, tmp_path: Path) -> None:
    """Trials drawn at random and never pruned, so that the order in which two nodes finish them cannot matter."""
    space = "[search]\ntrials = 4\ninner_folds = 2\nprune = false\n"
    space += "[search.physiological]\nlr = {low = 1e-4, high = 1e-1, log = true}\n"
    out, experiment = tmp_path / "out", varied(tiny_experiment, tmp_path / "searched.toml", epochs=200, more=space)
    with tools.nodes_of_one_processor(2) as cluster:
        run = tools.start(tools.command(tiny_data, experiment, out, *SEARCHED, "--address", cluster.address))
        tools.until(lambda: len(tools.manifests(out, "search-trial")) >= 2, run)
        node = tools.until(lambda: next((n for n in cluster.worker_nodes if tools.working_on(n)), None), run)
        tools.kill(cluster, node)
        made = tools.manifests(out)
        assert len(tools.manifests(out, "search-trial")) < 7, "trials were left, and one was lost"
        said, errors = run.communicate(timeout=tools.SECONDS)
    assert run.returncode == 0, errors
    assert "2 fits computed, 0 reused, 0 failed" in said
    now = tools.manifests(out)
    assert {p: now[p] for p in made} == made
    assert len(tools.manifests(out, "search-trial")) == 8
    tools.assert_whole(out, undisturbed(tiny_data, experiment, tmp_path / "whole", SEARCHED))
