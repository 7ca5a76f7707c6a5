"""Sources that run, each as it comes: pipes, a network stream, a laboratory stream; and what is told where there is none."""

from __future__ import annotations

import io
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from dataprep.signals.files import read_table
from painmodels.export import from_run
from painmodels.stream import main, replay
from painmodels.use import sources
from painmodels.use.sources import Frames, Samples, is_running, lsl_columns, lsl_source, pipe_source, together, video_source

pytestmark = pytest.mark.slow

RATE_HZ = 512.0


@pytest.fixture(scope="module")
def folders(tiny_grid: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    out = {}
    for row in ("video", "eda+ecg"):
        out[row] = tmp_path_factory.mktemp("models") / row
        from_run(tiny_grid, f"{row}/all87/fold0").save(out[row])
    return out


@pytest.fixture(scope="module")
def clip(tiny_data: Path) -> dict[str, Path]:
    video = min((tiny_data / "video").rglob("*.mp4"))
    return {"video": video, "signals": tiny_data / "biosignals_filtered" / video.parent.name / f"{video.stem}_bio.csv"}


def remuxed(path: Path, format_: str) -> bytes:
    """The same pictures in a container that can be streamed."""
    out = io.BytesIO()
    with av.open(str(path)) as given, av.open(out, "w", format=format_) as container:
        source = given.streams.video[0]
        stream = container.add_stream_from_template(source)
        for packet in given.demux(source):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return out.getvalue()


def streamed(arguments: list[str], given: bytes) -> tuple[list[dict], str, int]:
    command = [sys.executable, "-m", "painmodels.stream", "--json", *arguments]
    run = subprocess.run(command, input=given, capture_output=True)
    return [json.loads(line) for line in run.stdout.splitlines()], run.stderr.decode(), run.returncode


def test_a_video_from_a_pipe_gives_what_the_file_gives(
    folders: dict[str, Path], clip: dict[str, Path], tiny_grid: Path
) -> None:
    found, _, code = streamed(["--model", str(folders["video"]), "--video", "-"], remuxed(clip["video"], "matroska"))
    (expected,) = replay(from_run(tiny_grid, "video/all87/fold0"), video=clip["video"], signals=None)
    assert code == 0
    assert [e["p_pain"] for e in found] == pytest.approx([expected.p_pain], abs=1e-3)
    found, said, code = streamed(["--model", str(folders["video"]), "--video", "-"], b"no video at all")
    assert (found, code) == ([], 2)
    assert "-: cannot be opened" in said


def test_signals_from_a_pipe_give_what_the_file_gives(
    folders: dict[str, Path], clip: dict[str, Path], tiny_grid: Path
) -> None:
    table = read_table(clip["signals"], columns=("gsr", "ecg"))
    lines = ["ecg, other, eda", *(f"{e}, 0, {g}" for g, e in zip(table["gsr"], table["ecg"], strict=True))]
    arguments = ["--model", str(folders["eda+ecg"]), "--signals", "-", "--rate", "eda=512", "--rate", "ecg=512"]
    found, _, code = streamed(arguments, "\n".join(lines).encode())
    (expected,) = replay(from_run(tiny_grid, "eda+ecg/all87/fold0"), video=None, signals=clip["signals"])
    assert code == 0
    assert [e["p_pain"] for e in found] == pytest.approx([expected.p_pain], abs=1e-5)
    short, said, code = streamed(arguments, "\n".join(lines[:1001]).encode())
    assert (short, code) == ([], 2)
    assert "the source ended at 1.95 s, before the first window of 5.52 s" in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eda ecg\n1 2\n1 x\n", "line 3: found '1 x', expected 2 numbers"),
        ("eda ecg\n1\n", "line 2: found '1', expected 2 numbers"),
        ("eda\n1\n", "found the header 'eda', expected one column each of eda, ecg"),
        ("eda ecg eda\n1 2 3\n", "expected one column each"),
        ("", "found the header ''"),
    ],
)
def test_lines_that_are_no_samples_are_told(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(pipe_source(io.StringIO(text), channels=("eda", "ecg"))(0.0))


class Rtsp:
    """A small RTSP server: one client, MPEG-TS over RTP (RFC 2250), interleaved with the control connection (RFC 2326)."""

    def __init__(self, stream: bytes) -> None:
        self.stream = stream
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rtsp://127.0.0.1:{self.listener.getsockname()[1]}/face"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection, connection.makefile("rb") as lines:
            while request := lines.readline().decode():
                method, fields = request.split()[0], {}
                while line := lines.readline().decode().strip():
                    name, _, value = line.partition(":")
                    fields[name.lower()] = value.strip()
                body, more = "", ""
                if method == "DESCRIBE":
                    body = (
                        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=face\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"
                    )
                    more = "Content-Type: application/sdp\r\n"
                elif method == "SETUP":
                    more = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
                head = (
                    f"RTSP/1.0 200 OK\r\nCSeq: {fields['cseq']}\r\nSession: 1\r\n{more}Content-Length: {len(body)}\r\n\r\n"
                )
                connection.sendall((head + body).encode())
                if method == "PLAY":
                    for n, start in enumerate(range(0, len(self.stream), 7 * 188)):
                        payload = self.stream[start : start + 7 * 188]
                        rtp = struct.pack(">BBHII", 0x80, 33, n & 0xFFFF, n * 900, 1) + payload
                        connection.sendall(struct.pack(">BBH", 0x24, 0, len(rtp)) + rtp)
                    return


def test_frames_of_an_rtsp_stream_have_their_times(clip: dict[str, Path]) -> None:
    pieces = []
    for piece in video_source(Rtsp(remuxed(clip["video"], "mpegts")).url)(time.monotonic()):
        pieces.append(piece)
        if len(pieces) == 100:
            break
    times_s = np.array([p.at_s for p in pieces if isinstance(p, Frames)])
    np.testing.assert_allclose(np.diff(times_s), 0.04, atol=0.002)
    assert pieces[0].frame.width == 320


@pytest.mark.parametrize("name", ["rtsp://127.0.0.1:9/none", "camera:77", "http://127.0.0.1:9/x.mp4"])
def test_a_source_that_is_not_there_is_told(name: str, folders: dict[str, Path], capsys: pytest.CaptureFixture) -> None:
    assert main(["--model", str(folders["video"]), "--video", name]) == 2
    assert f"{name}: cannot be opened" in capsys.readouterr().err


def test_a_device_is_read_like_a_camera(
    folders: dict[str, Path], clip: dict[str, Path], capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg's own device, which plays the clip at twice its speed, stands where Video4Linux or AVFoundation stands."""
    monkeypatch.setitem(sources.CAMERAS, sys.platform, ("lavfi", "movie={},realtime=speed=2"))
    assert main(["--model", str(folders["video"]), "--video", str(clip["video"]), "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)["p_pain"]
    assert main(["--model", str(folders["video"]), "--video", f"camera:{clip['video']}", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["time_s"] == 5.52
    assert said["p_pain"] == pytest.approx(expected, abs=0.05)  # a slow machine leaves frames out


def test_sources_that_do_not_fit_are_told(
    folders: dict[str, Path], clip: dict[str, Path], capsys: pytest.CaptureFixture
) -> None:
    for arguments, message in (
        (["--video", "lsl:x"], "found 'lsl:x', expected a file, camera, a URL or -"),
        (["--video", "-", "--compare"], "--compare needs files"),
        ([], "uses video: found no video file"),
    ):
        assert main(["--model", str(folders["video"]), *arguments]) == 2
        assert message in capsys.readouterr().err
    assert main(["--model", str(folders["eda+ecg"]), "--signals", "-"]) == 2
    assert "expected a rate for eda, ecg" in capsys.readouterr().err
    assert main(["--model", str(folders["eda+ecg"]), "--signals", str(clip["signals"]), "--video", "camera"]) == 0
    assert "uses no video: camera is not read" in capsys.readouterr().err
    assert [is_running(x) for x in ("-", "camera", "camera:1", "rtsp://a/b", "lsl:x", "a.mp4", "C:/a.mp4", None)] == [
        *[True] * 5,
        *[False] * 3,
    ]


def test_a_stream_is_compared_with_the_file(
    folders: dict[str, Path], clip: dict[str, Path], capsys: pytest.CaptureFixture
) -> None:
    assert main(["--model", str(folders["eda+ecg"]), "--signals", str(clip["signals"]), "--compare"]) == 0
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == ["time", "p_pain", "as", "a", "file"]
    assert line.split()[2] == line.split()[3]
    assert main(["--model", str(folders["video"]), "--video", str(clip["video"]), "--compare", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["p_pain"] == pytest.approx(said["p_pain_as_file"], abs=1e-4)


def test_a_slow_reader_loses_frames_of_a_camera_and_none_of_a_pipe() -> None:
    ended = threading.Event()

    def source(_: float) -> Iterator[Frames]:
        for k in range(300):
            yield Frames(k / 25, None)  # type: ignore[arg-type]
        ended.set()

    def taken(waits: bool) -> list[float]:
        out = []
        for piece in together({"video": source}, waits={"video": waits}):
            if not out and not waits:
                assert ended.wait(60)  # the source runs ahead
            out.append(piece.at_s)
        return out

    assert len(taken(True)) == 300
    assert 64 <= len(taken(False)) < 300

    def broken(_: float) -> Iterator[Samples]:
        raise ValueError("the cable is out")
        yield

    with pytest.raises(ValueError, match="the cable is out"):
        list(together({"signals": broken}, waits={"signals": True}))


def test_samples_of_a_laboratory_stream_are_whole() -> None:
    pylsl = pytest.importorskip("pylsl", reason="pylsl is not installed: pip install 'pain-grid[lsl]'")
    info = pylsl.StreamInfo("pain-grid test", "EDA", 2, 128.0, "float32", "pain-grid-test")
    described = info.desc().append_child("channels")
    for label in ("ECG", "eda"):
        described.append_child("channel").append_child_value("label", label)
    outlet, stop = pylsl.StreamOutlet(info, chunk_size=16), threading.Event()

    def push() -> None:
        n, start_s = 0, pylsl.local_clock()
        while not stop.wait(0.02):
            while n < (pylsl.local_clock() - start_s) * 128:
                outlet.push_sample([0.0, float(n)], start_s + n / 128)
                n += 1

    threading.Thread(target=push, daemon=True).start()
    try:
        source, rates_hz = lsl_source("lsl:pain-grid test", channels=("eda", "ecg"))
        assert rates_hz == {"eda": 128.0, "ecg": 128.0}
        values: list[float] = []
        for piece in together({"signals": source}, waits={"signals": False}):
            values += piece.values["eda"].tolist()
            if len(values) > 256:
                break
    finally:
        stop.set()
    assert np.unique(np.diff(values)).tolist() == [1.0]


def test_channels_of_a_laboratory_stream_are_found_by_their_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lsl_columns("x", ["ECG", "Eda", "trigger"], channels=("eda", "ecg")) == {"eda": 1, "ecg": 0}
    assert lsl_columns("x", ["", ""], channels=("eda", "ecg")) == {"eda": 0, "ecg": 1}
    for labels in (["", "", ""], ["eda", "eda", "ecg"], ["a", "b"]):
        with pytest.raises(ValueError, match="expected one each of eda, ecg"):
            lsl_columns("x", labels, channels=("eda", "ecg"))
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(ValueError, match=r"pip install 'pain-grid\[lsl\]'"):
        lsl_source("lsl:x", channels=("eda",))
