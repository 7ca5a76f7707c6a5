"""A row that needs a word has its mark wherever a number of it is shown: figures, their numbers, tables, files."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
import pytest

from dashboards.report import write_report
from dashboards.results import read_results
from grid.results.learned import COLUMNS
from grid.results.table2_files import write_table2
from grid.results.tables import table2
from tests.dashboards.test_report import Page

pytestmark = pytest.mark.slow

PEOPLE = {"expressive67": [f"071309_{'mw'[i % 2]}_{20 + 4 * i}" for i in range(12)]}
MARKS = {"video": "§", "eda": "¶", "ecg": "†"}


@pytest.fixture
def folder(make_folder: Callable[..., Path], predict: Callable[..., pd.DataFrame], run_record: Any) -> Path:
    """Three rows, each with a mark of its own, and one without."""
    learning = pd.DataFrame(
        [("ecg", "expressive67", "subject", 0, 0, 0, "physiological-ecg", "k", "not learned", 20, *[0.7] * 6)]
    )
    learning.columns = pd.Index(COLUMNS)
    scenario = {"subjects": 12, "folds": 4, "not_the_papers": "few people", "selected": "their faces"}
    run = run_record(
        scenarios={"expressive67": scenario},
        signals={"normalise": "trial", "sees_test_side": ["eda (expressive67)"]},
    )
    found = predict(rows=("video", "ecg", "eda", "eda+ecg"), scenarios=PEOPLE, folds=4, trials=8)
    return make_folder(found, run=run, learning=learning)


def test_every_figure_and_table_of_a_row_has_its_mark(folder: Path) -> None:
    html = write_report(folder).read_text(encoding="utf-8")
    parts = {name: html[html.index(f'id="{name}"') :] for name in ("roc", "confusion", "calibration", "beyond", "subjects")}
    parts = {name: text[: text.index("</section>")] for name, text in parts.items()}
    for row, mark in MARKS.items():
        others = "".join(set("†‡§¶") - {mark})
        for name in ("roc", "calibration"):
            figure = next(f for f in re.findall(r"<figure.*?</figure>", parts[name], re.S) if f'data-row="{row}"' in f)
            assert f"{mark}" in figure[figure.index("<text") if "<text" in figure else 0 :], (name, row)
            assert not set(others) & set(figure), (name, row)
            assert f",{mark}" in unquote(re.search(r'href="data:text/csv[^"]*"', figure).group())  # type: ignore[union-attr]
        for name in ("confusion", "beyond", "subjects"):
            assert re.search(rf'>{row}<sup class="mark"[^>]*>{mark}</sup>', parts[name]), (name, row)
    assert all("did not learn in its epochs" in text and "selected by what the row sees" in text for text in parts.values())
    assert not re.search(r'>eda\+ecg<sup class="mark"', html)
    assert "¶ Before a trial was judged, the row had seen other recordings of the tested side" in Page(html).text


def test_figure_3_and_the_files_of_table_2_have_them(folder: Path, tmp_path: Path) -> None:
    write_report(folder)
    figure = (folder / "figure3.svg").read_text()
    assert all(f"<!-- {mark} -->" in figure or mark in figure for mark in MARKS.values())
    results = read_results(folder)
    table = table2(results.scores, results.predictions, results.marks, results.run)
    csv, tex = write_table2(table, tmp_path, data="biovid")
    read = pd.read_csv(csv).set_index("modality")
    assert read["sees_test_side"].to_dict() == {row: row == "eda" for row in ("video", "ecg", "eda", "eda+ecg")}
    lines = tex.read_text()
    assert all(text in lines for text in (r"eda\P &", r"video\S &", r"ecg$^\dagger$ &", "Before a trial was judged"))


def test_a_report_without_marks_explains_none(make_folder: Any, predict: Any) -> None:
    html = write_report(make_folder(predict(rows=("eda",), scenarios={"all87": [f"p{i}" for i in range(8)]}))).read_text()
    assert "<sup" not in html
    assert 'class="note key"' not in html
    assert "did not learn in its epochs" not in html
