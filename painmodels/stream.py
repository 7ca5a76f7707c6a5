"""Runs a trained row on live input from the shell and prints each estimate as it is made.

    python -m painmodels.stream --model FOLDER --video v.mp4 --signals x_bio.csv [--compare]      a recording, as if it ran
    python -m painmodels.stream --model FOLDER --video camera --signals lsl:Biopac
    python -m painmodels.stream --model FOLDER --video rtsp://camera/1
    ffmpeg … -f matroska - | python -m painmodels.stream --model FOLDER --video -
    reader | python -m painmodels.stream --model FOLDER --signals - --rate eda=512

What each name means is in `sources`, how estimates are made in `running`. Signals are scaled over the window that ends now, as a
recording of that length would be. A row that uses video gives an estimate up to 0.84 s after the window's end, because a face
is followed between two detections (0.5 s more while it is lost), and so the very value that the recording gives as a
file: with --compare, for files, the value of the same window by `painmodels.use.over_time` is beside it.
Research software, not a medical device.
Exit codes: 0 done, 2 bad input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

import numpy as np

from dataprep.faults import guarded
from dataprep.outputs import check_there
from dataprep.program import program
from dataprep.records import InputError
from dataprep.signals.clock import on_clock
from dataprep.video.decode import open_video
from painmodels.export import given_rates
from painmodels.use.model import load
from painmodels.use.over_time import over_time
from painmodels.use.predictions import Estimate
from painmodels.use.predictor import Predictor
from painmodels.use.running import Stream
from painmodels.use.sources import Frames, Source, is_running, lsl_source, pipe_source, together, video_source

__all__ = ["Estimate", "Stream", "main", "replay"]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog=program("painmodels.stream"),
        description="Predict live input, or a file as if it were live. No output may guide the care of a person.",
        epilog="Signals are scaled over the window that ends now, as a recording of that length would be. With video an estimate "
        "comes up to 0.84 s after its window's end (0.5 s more while the face is lost): a face is followed between detections.",
    )
    p.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="a model written by painmodels.export")
    p.add_argument("--video", metavar="SOURCE", help="a file, camera, camera:1, rtsp://…, or - for the standard input")
    p.add_argument("--signals", metavar="SOURCE", help="a file, lsl:NAME, or - for the standard input")
    p.add_argument("--rate", action="append", default=[], metavar="CHANNEL=HZ", help="sampling rate of the standard input")
    p.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds between estimates (default 1)")
    p.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 …, auto")
    p.add_argument(
        "--compare", action="store_true", help="for files: also print the value that the same window of the file has"
    )
    p.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object per line: time_s, the columns of the prediction (or null), reason",
    )
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Gives 0, or 2 after printing what is wrong."""
    options = parser().parse_args(arguments)
    return guarded(lambda: _command(options))


def _command(options: argparse.Namespace) -> int:
    model = load(options.model, device=options.device)
    for name, used in (("video", model.uses_video), ("signals", model.uses_signals)):
        if getattr(options, name) is not None and not used:
            print(f"{model.about['cell']} uses no {name}: {getattr(options, name)} is not read", file=sys.stderr)
            setattr(options, name, None)
    model.check_given(video=options.video is not None, signals=options.signals is not None)
    given = [x for x in (options.video, options.signals) if x is not None]
    running = [x for x in given if is_running(x)]
    if running and (len(running) < len(given) or given.count("-") > 1 or options.compare):
        expected = "two files, or two sources that run, of which one is the standard input at most; --compare needs files"
        raise InputError(f"found {' and '.join(given)}, expected {expected}")
    offline: dict[float, Estimate] = {}
    if running:
        estimates = _live(model, options)
    else:
        files = {name: Path(x) for name in ("video", "signals") if (x := getattr(options, name)) is not None}
        check_there(**files)
        if options.compare:
            found = over_time(model, video=files.get("video"), signals=files.get("signals"), hop_s=options.every)
            offline = {round(e.time_s, 3): e for e in found}
        estimates = replay(model, video=files.get("video"), signals=files.get("signals"), every_s=options.every)
    if not options.json:
        print(f"{'time':>10}  {model.learns.strength.name}" + ("  as a file" if options.compare else ""), flush=True)
    for estimate in estimates:
        beside = offline.get(round(estimate.time_s, 3), Estimate(0.0, None, "none")) if options.compare else None
        print(told(estimate, as_json=options.json, beside=beside), flush=True)
    return 0


