"""Predictions of a trained row for a recording, for a long recording over time, or for a folder of recordings.

    python -m painmodels.predict --run DIR --list
    python -m painmodels.predict --run DIR --cell eda+video/all87/fold0 --video v.mp4 --signals x_bio.csv [--plot out.png]
    python -m painmodels.predict --run DIR --cell eda+video/all87 …                       all folds: the mean of what they say
    python -m painmodels.predict --model FOLDER --folder RECORDINGS --out table.csv
    python -m painmodels.predict --model FOLDER --video long.mp4 --hop 1 [--out p.csv] [--events events.csv] [--plot p.png]

One recording: JSON on the standard output, the columns of the task's predictions (such as the probability of pain, of each
level, or a number), what is called and the threshold that it is called with where the task has one; before them, per step, the
spatial network's own score and the attention's weight where the row has them. A folder: CSV, a row a recording, those that cannot
be read with the reason. Videos are `NAME.mp4` (or .mov, .mkv …), signals `NAME_bio.csv`, anywhere below the folder; of a model
that was trained on a table, the signal files that `dataprep.manifest` drafts. Of a longer recording the first `n_steps` are used,
which is told; with --hop all of it, window after window (`painmodels.use.over_time`); for a running one see `painmodels.stream`.
An ensemble of folds knows people of the training data: of them it says what it learned, so measure with single cells. Research
software: no output may guide anybody's care.
Exit codes: 0 done, 1 some recordings of a folder could not be used, 2 bad input.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from dataprep.faults import guarded
from dataprep.outputs import check_output, check_there, drafted
from dataprep.program import program
from dataprep.records import InputError, RecordingError
from dataprep.video.decode import open_video
from painmodels.export import any_from_run
from painmodels.training.loop import one_thread
from painmodels.use.folders import TAKES, recordings
from painmodels.use.model import load
from painmodels.use.over_time import Event, over_time
from painmodels.use.over_time import events as events_above
from painmodels.use.plots import OverTime, plot, plot_over_time
from painmodels.use.predictions import Estimate, Prediction
from painmodels.use.predictor import Predictor
from painmodels.use.run_cells import cells

FEW = 20  # numbers of a list that is read by eye


def named(model: Predictor, found: Prediction | None) -> dict[str, float | None]:
    """The columns of a prediction, and its strength where that is none of them; None of each without one."""
    strength = model.learns.strength.name
    columns = dict.fromkeys(model.learns.columns) if found is None else {n: round(v, 6) for n, v in found.columns.items()}
    return columns | ({} if strength in columns else {strength: None if found is None else round(found.strength, 6)})


def facts(model: Predictor, found: Prediction, *, threshold: float | None) -> dict[str, Any]:
    """A prediction as JSON types, with what it was made by."""
    strength = model.learns.strength
    out: dict[str, Any] = {"cell": model.about["cell"], **named(model, found), "called": found.called(threshold=threshold)}
    if model.learns.thresholded:
        out["threshold"] = strength.threshold if threshold is None else threshold
    if found.p_classes_K is not None:
        out["classes"] = {n: round(float(p), 6) for n, p in zip(model.classes, found.p_classes_K, strict=True)}
    for column, values_M in zip(model.learns.columns, () if found.members_MC is None else found.members_MC.T, strict=False):
        out[f"{column}_of_each"] = [round(float(value), 6) for value in values_M]
    out["window_s"] = round(model.window_s, 3)
    out["used_s"] = [round(t, 3) for t in model.used_s]
    by_step = {f"frame_{strength.name}": found.frames_T, "attention": found.attention_T}
    if any(values_T is not None for values_T in by_step.values()):  # else times alone, before the answer
        out["time_s"] = [round(float(t), 3) for t in found.times_s_T]
    out |= {name: [round(float(v), 6) for v in values_T] for name, values_T in by_step.items() if values_T is not None}
    if model.about["synthetic"]:
        out["note"] = "trained on synthetic data: it says nothing about pain"
    return out


def as_text(said: dict[str, Any]) -> str:
    """JSON, a line a field: the long lists first, so that the answer is what is seen at the end."""
    long = {k: v for k, v in said.items() if isinstance(v, list) and len(v) > FEW}
    fields = long | {k: v for k, v in said.items() if k not in long}
    return "{\n" + ",\n".join(f" {json.dumps(k)}: {json.dumps(v, allow_nan=False)}" for k, v in fields.items()) + "\n}\n"


def write_table(model: Predictor, folder: Path, out: TextIO, *, threshold: float | None) -> int:
    """A CSV row for every recording of a folder into the open file `out`; gives how many could not be used."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("name", *_header(model)))
    failed = 0
    for name, video, signals in recordings(folder, model):
        try:
            found = model.predict(video=video, signals=signals)
        except (RecordingError, InputError, OSError) as error:  # NoEstimate among them
            failed += 1
            table.writerow([name, *_fields(model, None, threshold), str(error)])
        else:
            table.writerow([name, *_fields(model, found, threshold), ""])
    return failed


