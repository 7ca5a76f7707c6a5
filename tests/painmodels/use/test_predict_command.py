"""The command line of predict: cells by name, ensembles, thresholds, long recordings, plots."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dataprep.signals.files import read_table
from painmodels.export import from_run
from painmodels.export import main as export
from painmodels.predict import main


@pytest.fixture(scope="module")
def clip(tiny_data: Path) -> dict[str, str]:
    video = min((tiny_data / "video").rglob("*.mp4"))
    signals = tiny_data / "biosignals_filtered" / video.parent.name / f"{video.stem}_bio.csv"
    return {"video": str(video), "signals": str(signals)}


@pytest.fixture(scope="module")
def long(clip: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Eleven seconds of signals."""
    table = read_table(Path(clip["signals"]), columns=("gsr", "ecg"))
    eda, ecg = (np.concatenate([table[c], table[c][::-1]]) for c in ("gsr", "ecg"))
    path = tmp_path_factory.mktemp("long") / "long_bio.csv"
    table = np.stack([np.arange(len(eda)) / 512 * 1e6, eda, ecg, *[np.zeros(len(eda))] * 3], axis=1)
    header = "time\tgsr\tecg\temg_trapezius\temg_corrugator\temg_zygomaticus"
    np.savetxt(path, table, delimiter="\t", header=header, comments="")
    return str(path)


