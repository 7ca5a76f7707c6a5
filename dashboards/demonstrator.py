"""A local web page that shows the prediction of a trained row for a recording: `python -m dashboards.demonstrator MODEL`.

MODEL is a folder written by `painmodels.export`. Choose a video and signals; see the face as it is cut out, the attention, the
prediction (a probability, a level or a number), and the reason where there is none. The page is served on 127.0.0.1 alone, loads
nothing from elsewhere, and answers no other page: requests under another name or from another origin are refused. A recording
lies in a temporary folder while it is read, and is deleted with it; nothing is logged. Research software, not a medical device.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import cv2
import jinja2
import numpy as np

from dataprep.faults import guarded
from dataprep.ports import free_port
from dataprep.program import program
from dataprep.records import InputError, RecordingError
from dataprep.rounding import rounded
from painmodels.use.model import load
from painmodels.use.model_files import of_no_pain
from painmodels.use.over_time import over_time
from painmodels.use.predictions import Prediction
from painmodels.use.predictor import Predictor

PORT, MOST_BYTES, FACES = 8501, 500_000_000, 8
TEMPLATES = Path(__file__).parent / "templates"
KINDS = {"/demonstrator.js": "text/javascript", "/demonstrator.css": "text/css"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def page(model: Predictor) -> str:
    """The page of a model, HTML."""
    inputs = [*model.inputs, *(["a video of the face"] if model.uses_video else [])]
    template = jinja2.Environment(autoescape=True).from_string((TEMPLATES / "demonstrator.html").read_text(encoding="utf-8"))
    return template.render(
        about=repr(model),
        cell=model.about["cell"],
        no_pain=of_no_pain(model.about),
        inputs=", ".join(inputs),
        gives=model.learns.gives,
        strength=model.learns.strength.title,
        reader=model.about["reader"],
        channels=" and ".join(model.inputs),
        window=f"{model.window_s:g}",
        video=model.uses_video,
        signals=model.uses_signals,
    )


def judged(model: Predictor, files: dict[str, Path]) -> dict[str, Any]:
    """What the page shows of a recording: the first window, and all windows of a longer one. Raises RecordingError."""
    crops: list[np.ndarray] = []
    video, signals = files.get("video"), files.get("signals")
    lines: list[dict[str, Any]] = []
    reasons: list[str] = []
    found, strength = None, model.learns.strength
    limit = strength.threshold if model.learns.thresholded else None
    try:
        video_TF, signals_TC = model.read(video=video, signals=signals, show=crops.extend)
        found = model.of_arrays(video_TF, signals_TC)
        if found.frames_T is not None:
            lines.append(_line(f"{strength.title} by frame", found.times_s_T, found.frames_T, *strength.span, limit))
        if found.attention_T is not None:
            lines.append(_line("attention by frame", found.times_s_T, found.attention_T, 0.0))
        if signals_TC is not None:
            t_T = np.arange(model.n_steps) / model.clock_hz
            lines += [_line(c, t_T, signals_TC[:, k]) for k, c in enumerate(model.channels)]
    except RecordingError as reason:
        reasons.append(str(reason))
    try:
        every = over_time(model, video=video, signals=signals)
    except (InputError, RecordingError):
        every = []  # what is wrong was said above
    if len(every) > 1:
        name, times_s = f"{strength.title} over time, by the ends of windows", [e.time_s for e in every]
        lines.insert(0, _line(name, times_s, [e.strength for e in every], *strength.span, limit))
        reasons += [f"{rounded(e.time_s, 2)} s: {e.reason}" for e in every if e.reason]
    return {
        "value": None if found is None else found.strength,
        "called": None if found is None else _called(model, found),
        "faces": _faces(crops, model.clock_hz),
        "lines": lines,
        "reasons": reasons,
    }


def _called(model: Predictor, found: Prediction) -> str:
    """What is called, and by what, as a sentence."""
    learns = model.learns
    if learns.thresholded:
        limit = f"{learns.strength.threshold:g}"
        return f"called: {found.called()} ({learns.names[1]} is called where its probability is above {limit})"
    each = [] if found.p_classes_K is None else zip(learns.names, found.p_classes_K, strict=True)
    shares = ", ".join(f"{name} {rounded(100 * p)} %" for name, p in each)
    return f"called: {found.called()}{f' ({shares})' if shares else ''}"


def _line(
    name: str,
    times_s: Any,
    values: Any,
    low: float | None = None,
    high: float | None = None,
    threshold: float | None = None,
) -> dict[str, Any]:
    numbers = [None if v is None else float(v) for v in values]
    limits = {"low": low, "high": high, "threshold": threshold}
    return {"name": name, "time_s": [float(t) for t in times_s], "values": numbers, **limits}


def _faces(crops: Sequence[np.ndarray], clock_hz: float) -> list[dict[str, Any]]:
    """Eight crops over the window, as data."""
    out = []
    for k in np.linspace(0, len(crops) - 1, FACES).round().astype(int) if len(crops) else []:
        _, png = cv2.imencode(".png", cv2.cvtColor(crops[k], cv2.COLOR_RGB2BGR))
        picture = "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()
        out.append({"time_s": float(k / clock_hz), "picture": picture})
    return out


class Page(ThreadingHTTPServer):
    """The server of one model, on 127.0.0.1; recordings are judged one after the other."""

    daemon_threads = True

    def __init__(self, model: Predictor, *, port: int = PORT) -> None:
        super().__init__(("127.0.0.1", port), _Answers)
        self.model, self.one_at_a_time = model, threading.Lock()
        self.html = page(model)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Answers(BaseHTTPRequestHandler):
    server: Page

    def log_message(self, *_: object) -> None:
        """Write no log: requests contain names of files."""

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        if self.path == "/":
            self._send(200, self.server.html.encode(), "text/html; charset=utf-8")
        elif self.path in KINDS:
            self._send(200, (TEMPLATES / self.path[1:]).read_bytes(), f"{KINDS[self.path]}; charset=utf-8")
        else:
            self._send(404, b"there is no such page", "text/plain")

    def do_POST(self) -> None:
        if not self._is_ours():
            return
        if self.path != "/judge":
            self._send(404, b"there is no such page", "text/plain")
            return
        try:
            with tempfile.TemporaryDirectory(prefix="pain-grid-") as folder:
                files = self._received(Path(folder))
                with self.server.one_at_a_time:
                    said = judged(self.server.model, files)
                for path in files.values():  # the temporary folder is nobody's business
                    said["reasons"] = [reason.replace(f"{path.parent}/", "") for reason in said["reasons"]]
        except (InputError, RecordingError) as error:
            said = {"error": str(error)}
        except Exception as error:
            said = {"error": f"this is a bug in this program ({type(error).__name__}: {error})"}
        self._send(200, json.dumps(said, allow_nan=False).encode(), "application/json")

    def _received(self, folder: Path) -> dict[str, Path]:
        """The uploaded files by their kind (video, signals). Raises InputError for a request of another kind."""
        try:
            parts = [(str(kind), unquote(str(name)), int(size)) for kind, name, size in json.loads(self.headers["X-Parts"])]
            length = int(self.headers["Content-Length"])
        except (TypeError, ValueError):
            raise InputError("the request: found no parts, expected the files of the form") from None
        if not 0 < length <= MOST_BYTES or length != sum(size for *_, size in parts) or any(size < 1 for *_, size in parts):
            most = f"at most {MOST_BYTES // 10**6} MB together"
            raise InputError(f"found {length} bytes, expected files that are not empty, {most}")
        files = {}
        for kind, name, size in parts:
            if kind not in ("video", "signals") or kind in files:
                raise InputError(f"the request: found {kind!r}, expected one video and one signals file at most")
            path = folder / kind / (PurePosixPath(name.replace("\\", "/")).name.lstrip(".") or "file")
            path.parent.mkdir()
            with path.open("wb") as file:
                left = size
                while left:
                    piece = self.rfile.read(min(left, 1 << 20))
                    if not piece:
                        raise InputError(f"{name}: the request ended early")
                    file.write(piece)
                    left -= len(piece)
            files[kind] = path
        return files

    def _is_ours(self) -> bool:
        """Whether the request comes from this page under its own address; another one is refused."""
        names = {f"{host}:{self.server.server_port}" for host in ("127.0.0.1", "localhost")}
        origin = self.headers.get("Origin")
        if self.headers.get("Host") in names and (origin is None or origin.removeprefix("http://") in names):
            return True
        self._send(403, b"this page answers to itself alone", "text/plain")
        return False

    def _send(self, status: int, content: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        if self.command == "POST" and status != 200:
            self.close_connection = True
        self.end_headers()
        self.wfile.write(content)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog=program("dashboards.demonstrator"),
        description="Serve a web page on 127.0.0.1 that predicts with an exported model.",
    )
    p.add_argument("model", type=Path, metavar="MODEL", help="a model written by painmodels.export")
    p.add_argument("--port", type=int, default=PORT, help="port (default %(default)s; 0: any free port)")
    p.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 …, auto")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: serve until Ctrl-C. Gives 2 for a model that cannot be read, 130 when interrupted."""
    options = parser().parse_args(arguments)
    return guarded(lambda: _serve(options))


def _serve(options: argparse.Namespace) -> int:
    server = Page(load(options.model, device=options.device), port=free_port(options.port))
    print(f"{server.url}  (this machine alone; Ctrl-C ends it)", flush=True)
    with server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