def write_over_time(model: Predictor, found: Sequence[Estimate], out: TextIO, *, threshold: float | None) -> None:
    """A CSV row for every window of a long recording."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("start_s", "end_s", *_header(model)))
    for e in found:
        said = _fields(model, e.prediction, threshold)
        table.writerow([f"{e.time_s - model.window_s:.3f}", f"{e.time_s:.3f}", *said, e.reason])


def _header(model: Predictor) -> list[str]:
    """The columns of a prediction in a table."""
    return [*named(model, None), "called", *(["threshold"] if model.learns.thresholded else []), "reason"]


def _fields(model: Predictor, found: Prediction | None, threshold: float | None) -> list[str]:
    """A prediction in these columns, but for the reason; without one all are empty but the threshold."""
    values = ["" if value is None else f"{value:.6f}" for value in named(model, found).values()]
    limit = model.learns.strength.threshold if threshold is None else threshold
    told = [f"{limit:g}"] if model.learns.thresholded else []
    return [*values, "" if found is None else found.called(threshold=threshold), *told]


def write_events(model: Predictor, found: Sequence[Event], out: TextIO) -> None:
    """A CSV row for every event."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(("start_s", "end_s", "windows", f"peak_{model.learns.strength.name}", "peak_s"))
    for e in found:
        table.writerow([f"{e.start_s:.3f}", f"{e.end_s:.3f}", e.windows, f"{e.peak:.6f}", f"{e.peak_s:.3f}"])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog=program("painmodels.predict"), description="Predict with a trained row of the grid.")
    p.add_argument("--run", type=Path, metavar="DIR", help="a result folder of grid.launch, with --cell")
    p.add_argument("--list", action="store_true", help="list the cells of --run, one per line, with their status")
    p.add_argument(
        "--cell",
        metavar="ROW/SCENARIO[/FOLD]",
        help="such as eda+video/all87/fold0, eda+video/all87 (all folds), or eda+video/all87/repeat1/seed2/fold0",
    )
    p.add_argument("--model", type=Path, metavar="FOLDER", help="an exported model, instead of --run and --cell")
    p.add_argument("--video", type=Path, metavar="FILE")
    p.add_argument("--signals", type=Path, metavar="FILE")
    p.add_argument("--folder", type=Path, metavar="DIR", help=TAKES)
    p.add_argument(
        "--hop",
        type=float,
        metavar="S",
        help="for a long recording: predict a window every S seconds (rounded to steps), as CSV",
    )
    p.add_argument("--events", type=Path, metavar="CSV", help="with --hop: write the times above the threshold")
    p.add_argument(
        "--threshold",
        type=float,
        help="above which a window counts as pain: a probability (default 0.5); of levels and numbers the expected one, with "
        "--hop (default: the middle of the scale)",
    )
    p.add_argument("--out", type=Path, metavar="FILE", help="write to this file instead of the standard output")
    p.add_argument("--stream", type=int, metavar="N", help="number of the stream, for files with several videos")
    p.add_argument("--plot", type=Path, metavar="PNG", help="draw one recording: probability, face, signals")
    p.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1 …, auto")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    p = parser()
    options = p.parse_args(arguments)
    if options.list:
        if not options.run or options.model:
            p.error("--list tells the cells of --run DIR")
        return guarded(lambda: _list(options.run))
    if bool(options.model) == bool(options.run) or bool(options.run) != bool(options.cell):
        p.error("say which model: --run DIR with --cell NAME (--list tells them), or --model FOLDER")
    if bool(options.folder) == bool(options.video or options.signals) or (options.folder and (options.plot or options.hop)):
        p.error("say what to predict: --video and --signals (one of them may do), or --folder without --plot and --hop")
    if options.events and options.hop is None:
        p.error("--events needs --hop: it tells when a long recording was above the threshold")
    return guarded(lambda: _command(options))


def _list(run: Path) -> int:
    for name, status in cells(run):
        print(f"{name}  {status}")
    return 0


