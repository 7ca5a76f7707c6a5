"""What a trained row of the grid says of a recording, or of a folder of them.

    python -m painmodels.predict --run DIR --cell eda+video/all87/fold0 --video v.mp4 --signals x_bio.csv [--plot out.png]
    python -m painmodels.predict --model FOLDER --folder RECORDINGS --out table.csv

One recording: JSON on the standard output, `p_pain`, the probability of each class, and per step the spatial network's own
score and the attention's weight where the row has them. A folder: CSV, a row a recording, those that cannot be read with the
reason. Videos are `NAME.mp4` (or .mov, .mkv, .webm, .avi …), signals `NAME_bio.csv`, found anywhere below the folder. Of a longer
recording the first `n_steps` are used; for a running one see `painmodels.stream`. Research software: no output may guide
anybody's care.
Exit codes: 0 done, 1 some recordings of a folder could not be used, 2 bad input.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataprep.faults import guarded
from dataprep.names import is_shadow
from dataprep.outputs import check_output, drafted
from dataprep.records import InputError, RecordingError
from painmodels.export import from_run
from painmodels.model import Model, load
from painmodels.predictions import Prediction

VIDEOS = (
    ".mp4",
    ".m4v",
    ".mov",
    ".3gp",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".vob",
    ".ts",
    ".mts",
    ".m2ts",
    ".wmv",
    ".flv",
)
SIGNALS = "_bio.csv"
COLUMNS = ("name", "p_pain", "called", "reason")


def recordings(folder: Path, model: Model) -> Iterator[tuple[str, Path | None, Path | None]]:
    """Name, video and signals of every recording below a folder that has what the model uses, by name.

    Names are matched without regard to case where that joins just two files; hidden files are none. Raises InputError if there
    is no recording, or two files have one name. What may have been meant for one is said on the standard error.
    """
    found: dict[str, dict[str, Path]] = {}
    others = []
    for path in sorted(folder.rglob("*")):
        if any(map(is_shadow, path.relative_to(folder).parts)) or path.is_dir():
            continue
        if path.suffix.lower() in VIDEOS:
            part, name, used = "video", path.stem, model.uses_video
        elif path.name.lower().endswith(SIGNALS):
            part, name, used = "signals", path.name[: -len(SIGNALS)], model.uses_signals
        else:
            others.append(path)
            continue
        if not used:
            continue
        if part in found.setdefault(name, {}):
            raise InputError(f"{folder}: found {found[name][part]} and {path}, expected one {part} file of a name")
        found[name][part] = path
    if others:
        print(f"{folder}: {_not_taken(others)}", file=sys.stderr)
    if not found:
        said = f", but {_not_taken(others)}" if others else ""
        raise InputError(f"{folder}: found no recording, expected NAME.mp4 or NAME{SIGNALS} there or below{said}")
    joined = _joined(found)
    for name in sorted(joined):
        yield name, joined[name].get("video"), joined[name].get("signals")


def _not_taken(others: Sequence[Path]) -> str:
    seen = ", ".join(path.name for path in others[:3]) + (", …" if len(others) > 3 else "")
    return f"{len(others)} other files are not taken ({seen}); a recording is NAME.mp4 (or another video) or NAME{SIGNALS}"


def _joined(found: Mapping[str, dict[str, Path]]) -> dict[str, dict[str, Path]]:
    """The recordings, a video and signals whose names differ in case alone being one where no third file has that name."""
    alike: dict[str, list[str]] = {}
    for name in found:
        alike.setdefault(name.casefold(), []).append(name)
    out = {}
    for members in alike.values():
        files = [item for name in members for item in found[name].items()]
        if len(files) == len(dict(files)):
            named = next((name for name in members if "video" in found[name]), members[0])
            out[named] = dict(files)
        else:
            out |= {name: found[name] for name in members}
    return out


def facts(model: Model, found: Prediction) -> dict[str, Any]:
    """A prediction as JSON types, with what it was made by."""
    out: dict[str, Any] = {"cell": model.about["cell"], "p_pain": round(found.p_pain, 6)}
    out["classes"] = {n: round(float(p), 6) for n, p in zip(model.classes, found.p_classes_K, strict=True)}
    out["time_s"] = [round(float(t), 3) for t in found.times_s_T]
    for name, values_T in (("frame_p_pain", found.frames_T), ("attention", found.attention_T)):
        if values_T is not None:
            out[name] = [round(float(v), 6) for v in values_T]
    if model.about["synthetic"]:
        out["note"] = "trained on synthetic data: it says nothing about pain"
    return out


def plot(model: Model, found: Prediction, path: Path) -> None:
    """Draw the prediction over time into a picture: the score of each frame, and the attention's weight."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn = [
        (name, values_T)
        for name, values_T in (("probability of pain, by frame", found.frames_T), ("attention", found.attention_T))
        if values_T is not None
    ]
    figure, axes = pyplot.subplots(len(drawn) + 1, 1, figsize=(8, 1.2 + 2 * len(drawn)), squeeze=False)
    bar = axes[0, 0]
    bar.barh(0, found.p_pain, color="#b2182b")
    bar.set(xlim=(0, 1), yticks=[], title=f"{model.about['cell']}: probability of pain {found.p_pain:.2f}")
    for axis, (name, values_T) in zip(axes[1:, 0], drawn, strict=True):
        axis.plot(found.times_s_T, values_T, color="#2166ac")
        axis.set(ylabel=name, xlabel="seconds", ylim=(0, 1) if name.startswith("prob") else (0, None))
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def write_table(model: Model, folder: Path, out: Any) -> int:
    """A CSV row for every recording of a folder into the open file `out`; gives how many could not be used."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    failed = 0
    for name, video, signals in recordings(folder, model):
        try:
            found = model.predict(video=video, signals=signals)
        except (RecordingError, InputError, OSError) as error:  # NoEstimate among them
            failed += 1
            table.writerow([name, "", "", str(error)])
        else:
            table.writerow([name, f"{found.p_pain:.6f}", model.classes[int(found.p_classes_K.argmax())], ""])
    return failed


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m painmodels.predict", description="Predict with a trained row of the grid.")
    p.add_argument("--run", type=Path, metavar="DIR", help="a result folder of grid.launch, with --cell")
    p.add_argument(
        "--cell", metavar="ROW/SCENARIO/FOLD", help="such as eda+video/all87/fold0; in full …/all87/repeat1/seed2/fold0"
    )
    p.add_argument("--model", type=Path, metavar="FOLDER", help="an exported model, instead of --run and --cell")
    p.add_argument("--video", type=Path, metavar="FILE")
    p.add_argument("--signals", type=Path, metavar="FILE")
    p.add_argument("--folder", type=Path, metavar="DIR", help="many recordings, instead of --video and --signals")
    p.add_argument("--out", type=Path, metavar="FILE", help="write there instead of the standard output")
    p.add_argument("--plot", type=Path, metavar="PNG", help="draw one recording's prediction over time")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    p = parser()
    options = p.parse_args(arguments)
    if bool(options.model) == bool(options.run) or bool(options.run) != bool(options.cell):
        p.error("say which model: --run DIR with --cell NAME, or --model FOLDER")
    if bool(options.folder) == bool(options.video or options.signals) or (options.folder and options.plot):
        p.error("say what to predict: --video and --signals (one of them may do), or --folder without --plot")
    return guarded(lambda: _command(options))


def _command(options: argparse.Namespace) -> int:
    given = [options.video, options.signals, *(sorted(options.folder.rglob("*")) if options.folder else [])]
    if options.out:
        check_output("--out", options.out, endings=(".csv", ".txt") if options.folder else (".json", ".txt"), inputs=given)
    if options.plot:
        check_output("--plot", options.plot, endings=(".png",), inputs=[*given, options.out])
    model = load(options.model) if options.model else from_run(options.run, options.cell)
    failed = 0
    text = io.StringIO()
    if options.folder:
        failed = write_table(model, options.folder, text)
    else:
        found = model.predict(video=options.video, signals=options.signals)
        text.write(json.dumps(facts(model, found), indent=1, allow_nan=False) + "\n")
    if options.out:
        with drafted(options.out) as draft:
            draft.write_text(text.getvalue(), encoding="utf-8")
    else:
        print(text.getvalue(), end="")
    if options.plot:
        with drafted(options.plot) as draft:
            plot(model, found, draft)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
