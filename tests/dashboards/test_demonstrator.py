"""The demonstrator in a real browser: a clip is chosen, its result is seen, nothing is kept, and other pages get no answer."""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dashboards.demonstrator import Page, main
from painmodels.export import from_run
from tests.dashboards.browser import CHROMIUM, Tab, with_tab


@pytest.fixture(scope="module")
def server(tiny_grid: Path) -> Iterator[Page]:
    page = Page(from_run(tiny_grid, "eda+ecg+video/all87/fold0"), port=0)
    threading.Thread(target=page.serve_forever, daemon=True).start()
    yield page
    page.shutdown()
    page.server_close()


@pytest.fixture(scope="module")
def clip(tiny_data: Path) -> dict[str, Path]:
    video = min((tiny_data / "video").rglob("*.mp4"))
    return {"video": video, "signals": tiny_data / "biosignals_filtered" / video.parent.name / f"{video.stem}_bio.csv"}


async def choose(tab: Tab, **files: Path) -> None:
    for name, path in files.items():
        found = await tab.call("Runtime.evaluate", expression=f"document.getElementById('{name}')")
        await tab.call("DOM.setFileInputFiles", files=[str(path)], objectId=found["result"]["objectId"])


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
def test_a_recording_is_judged_on_the_page(server: Page, clip: dict[str, Path], tmp_path: Path, monkeypatch) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(kept))
    flat = tmp_path / "flat_bio.csv"
    lines = clip["signals"].read_text().splitlines()
    flat.write_text("\n".join([lines[0], *["\t".join([r.split("\t")[0], "0.5", *r.split("\t")[2:]]) for r in lines[1:]]]))
    expected = server.model.predict(**clip).p_pain

    async def look(tab: Tab) -> None:
        await tab.open(server.url)
        await tab.shows("not a medical device", "says nothing about pain", "Nothing leaves this machine and nothing is kept")
        await tab.shows("the probability of PA4 (against BL1)")
        await choose(tab, **clip)
        await tab.click("#judge")
        await tab.wait("!document.getElementById('result').hidden")
        assert await tab.js("document.getElementById('p').textContent") == f"{expected:.3f}"
        assert await tab.js("[...document.querySelectorAll('#faces img')].filter(i => i.naturalWidth === 227).length") == 8
        names = await tab.js("[...document.querySelectorAll('#lines svg')].map(s => s.getAttribute('aria-label'))")
        assert names == ["probability of PA4 by frame", "attention by frame", "eda", "ecg"]
        assert await tab.js("[...document.querySelectorAll('polyline')].every(p => p.points.length > 100)")
        assert "called:" in await tab.js("document.getElementById('called').textContent")
        await choose(tab, signals=flat)
        assert await tab.js("document.getElementById('result').hidden")  # a result of another file is not left standing
        await tab.click("#judge")
        await tab.wait("document.getElementById('p').textContent === 'no estimate'")
        assert "eda" in await tab.js("document.getElementById('reasons').textContent")
        loaded = await tab.js("performance.getEntriesByType('resource').map(e => new URL(e.name).host)")
        assert set(loaded) <= {f"127.0.0.1:{server.server_port}", ""}

    assert with_tab(look, tmp_path / "profile") == []
    assert list(kept.iterdir()) == []


def asked(server: Page, method: str, path: str, *, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request(method, path, body=body or None, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_other_pages_and_other_names_get_no_answer(server: Page) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert asked(server, "GET", "/")[0] == 200
    assert asked(server, "GET", "/", Host="evil.example")[0] == 403
    assert asked(server, "POST", "/judge", body=b"x", Origin="http://evil.example", X_Parts="[]")[0] == 403
    assert asked(server, "GET", "/../pyproject.toml")[0] == 404
    assert asked(server, "POST", "/other", body=b"x")[0] == 404


@pytest.mark.parametrize(
    ("parts", "body", "message"),
    [
        (None, b"x", "found no parts"),
        ([["video", "v.mp4", 5]], b"x", "found 1 bytes"),
        ([["video", "v.mp4", 0]], b"", "found 0 bytes"),
        ([["other", "v.mp4", 1]], b"x", "found 'other'"),
        ([["video", "a", 1], ["video", "b", 1]], b"xy", "found 'video'"),
        ([["video", "..%2F..%2Fv.mp4", 1]], b"x", "uses signals: found no signals file"),
        ([["video", -1]], b"x", "found no parts"),
    ],
)
def test_a_request_of_another_kind_is_told(server: Page, parts: object, body: bytes, message: str) -> None:
    headers = {} if parts is None else {"X_Parts": json.dumps(parts)}
    status, said = asked(server, "POST", "/judge", body=body, **headers)
    assert status == 200
    assert message in json.loads(said)["error"]


def test_what_is_no_recording_has_a_reason(server: Page, clip: dict[str, Path]) -> None:
    junk, signals = np.random.default_rng(0).bytes(5000), clip["signals"].read_bytes()
    parts = [["video", "v.mp4", len(junk)], ["signals", "x_bio.csv", len(signals)]]
    status, said = asked(server, "POST", "/judge", body=junk + signals, X_Parts=json.dumps(parts))
    found = json.loads(said)
    assert status == 200
    assert found["value"] is None
    assert found["reasons"][0].startswith("v.mp4: ")


def test_a_folder_without_a_model_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main([str(tmp_path)]) == 2
    assert "model.json" in capsys.readouterr().err
