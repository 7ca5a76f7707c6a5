"""The report in a browser: accessible by axe-core, tables that sort, rows that are filtered, figures that are saved."""

from __future__ import annotations

import json
from pathlib import Path

import axe_core_python
import pytest

from dashboards.report import write_report
from tests.dashboards.browser import CHROMIUM, Tab, with_tab
from tests.dashboards.test_report import FEW, MakeFolder, Predict

VIOLATION = "v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 150))"
AXE = Path(axe_core_python.__file__).parent / "axe.min.js"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: the report was not looked at in a browser")
def test_the_report_is_accessible_sorts_and_filters(make_folder: MakeFolder, predict: Predict, tmp_path: Path) -> None:
    page = write_report(make_folder(predict(rows=("ecg", "eda", "eda+ecg"), scenarios=FEW)))
    found: dict[str, list[str]] = {}

    async def look(tab: Tab) -> None:
        await tab.open(f"{page.as_uri()}#roc")
        await tab.wait("document.readyState === 'complete' && document.querySelector('#rows')")
        assert await tab.js("document.querySelector('#roc details').open")  # a link opens its section
        await tab.js("document.querySelectorAll('details').forEach(d => d.open = true)")
        await tab.js(AXE.read_text(encoding="utf-8"))
        for scheme in ("light", "dark"):
            await tab.call(
                "Emulation.setEmulatedMedia", media="screen", features=[{"name": "prefers-color-scheme", "value": scheme}]
            )
            told = await tab.js(f"axe.run().then(r => JSON.stringify(r.violations.map({VIOLATION})))")
            found[scheme] = json.loads(told)
        await tab.js("[...document.querySelectorAll('#table2 thead button')].find(b => b.innerText === 'Accuracy').click()")
        assert await tab.js("document.querySelector('#table2 [aria-sort]').getAttribute('aria-sort')") == "descending"
        scores = "[...document.querySelector('#table2 table').querySelectorAll('td.main')]"
        shown = await tab.js(f"{scores}.map(e => parseFloat(e.innerText))")
        assert len(shown) == 3
        assert shown == sorted(shown, reverse=True)
        await tab.js(
            "document.querySelector('#rows').value = 'ecg'; document.querySelector('#rows').dispatchEvent(new Event('input'))"
        )
        rows = await tab.js("[...document.querySelectorAll('#table2 tr[data-row]')].map(r => [r.dataset.row, r.hidden])")
        assert sorted(rows) == sorted([["ecg", False], ["eda", True], ["eda+ecg", False]] * 2)
        files = await tab.js(
            "[...document.querySelectorAll('main figure')].map(f => [f.querySelectorAll('button.save').length, "
            "f.querySelectorAll('a[download]').length])"
        )
        assert files == [[1, 1]] * len(files)
        assert files

    problems = with_tab(look, tmp_path / "profile")
    assert problems == []
    assert found == {"light": [], "dark": []}