def test_the_cells_of_a_run_are_listed(tiny_grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["--run", str(tiny_grid), "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 32
    assert "eda+ecg+video/all87/fold1  done" in lines
    records = json.loads((tiny_grid / "cells.json").read_text())
    records[0] |= {"status": "failed", "reason": "it diverged"}
    (tmp_path / "cells.json").write_text(json.dumps(records))
    assert main(["--run", str(tmp_path), "--list"]) == 0
    assert "frame/all87/fold0  failed (it diverged)" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--list"])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("ecg+eda/all87/fold0", "eda+ecg/all87/fold0"),
        ("video+ecg+eda/all87/fold1", "eda+ecg+video/all87/fold1"),
        ("EDA/All87/fold0", "eda/all87/fold0"),
        ("eda/all78/fold0", "eda/all87/fold0"),
        ("ecg+eda/all87", "eda+ecg/all87"),
        ("ecg+eda", "eda+ecg/all87"),
        ("edaa/all87", "eda/all87"),
    ],
)
def test_a_name_that_is_nearly_right_is_asked_about(
    tiny_grid: Path, given: str, meant: str, capsys: pytest.CaptureFixture
) -> None:
    assert main(["--run", str(tiny_grid), "--cell", given, "--signals", "x_bio.csv"]) == 2
    assert f"Did you mean {meant!r}?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("eda", "found 'eda', a row without a scenario; expected a name such as eda/all87"),
        ("ecg+eda/all87", "Did you mean 'eda+ecg/all87'?"),
        ("ecg+eda/all87/fold0", "Did you mean 'eda+ecg/all87/fold0'?"),
    ],
)
def test_an_export_says_what_is_missing_in_the_name_of_a_cell(
    tiny_grid: Path, tmp_path: Path, given: str, said: str, capsys: pytest.CaptureFixture
) -> None:
    assert export(["--run", str(tiny_grid), "--cell", given, "--to", str(tmp_path / "m")]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert f"mean {given!r}" not in told


def test_a_row_alone_is_told_what_to_add(tiny_grid: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["--run", str(tiny_grid), "--cell", "eda", "--signals", "x_bio.csv"]) == 2
    assert "found 'eda', a row without a scenario; expected a name such as eda/all87" in capsys.readouterr().err


def test_all_folds_of_a_row_are_an_ensemble(
    tiny_grid: Path, clip: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["--run", str(tiny_grid), "--cell", "eda/all87", "--signals", clip["signals"]]) == 0
    said = capsys.readouterr().out
    found = json.loads(said)
    assert len(said.splitlines()) == len(found) + 2  # a line a field: it fits a terminal
    assert "time_s" not in found  # times of nothing: they stood before the answer
    each = [from_run(tiny_grid, f"eda/all87/fold{k}").predict(signals=clip["signals"]).p_pain for k in range(2)]
    assert found["p_pain_of_each"] == pytest.approx(each, abs=1e-6)
    assert found["p_pain"] == pytest.approx(np.mean(each), abs=1e-6)
    assert found["cell"] == "eda/all87 (2 folds)"
    records = json.loads((tiny_grid / "cells.json").read_text())
    for record in records:
        if (record["modality"], record["fold"]) == ("eda", 1):
            record |= {"status": "failed", "reason": "x"}
    (tmp_path / "cells.json").write_text(json.dumps(records))
    assert main(["--run", str(tmp_path), "--cell", "eda/all87", "--signals", clip["signals"]]) == 2
    assert "found fold1 without a result, expected all 2 folds" in capsys.readouterr().err


def test_what_is_called_has_its_threshold_and_what_is_not_used_is_told(
    tiny_grid: Path, clip: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["--run", str(tiny_grid), "--cell", "eda/all87/fold0", "--signals", clip["signals"], "--video", "none.mp4"]
    called = []
    for threshold in ("0", "0.5", "1"):
        assert main([*arguments, "--threshold", threshold]) == 0
        said = capsys.readouterr()
        found = json.loads(said.out)
        assert found["threshold"] == float(threshold)
        assert "eda/all87/subject/fold0 uses no video: none.mp4 is not read" in said.err
        called.append(found["called"])
    assert (called[0], called[2]) == ("PA4", "BL1")
    assert called[1] == ("PA4" if found["p_pain"] > 0.5 else "BL1")
    shutil.copy(clip["signals"], tmp_path)
    assert main([*arguments[:4], "--folder", str(tmp_path), "--threshold", "0.25"]) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert row["threshold"] == "0.25"
    for wrong in ("1.5", "-1", "nan"):
        assert main([*arguments, "--threshold", wrong]) == 2
        assert "expected 0 to 1: probability of PA4" in capsys.readouterr().err


def test_a_long_recording_window_by_window(
    tiny_grid: Path, long: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["--run", str(tiny_grid), "--cell", "eda+ecg/all87/fold0", "--signals", long]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert "the first 5.52 s of 11.0 s were judged; --hop 1 judges all of it" in said.err
    one = json.loads(said.out)
    files = {name: tmp_path / name for name in ("p.csv", "events.csv", "p.png")}
    more = ["--out", str(files["p.csv"]), "--events", str(files["events.csv"]), "--plot", str(files["p.png"])]
    assert main([*arguments, "--hop", "0.5", "--threshold", "0", *more]) == 0
    rows = list(csv.DictReader(files["p.csv"].open()))
    assert len(rows) == 12  # 0.48 s is the nearest number of whole steps
    assert float(rows[0]["p_pain"]) == pytest.approx(one["p_pain"], abs=1e-6)
    assert (rows[0]["start_s"], rows[0]["end_s"], rows[0]["called"]) == ("0.000", "5.520", "PA4")
    (event,) = csv.DictReader(files["events.csv"].open())
    assert (event["start_s"], event["windows"]) == ("0.000", "12")
    assert float(event["peak_p_pain"]) == pytest.approx(max(float(r["p_pain"]) for r in rows))
    assert files["p.png"].read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(SystemExit):
        main([*arguments, "--events", str(files["events.csv"])])
    assert main([*arguments, "--hop", "0"]) == 2


def test_labels_of_a_plot_are_inside_the_picture(tiny_grid: Path, clip: dict[str, str], tmp_path: Path, monkeypatch) -> None:
    from matplotlib.figure import Figure

    texts: list[str] = []
    outside: list[str] = []
    save = Figure.savefig

    def looked_at(self, *arguments, **options) -> None:
        save(self, *arguments, **options)
        canvas, renderer = self.bbox, self.canvas.get_renderer()
        ticks = [t for axis in self.axes for a in (axis.xaxis, axis.yaxis) for t in a.get_major_ticks()]
        skipped = {id(label) for t in ticks for label in (t.label1, t.label2)}  # some are beyond the limits, and not drawn
        words = [t for t in self.findobj(lambda a: hasattr(a, "get_text")) if t.get_visible() and t.get_text().strip()]
        for text in words:
            box = text.get_window_extent(renderer)
            texts.append(text.get_text())
            if id(text) in skipped:
                continue
            if box.x0 < 0 or box.y0 < 0 or box.x1 > canvas.x1 or box.y1 > canvas.y1:
                outside.append(text.get_text())

    monkeypatch.setattr(Figure, "savefig", looked_at)
    arguments = ["--run", str(tiny_grid), "--cell", "eda+ecg+video/all87/fold0", "--plot", str(tmp_path / "p.png")]
    assert main([*arguments, "--video", clip["video"], "--signals", clip["signals"]]) == 0
    assert main([*arguments, "--video", clip["video"], "--signals", clip["signals"], "--hop", "1"]) == 0
    assert not outside
    said = "\n".join(texts)
    for part in (Path(clip["video"]).name, Path(clip["signals"]).name, "synthetic", "eda", "ecg", "face", "attention"):
        assert part in said


def test_nothing_is_written_before_all_is_done(
    tiny_grid: Path, clip: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from painmodels import predict

    def broken(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(predict, "plot", broken)
    out, plot = tmp_path / "p.json", tmp_path / "p.png"
    out.write_text("before")
    arguments = ["--run", str(tiny_grid), "--cell", "eda/all87/fold0", "--signals", clip["signals"]]
    assert main([*arguments, "--out", str(out), "--plot", str(plot)]) == 1
    assert out.read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p.json"]


def test_a_file_that_is_not_there_is_a_wrong_option(tiny_grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    asked = ["--run", str(tiny_grid), "--cell", "eda/all87/fold0", "--signals", str(tmp_path / "no.csv")]
    for more in ([], ["--hop", "1"]):
        assert main([*asked, *more]) == 2
        assert f"--signals: {tmp_path / 'no.csv'}: no such file" in capsys.readouterr().err
