"""A headless Chromium that tests can steer: open a page, wait until a condition holds, click, take a picture.

Spoken to over its own debugging protocol, on loopback, so that a page that loads for seconds is waited for and not guessed at.
"""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Tab:
    """One page. Every call raises AssertionError with what the page said if it does not come true in time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket, self.number = socket, 0
        self.problems: list[str] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol; errors that the page reports meanwhile are collected in `problems`."""
        self.number += 1
        await self.socket.send_json({"id": self.number, "method": method, "params": params})
        while True:
            answer = json.loads((await self.socket.receive(timeout=60)).data)
            if answer.get("method") == "Runtime.exceptionThrown":
                self.problems.append(str(answer["params"]["exceptionDetails"].get("exception", {}).get("description"))[:300])
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]

    async def js(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = await self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def open(self, url: str) -> None:
        """Go to a page."""
        await self.call("Page.navigate", url=url)

    async def wait(self, condition: str, *, seconds: float = 45) -> None:
        """Until a JavaScript condition is true."""
        end = time.monotonic() + seconds
        while not await self.js(f"Boolean({condition})"):
            if time.monotonic() > end:
                text = await self.js("document.body ? document.body.innerText : ''")
                raise AssertionError(f"never true: {condition}\nthe page says: {text[:1500]}")
            await asyncio.sleep(0.3)

    async def shows(self, *texts: str) -> None:
        """Until all texts are on the page."""
        for text in texts:
            await self.wait(f"document.body && document.body.innerText.includes({json.dumps(text)})")

    async def click(self, selector: str, *, text: str = "") -> None:
        """The first visible element that matches, with this text in it."""
        found = f"[...document.querySelectorAll({json.dumps(selector)})].find(e => e.innerText.includes({json.dumps(text)}))"
        await self.wait(found)
        at = await self.js(
            f"(() => {{ const r = {found}.getBoundingClientRect(); return [r.x + r.width/2, r.y + r.height/2] }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], button="left", clickCount=1)

    async def picture(self, path: Path) -> None:
        """A PNG of what is seen."""
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot", format="png"))["data"]))


def with_tab(work: Callable[[Tab], Any], profile: Path, *, size: tuple[int, int] = (1440, 900)) -> list[str]:
    """Run an async function with a fresh tab; returns the script errors that its pages reported."""

    async def run() -> list[str]:
        async with aiohttp.ClientSession() as session:
            deadline = time.monotonic() + 60
            while not (port_file := profile / "DevToolsActivePort").exists() or not port_file.read_text().strip():
                assert process.poll() is None, "chromium ended by itself"
                assert time.monotonic() < deadline, "chromium did not start"
                await asyncio.sleep(0.1)
            base = f"http://127.0.0.1:{port_file.read_text().split()[0]}"
            async with session.put(f"{base}/json/new?about:blank") as answer:
                target = json.loads(await answer.text())
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=2**28) as socket:
                tab = Tab(socket)
                await tab.call("Page.enable")
                await tab.call("Runtime.enable")
                metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
                await tab.call("Emulation.setDeviceMetricsOverride", **metrics)
                await work(tab)
                return tab.problems

    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    command = [str(CHROMIUM), *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        return asyncio.run(run())
    finally:
        process.terminate()
        process.wait(timeout=30)
