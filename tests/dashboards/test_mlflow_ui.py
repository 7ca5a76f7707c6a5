"""MLflow's own pages in a real browser, reached by clicks alone; the README's pictures are made here.

    PAIN_GRID_PICTURES=dashboards/pictures PAIN_GRID_RESULTS=DIR python -m pytest tests/dashboards/test_mlflow_ui.py

Without these variables the tiny grid of the tests is shown and the pictures are thrown away.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from mlflow.tracking import MlflowClient

from grid.tracking import sync
from grid.tracking.runs import VIEWED
from tests.dashboards.browser import CHROMIUM, Tab, with_tab
from tests.taught import teach

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]
PORT = 5689
FOLDS = quote("tags.kind = 'fold'")


@pytest.fixture(scope="module")
def shown(tiny_grid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("PAIN_GRID_RESULTS")
    if given is not None:
        return Path(given)
    out = tmp_path_factory.mktemp("shown") / "tiny"
    shutil.copytree(tiny_grid, out)
    teach(out, "fit-*")  # a row that did not learn is never registered, and the page of a model is wanted
    sync.sync(out)
    return out


@pytest.fixture(scope="module")
def server(shown: Path) -> Iterator[str]:
    command, environment = sync.server_command(sync.local_uri(shown), PORT)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=2)
                break
            except OSError:
                time.sleep(0.2)
        yield f"http://127.0.0.1:{PORT}/#"
    finally:
        process.terminate()
        process.wait(timeout=60)


async def tidy(tab: Tab) -> None:
    """Close what stands in the way of the picture."""
    closing = "[data-component-id='mlflow.assistant.chat_panel.close']"
    if await tab.js(f"Boolean(document.querySelector({json.dumps(closing)}))"):
        await tab.click(closing)


async def arrive(tab: Tab, url: str, *texts: str) -> None:
    """A page, loaded afresh, that shows these texts: MLflow at times compares 0 runs, having asked for them too early."""
    for _ in range(3):
        await tab.open("about:blank")
        await tab.open(url)
        try:
            for text in texts:
                await tab.wait(f"document.body && document.body.innerText.includes({json.dumps(text)})", seconds=20)
            return
        except AssertionError as error:
            problem = error
    raise problem


async def follow(tab: Tab, text: str) -> None:
    """Where the link with this text leads, which MLflow opens in a new tab."""
    found = f"[...document.querySelectorAll('a')].find(e => e.innerText == {json.dumps(text)})"
    await tab.wait(found)
    await tab.open(await tab.js(f"{found}.href"))


def test_runs_group_by_modality_parents_compare_and_curves_of_folds(server: str, shown: Path, tmp_path: Path) -> None:
    pictures = Path(os.environ.get("PAIN_GRID_PICTURES", tmp_path))
    client = MlflowClient(sync.local_uri(shown))
    name = json.loads((shown / "run.json").read_text())["experiment"]["name"]
    experiment = client.get_experiment_by_name(name).experiment_id
    stages = client.get_experiment_by_name(f"{name} stages").experiment_id
    wanted = "tags.stage = 'fit-physiological-eda' and tags.scenario = 'all87'"
    eda = [r.info.run_id for r in client.search_runs([stages], wanted)]
    runs = client.search_runs([experiment], max_results=1000)
    rows = sorted((r for r in runs if r.data.tags["kind"] == "row"), key=lambda r: r.data.tags["scenario"])
    parents = [r.info.run_id for r in rows]  # the first one is a row of all five people
    folds = [r for r in runs if r.data.tags["kind"] == "fold" and r.data.tags["modality"] == "eda"]
    folds = [r for r in folds if r.data.tags["scenario"] == "all87"]

    parents_name = next(r.info.run_name for r in runs if r.info.run_id in parents)

    async def look(tab: Tab) -> None:
        await tab.open(f"{server}/experiments/{experiment}/runs?searchFilter={FOLDS}")
        await tab.shows("matching runs")
        await tidy(tab)
        await tab.click("button", text="Group by")
        await tab.click("[role=menuitemcheckbox]", text="modality")
        await tab.call("Input.dispatchKeyEvent", type="keyDown", key="Escape", code="Escape", windowsVirtualKeyCode=27)
        await tab.shows("Group by: modality", "Group: ")
        await tab.picture(pictures / "mlflow-grouped.png")

        both = f"experiments={quote(json.dumps([experiment]))}"
        page = f"{server}/compare-runs?runs={quote(json.dumps(parents))}&{both}"
        await arrive(tab, page, f"Comparing {len(parents)} Runs", "Parallel Coordinates Plot", "Clear All")
        await tidy(tab)
        await tab.wait("[...document.querySelectorAll('svg text')].filter(e => e.textContent == 'eda').length > 0")
        await tab.wait("[...document.querySelectorAll('svg text')].some(e => e.textContent == 'accuracy_mean')")
        await tab.js("document.activeElement.blur()")
        await tab.picture(pictures / "mlflow-parallel.png")

        for runs, of, metric, name in (
            ([r.info.run_id for r in folds], experiment, "loss/physiological", "folds"),
            (eda, stages, "loss", "curves"),
        ):
            where = (
                f"runs={quote(json.dumps(runs))}&experiments={quote(json.dumps([of]))}&metric={quote(json.dumps(metric))}"
            )
            style = "x_axis=step&y_axis_scale=linear&line_smoothness=1&show_point=false&deselected_curves=[]"
            layout = "plot_layout=%7B%22autosize%22:true%7D&last_linear_y_axis_range=[]"
            page = f"{server}/compare-runs?runs={quote(json.dumps(runs))}&experiments={quote(json.dumps([of]))}"
            await arrive(tab, page, f"Comparing {len(runs)} Runs")  # the metric's page wants the runs loaded
            await tab.open(f"{server}/metric?{where}&plot_metric_keys={quote(json.dumps([metric]))}&{layout}&{style}")
            await tab.wait(f"document.querySelectorAll('.scatterlayer .trace').length >= {len(runs)}")
            await tidy(tab)
            await tab.picture(pictures / f"mlflow-{name}.png")

        await tab.open(f"{server}/experiments/{experiment}/runs?{VIEWED}")  # from the experiment's own words, without typing
        await tab.shows("Compare the rows", parents_name, "Sort: accuracy")
        await tidy(tab)
        await tab.picture(pictures / "mlflow-runs.png")
        await follow(tab, "Compare the rows")
        await tab.shows("Parallel Coordinates Plot", f"Comparing {len(parents)} Runs")
        await tab.open(f"{server}/experiments/{experiment}/runs/{parents[0]}")
        await tab.shows("over 5 people" if "PAIN_GRID_RESULTS" not in os.environ else "people")
        await tab.wait("[...document.querySelectorAll('img')].some(e => e.src.includes('row.png') && e.naturalWidth > 300)")
        await tidy(tab)
        await tab.picture(pictures / "mlflow-row.png")

        await tab.open(f"{server}/experiments/{experiment}/runs/{folds[0].info.run_id}")
        await tab.shows("Stages, with every epoch")
        await follow(tab, "physiological-eda")
        await tab.shows("Serves eda/all87")
        await tab.picture(pictures / "mlflow-stage.png")

        await tab.open(
            f"{server}/models/{quote(json.loads((shown / 'run.json').read_text())['experiment']['name'] + ' all87')}"
        )
        await tab.shows("Version 1", "best")
        await tab.picture(pictures / "mlflow-model.png")

    problems = with_tab(look, tmp_path / "profile")
    assert not problems
    names = ("grouped", "parallel", "curves", "folds", "runs", "stage", "model")
    assert all((pictures / f"mlflow-{name}.png").stat().st_size > 20_000 for name in names)
