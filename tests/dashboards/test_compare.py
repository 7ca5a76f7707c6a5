"""Two grids in one page, attention over time, and what a real browser makes of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboards import compare
from dashboards.claims import claims
from dashboards.report import main, write_report
from dashboards.results import read_results

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PEOPLE = {"all87": [f"071309_{'mw'[i % 2]}_{20 + i}" for i in range(24)]}


@pytest.fixture
def two(make_folder: Callable[..., Path], predict: Callable[..., pd.DataFrame], run_record: Callable[..., Any]) -> tuple:
    """A grid by subject and one by trial; in the second, `eda` knows the people: it is right more often, `ecg` is the same."""
    first = predict(rows=("eda", "ecg", "eda:argmax"), scenarios=PEOPLE, folds=4)
    run = run_record(protocol="subject")
    run["data"]["clock_hz"] = 25.0
    steps = np.arange(138)
    looks = [
        pd.DataFrame({"fold": fold, "y_true": y, "step": steps, "weight": 1 + 0.5 * y * (steps > 69) + 0.01 * fold})
        for fold in range(4)
        for y in (0, 1)
    ]
    attention = pd.concat(looks).assign(modality="video", scenario="all87", protocol="subject")
    a = make_folder(first, run=run)
    attention.to_parquet(a / "attention.parquet")
    a = a.rename(a.with_name("by-subject"))
    leaks = first.assign(protocol="sample")
    sure = (leaks["modality"] == "eda") & (np.arange(len(leaks)) % 3 > 0)
    leaks.loc[sure, "p_pain"] = leaks.loc[sure, "y_true"] * 0.98 + 0.01
    b = make_folder(leaks, run=run_record(protocol="sample"))
    return a, b.rename(b.with_name("by-trial"))


def test_the_leak_is_a_column_and_is_claimed_only_where_it_is(two: tuple[Path, Path]) -> None:
    found = compare.side_by_side(*(read_results(folder) for folder in two))
    assert found["leak"]
    rows = {row["modality"]: row for row in found["panels"][0]["rows"]}
    assert rows["eda"]["claim"]
    assert rows["eda"]["difference"] > 3
    assert rows["eda"]["other"] - rows["eda"]["mine"] == pytest.approx(rows["eda"]["difference"], abs=1e-6)
    assert not rows["ecg"]["claim"]
    assert rows["ecg"]["difference"] == 0
    turned = compare.side_by_side(*(read_results(folder) for folder in reversed(two)))
    (again,) = [row for row in turned["panels"][0]["rows"] if row["modality"] == "eda"]
    assert again["difference"] == pytest.approx(rows["eda"]["difference"])  # always sample minus subject
    text = compare.sentence(found["panels"][0], leak=True)
    assert "eda +" in text
    assert "ecg" not in text


def test_the_page_shows_both_grids(two: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([str(two[0]), "--compare", str(two[1])]) == 0
    text = (two[0] / "report.html").read_text()
    assert "Leak (sample − subject)" in text
    assert "protocol (subject and sample)" in text
    assert main([str(two[0]), "--compare", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
    write_report(two[0])
    assert "Two grids side by side" not in (two[0] / "report.html").read_text()


def test_a_learned_row_is_set_against_the_baselines(two: tuple[Path, Path]) -> None:
    results = read_results(two[0])
    found = claims(results, results.panels[0])
    assert [(pair["a"], pair["b"]) for pair in found["trivial"]] == [("eda:argmax", "eda")]  # ecg's rule was not run
    assert [pair["b"] for pair in found["chance"]] == ["ecg", "eda"]
    assert not any(pair["claim"] for pair in found["others"])
    assert found["trivial"][0]["text"] in write_report(two[0]).read_text()


def test_attention_is_drawn_on_the_clock_of_the_data(two: tuple[Path, Path]) -> None:
    series = compare.attention_series(read_results(two[0]))
    pain, rest = series["all87"]["pain"], series["all87"]["no pain"]
    assert pain["second"].max() == pytest.approx(137 / 25)
    assert pain["mean"].iloc[100] == pytest.approx(1.515)
    assert rest["high"].iloc[0] == pytest.approx(1.03)
    assert 'id="attention"' in write_report(two[0]).read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
def test_a_browser_finds_no_error_no_request_and_no_empty_figure(two: tuple[Path, Path], tmp_path: Path) -> None:
    page = write_report(*two)
    frame, log = tmp_path / "frame.html", tmp_path / "net.json"
    frame.write_text(
        f'<iframe id="f" src="{page.as_uri()}" style="width:1280px;height:900px;border:0"></iframe><script>'
        "const errors = []; f.onload = () => { const d = f.contentDocument; f.contentWindow.onerror = e => errors.push(e);"
        "const drawn = [...d.querySelectorAll('svg')].map(s => [s.getBoundingClientRect().height,"
        " s.querySelectorAll('path[d], use').length]);"
        "const loads = f.contentWindow.performance.getEntriesByType('resource').map(e => e.name);"
        "document.title = JSON.stringify({drawn, loads, errors}); }</script>"
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--allow-file-access-from-files", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"]
    command = [str(CHROMIUM), *options, "--enable-logging=stderr", f"--log-net-log={log}", "--dump-dom", frame.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = json.loads(re.findall(r"<title>(\{.*?\})</title>", done.stdout)[0])
    assert len(found["drawn"]) >= 6
    assert all(height > 60 and shapes > 5 for height, shapes in found["drawn"]), found["drawn"]
    assert found["loads"] == []
    assert found["errors"] == []
    assert "CONSOLE" not in done.stderr, done.stderr[-2000:]
