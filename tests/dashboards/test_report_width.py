"""The page of a report fits the window of a browser, narrow or wide."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from dashboards.report import write_report
from grid.experiment.cells import PAPER_ROWS
from tests.dashboards.browser import CHROMIUM
from tests.dashboards.test_report import FEW, MakeFolder, Predict

pytestmark = pytest.mark.slow


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_shows_the_page_without_sideways_scrolling(
    make_folder: MakeFolder, predict: Predict, tmp_path: Path
) -> None:
    baselines = ("majority", "eda:argmax", "eda:rf", "ecg:rf", "video:rf", "eda:logistic", "ecg:logistic", "eda:cnn-lstm")
    page = write_report(make_folder(predict(rows=PAPER_ROWS + baselines, scenarios=FEW)))
    for width in (420, 1280):
        scroll_width, scroll_height, cut = shown(page, width, tmp_path)
        assert scroll_width <= width
        assert scroll_height > 3000
        assert width < 1280 or cut == 0  # on a narrow screen wide tables are moved sideways by themselves


def shown(page: Path, width: int, tmp_path: Path) -> tuple[int, int, int]:
    """How wide and high a browser finds the page in a frame of this width, and how many tables are cut off."""
    frame = tmp_path / "frame.html"  # a frame, since a headless window is never narrower than 500 pixels
    frame.write_text(
        f'<iframe id="f" src="{page.as_uri()}" style="width:{width}px;height:900px;border:0"></iframe>'
        "<script>f.onload = () => { const d = f.contentDocument.documentElement; "
        "const cut = [...d.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length; "
        "document.title = JSON.stringify([d.scrollWidth, d.scrollHeight, cut]); }</script>"
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += [
        "--allow-file-access-from-files",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=5000",
        "--dump-dom",
    ]
    done = subprocess.run([str(CHROMIUM), *options, frame.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>(\[.*?\])</title>", done.stdout)
    assert found, done.stdout[-500:]
    scroll_width, scroll_height, cut = json.loads(found[1])
    return scroll_width, scroll_height, cut