def _command(options: argparse.Namespace) -> int:
    given = [options.video, options.signals, *(sorted(options.folder.rglob("*")) if options.folder else [])]
    if options.out:
        tables = options.folder or options.hop is not None
        check_output("--out", options.out, endings=(".csv", ".txt") if tables else (".json", ".txt"), inputs=given)
    if options.events:
        check_output("--events", options.events, endings=(".csv", ".txt"), inputs=[*given, options.out])
    if options.plot:
        check_output("--plot", options.plot, endings=(".png",), inputs=[*given, options.out, options.events])
    model: Predictor
    if options.model:
        model = load(options.model, device=options.device)
    else:
        model = any_from_run(options.run, options.cell, device=options.device)
    _check_threshold(model, options)
    if options.stream is not None:
        model.face_settings = replace(model.face_settings, stream=options.stream)
    for name, used in (("video", model.uses_video), ("signals", model.uses_signals)):
        if getattr(options, name) is not None and not used:
            print(f"{model.about['cell']} uses no {name}: {getattr(options, name)} is not read", file=sys.stderr)
            setattr(options, name, None)
    check_there(video=options.video, signals=options.signals)
    if options.hop is not None:
        return _over_time(model, options)
    failed = 0
    text = io.StringIO()
    signals_TC: np.ndarray | None = None
    crops: list[np.ndarray] = []
    if options.folder:
        failed = write_table(model, options.folder, text, threshold=options.threshold)
        n = sum(1 for _ in csv.reader(io.StringIO(text.getvalue()))) - 1
        print(f"{n} recordings, {failed} of them without an estimate", file=sys.stderr)
    else:
        with one_thread():
            video_TF, signals_TC = model.read(video=options.video, signals=options.signals, show=crops.extend)
            found = model.of_arrays(video_TF, signals_TC)
        text.write(as_text(facts(model, found, threshold=options.threshold)))
        _tell_rest(model, options)
    if options.plot:
        with drafted(options.plot) as draft:
            plot(model, found, draft, names=_names(options), signals_TC=signals_TC, crops=crops)
        print(f"written    {options.plot}", file=sys.stderr)
    _write(options.out, text)
    return 1 if failed else 0


def _check_threshold(model: Predictor, options: argparse.Namespace) -> None:
    """Raises InputError for a threshold that no prediction can be above, or that nothing depends on."""
    (low, high), asked = model.learns.strength.span, options.threshold
    if asked is None:
        return
    if not low <= asked <= high:
        raise InputError(f"--threshold: found {asked:g}, expected {low:g} to {high:g}: {model.learns.strength.title}")
    if not model.learns.thresholded and options.hop is None:
        raise InputError(f"--threshold: the task {model.learns.kind} calls without one; expected it with --hop, for events")


def _over_time(model: Predictor, options: argparse.Namespace) -> int:
    threshold = model.learns.strength.threshold if options.threshold is None else options.threshold
    shown: list[tuple[float, np.ndarray]] = []
    found = over_time(
        model, video=options.video, signals=options.signals, hop_s=options.hop, show=lambda t, crop: shown.append((t, crop))
    )
    events = events_above(found, threshold=threshold, window_s=model.window_s)
    text, told = io.StringIO(), io.StringIO()
    write_over_time(model, found, text, threshold=options.threshold)
    write_events(model, events, told)
    if options.plot:
        read = model.native_signals(options.signals) if options.signals else {}
        signals = [(c, np.arange(len(read[c][0])) / read[c][1], read[c][0]) for c in model.inputs]
        with drafted(options.plot) as draft:
            shown_s = OverTime(found, events, threshold)
            plot_over_time(model, shown_s, draft, names=_names(options), signals=signals, faces=shown)
        print(f"written    {options.plot}", file=sys.stderr)
    if options.events:
        _write(options.events, told)
    _write(options.out, text)
    return 0


def _names(options: argparse.Namespace) -> list[str]:
    return [path.name for path in (options.video, options.signals) if path is not None]


def _write(path: Path | None, text: io.StringIO) -> None:
    if path is None:
        print(text.getvalue(), end="")
        return
    with drafted(path) as draft:
        draft.write_text(text.getvalue(), encoding="utf-8")
    print(f"written    {path}", file=sys.stderr)


def _tell_rest(model: Predictor, options: argparse.Namespace) -> None:
    """A line about the part of a longer recording that was not used."""
    lasts_s = [0.0]
    if options.video is not None:
        opened = open_video(options.video, decoder=model.face_settings.decoder, stream=model.face_settings.stream)
        lasts_s.append(opened.declared / opened.rate_hz if opened.rate_hz else 0.0)
    if options.signals is not None:
        read = model.native_signals(options.signals)
        lasts_s += [len(read[c][0]) / read[c][1] for c in model.inputs]
    if max(lasts_s) > 1.05 * model.window_s:
        said = f"the first {model.window_s:g} s of {max(lasts_s):.1f} s were judged; --hop 1 judges all of it"
        print(said, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