def told(estimate: Estimate, *, as_json: bool, beside: Estimate | None = None) -> str:
    """One line about an estimate; `beside` is another one of the same window, to compare with."""
    p, found = estimate.strength, estimate.prediction
    if as_json:
        said: dict[str, float | str | None] = {"time_s": round(estimate.time_s, 3)}
        said |= {name: None if found is None else round(found.columns[name], 6) for name in estimate.columns}
        said["reason"] = estimate.reason
        if beside is not None:
            there = beside.prediction
            said |= {f"{n}_as_file": None if there is None else round(there.columns[n], 6) for n in estimate.columns}
        return json.dumps(said, allow_nan=False)
    if p is None or found is None:
        return f"{estimate.time_s:8.2f} s  no estimate: {estimate.reason}"
    line = f"{estimate.time_s:8.2f} s  {p:.3f}"
    if beside is not None:
        line += "  " + ("no estimate" if beside.strength is None else f"{beside.strength:.3f}")
    return line if found.learns.thresholded else f"{line}  {found.called()}"


def replay(model: Predictor, *, video: Path | None, signals: Path | None, every_s: float = 1.0) -> Iterator[Estimate]:
    """The estimates of a recording that is fed as a stream, signals and frames side by side; each as soon as it is made.

    Raises RecordingError for a bad file, InputError for a missing one and for a recording that ends before the first window does.
    """
    model.check_given(video=video is not None, signals=signals is not None)
    channels = model.inputs
    read: Mapping[str, tuple[np.ndarray, float]] = {}
    if channels and signals is not None:
        read = model.native_signals(signals)
    stream = Stream(model, rates_hz={c: read[c][1] for c in channels if c in read}, every_s=every_s)
    frames = iter(())
    if model.uses_video and video is not None:
        frames = on_clock(
            open_video(video, decoder=model.face_settings.decoder, stream=model.face_settings.stream),
            clock_hz=model.clock_hz,
        )  # type: ignore[assignment]
    n_pieces = max((int(np.ceil(len(v) / rate_hz * model.clock_hz)) for v, rate_hz in read.values()), default=0)
    made, ended = 0, not model.uses_video
    for k in count():
        found: list[Estimate] = []
        if not ended:
            try:
                found += stream.picture(next(frames))
            except StopIteration:
                ended = True
                found += stream.rest()
        if ended and k >= n_pieces and not found:
            break
        for channel in channels:
            values, rate_hz = read[channel]
            first, last = (round(step / model.clock_hz * rate_hz) for step in (k, k + 1))
            if first < len(values):
                found += stream.samples({channel: values[first:last]})
        made += len(found)
        yield from found
    if not made:
        ended_s = stream.ahead_s()
        raise InputError(f"the recording ended at {ended_s:.2f} s, before the first window of {model.window_s:.2f} s")


def _live(model: Predictor, options: argparse.Namespace) -> Iterator[Estimate]:
    """The estimates from live sources."""
    sources: dict[str, Source] = {}
    rates_hz: dict[str, float] = {}
    if options.signals == "-":
        rates_hz = given_rates(options.rate)
        sources["signals"] = pipe_source(sys.stdin, channels=model.inputs)
    elif options.signals is not None:
        if not options.signals.startswith("lsl:"):
            raise InputError(f"--signals: found {options.signals!r}, expected a file, lsl:NAME or -")
        sources["signals"], rates_hz = lsl_source(options.signals, channels=model.inputs)
    if options.video is not None:
        if options.video.startswith("lsl:"):
            raise InputError(f"--video: found {options.video!r}, expected a file, camera, a URL or -")
        sources["video"] = video_source(options.video)
    stream = Stream(model, rates_hz=rates_hz, every_s=options.every)
    made = 0
    waits = {name: getattr(options, name) == "-" for name in sources}
    for piece in together(sources, waits=waits):
        if isinstance(piece, Frames):
            found = stream.picture(piece.frame, at_s=piece.at_s)
        else:
            found = stream.samples(piece.values, at_s=piece.at_s)
        made += len(found)
        yield from found
    found = stream.rest() if model.uses_video else []
    yield from found
    if not made + len(found):
        ended_s = stream.ahead_s()
        raise InputError(f"the source ended at {ended_s:.2f} s, before the first window of {model.window_s:.2f} s")


if __name__ == "__main__":
    sys.exit(main())
