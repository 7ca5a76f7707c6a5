"""A data set by a table: what the reader makes of manifests and of files of every kind, and how it says what is wrong."""

import csv
import math
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from dataprep.check.command import main as check
from dataprep.datasets import opened, recognise
from dataprep.datasets.stress_predict import DATASET as STRESS_PREDICT
from dataprep.records import InputError, RecordingError
from dataprep.signals.files import prepare_signals
from tests.dataprep.datasets.test_stress_predict import REAL, subject
from tests.dataprep.manifest import stress_predict_manifest

PLAIN = """
name = "lab"
clock_hz = 10
[window]
length_s = 2.0
[classes]
order = ["none", "pain"]
[files]
rate_hz = 20
[channels.eda]
column = "eda"
"""
T_S = np.arange(60) / 20  # 3 s at 20 Hz


def folder(root: Path, settings: str = PLAIN, rows: str | None = None) -> Path:
    """A data set of two people, a recording each; `rows` of the manifest under its header."""
    root.mkdir(exist_ok=True)
    (root / "dataset.toml").write_text(settings)
    (root / "manifest.csv").write_text(rows or "trial,subject,label,signals\na,p1,none,a.csv\nb,p2,pain,b.csv\n")
    for name, slope in (("a", 1.0), ("b", -2.0)):
        (root / f"{name}.csv").write_text("eda\n" + "".join(f"{slope * t}\n" for t in T_S))
    return root


def signals(root: Path, n: int = 0):
    """The first channels' values of a trial, on the clock."""
    data = recognise(root)
    trials, defects = data.read_trials(root)
    assert defects == ()
    x_NTC, _, defects = prepare_signals(trials, data)
    assert [d.reason for d in defects] == []
    return x_NTC[n]


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=pytest.mark.skipif(not REAL.is_dir(), reason="no data"))])
def test_stress_predict_through_a_manifest_is_the_same_byte_for_byte(tmp_path, real):
    recordings = REAL if real else tmp_path / "Raw_data"
    if not real:
        rng = np.random.default_rng(1)
        for name in ("S05", "S09"):
            subject(recordings, name, values=rng.lognormal(size=4 * 3300))
        subject(recordings, "S10", (79,))
    stress_predict_manifest.write(recordings, tmp_path / "table")
    table = recognise(tmp_path / "table")
    assert (table.name, table.channels, table.n_steps) == ("stress-predict-table", ("eda",), STRESS_PREDICT.n_steps)
    expected, _ = STRESS_PREDICT.read_trials(recordings)
    trials, defects = table.read_trials(tmp_path / "table")
    assert defects == ()
    told = [(t.trial_id, t.subject, t.class_id, t.class_name, t.start_s) for t in trials]
    assert told == [(t.trial_id, t.subject, t.class_id, t.class_name, t.start_s) for t in expected]
    assert len({t.subject for t in trials}) == (27 if real else 2)
    some = {t.subject for t in trials[:: 48 if real else 1]}
    expected, trials = ([t for t in ts if t.subject in some] for ts in (expected, trials))
    theirs, ids, _ = prepare_signals(expected, STRESS_PREDICT)
    x_NTC, own_ids, defects = prepare_signals(trials, table)
    assert (own_ids, defects) == (ids, ())
    assert x_NTC.tobytes() == theirs.tobytes()
    for t, own in zip(expected, trials, strict=True):
        assert STRESS_PREDICT.read_signals(t)["eda"][0].tobytes() == table.read_signals(own)["eda"][0].tobytes()


LONG = """
name = "long"
clock_hz = 10
[window]
length_s = 4.0
begin = "onset"
offset_s = 0.5
[baseline]
label = "none"
before_s = 5.0
[classes]
order = ["none", "mild", "severe"]
[files]
delimiter = ";"
decimal = ","
header = false
skip_rows = 1
time = 1
time_unit = "ms"
[channels.eda]
column = 2
unit = "uS"
scale = 2.0
[channels.grip]
column = 3
shift = -1.0
[subsets]
women = { sex = "F" }
two = ["p1", "p2"]
"""


def long_recordings(root: Path) -> Path:
    """Three people, 60 s at 50 Hz each, times from 100 s on in ms, decimal commas, no header; EDA is the time, grip a sine."""
    root.mkdir()
    (root / "dataset.toml").write_text(LONG)
    rows = ["trial;subject;label;signals;onset_s;end_s;sex;temperature"]
    for n, sex in enumerate("FMF", start=1):
        time_s = 100 + np.arange(3000) / 50
        lines = [f"{1000 * t:.1f};{t:.4f};{math.sin(t):.6f}".replace(".", ",") for t in time_s]
        (root / f"p{n}.txt").write_text("\n".join(["Recorder 7", *lines]))
        rows += [
            f"p{n}-{k};p{n};{label};p{n}.txt;{110 + 12 * k},5;160;{sex};4{k}" for k, label in enumerate(("mild", "severe"))
        ]
    (root / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8-sig")
    return root


def test_long_recordings_are_cut_at_their_onsets_with_a_baseline_before(tmp_path):
    root = long_recordings(tmp_path / "lab")
    data = recognise(root)
    trials, defects = data.read_trials(root)
    assert defects == ()
    assert [(t.trial_id, t.class_name, t.start_s) for t in trials[:4]] == [
        ("p1-0", "mild", 111.0),
        ("p1-0-baseline", "none", 105.5),
        ("p1-1", "severe", 123.0),
        ("p1-1-baseline", "none", 117.5),
    ]
    assert trials[2].columns == {"sex": "F", "temperature": "41"}
    assert (data.negative, data.positive) == (0, 2)
    assert data.subsets == {"all": None, "women": frozenset({"p1", "p3"}), "two": frozenset({"p1", "p2"})}
    x_NTC, _, defects = prepare_signals(trials, data)
    assert defects == ()
    for t, x_TC in zip(trials, x_NTC, strict=True):
        at_s = t.start_s + np.arange(40) / 10
        np.testing.assert_allclose(x_TC[4:-4, 0], 2 * at_s[4:-4], atol=0.01)
        np.testing.assert_allclose(x_TC[4:-4, 1], np.sin(at_s[4:-4]) - 1, atol=0.01)


def _matlab(path: Path, eda: np.ndarray) -> None:
    from scipy.io import savemat

    savemat(path, {"rec": {"eda": eda.reshape(-1, 1)}, "other": np.eye(2)})


def _hdf5(path: Path, eda: np.ndarray) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["rec/eda"] = np.stack([eda, -eda])  # channels first


def _parquet(path: Path, eda: np.ndarray) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": eda * 0, "eda": eda}), path)


def _edf(path: Path, eda: np.ndarray) -> None:
    """By the published layout: a header of 256 bytes, one of 256 for the signal, then 16-bit integers in records of 1 s."""
    edf = ["0", "", "", "01.01.20", "00.00.00", "512", "", "3", "1", "1"]
    sizes = [8, 80, 80, 8, 8, 8, 44, 8, 8, 4]
    own = ["EDA", "", "uS", "-4", "4", "-32768", "32767", "", "20", ""]
    widths = [16, 80, 8, 8, 8, 8, 8, 80, 8, 32]
    header = "".join(v.ljust(n) for v, n in zip([*edf, *own], [*sizes, *widths], strict=True)).encode()
    steps = np.round((eda + 4) / 8 * 65535 - 32768).astype("<i2")
    path.write_bytes(header + struct.pack(f"<{len(steps)}h", *steps))


def _wfdb(path: Path, eda: np.ndarray) -> None:
    """Format 16: little-endian 16-bit integers, with a text header beside them."""
    path.with_suffix(".hea").write_text(f"{path.stem} 1 20 60\n{path.name} 16 1000(0)/uS 16 0 0 0 0 EDA\n")
    path.write_bytes(np.round(eda * 1000).astype("<i2").tobytes())


@pytest.mark.parametrize(
    ("ending", "write", "channel", "package"),
    [
        (".npy", lambda p, x: np.save(p, x), "column = 1", ""),
        (".npy", lambda p, x: np.save(p, np.stack([x, 3 * x], axis=1)), "column = 1", ""),
        (".npz", lambda p, x: np.savez(p, eda=x, other=x), 'key = "eda"', ""),
        (".mat", _matlab, 'key = "rec/eda"', ""),
        (".mat", _hdf5, 'key = "rec/eda"\ncolumn = 1', ""),
        (".h5", _hdf5, 'key = "rec/eda"\ncolumn = 1', ""),
        (".parquet", _parquet, 'column = "eda"', "pyarrow"),
        (".edf", _edf, 'column = "EDA"', "edfio"),
        (".dat", _wfdb, 'column = "EDA"', "wfdb"),
        (".tsv", lambda p, x: p.write_text("x\teda\n" + "".join(f"na\t{v}\n" for v in x)), 'column = "eda"', ""),
        (".txt", lambda p, x: p.write_text("x   EDA\n" + "".join(f" 0 \t{v}\n" for v in x)), 'column = "eda"', ""),
    ],
)
def test_files_of_every_kind_give_the_same_values(tmp_path, ending, write, channel, package):
    if package:
        pytest.importorskip(package)
    settings = PLAIN.replace('column = "eda"', channel)
    delimiter = {".tsv": "\\t", ".txt": "space"}.get(ending, ",")
    settings = settings.replace("[files]", f'[files]\ndelimiter = "{delimiter}"')
    if ending in (".edf", ".dat"):
        settings = settings.replace("rate_hz = 20", "")
    root = folder(tmp_path / "lab", settings, f"trial,subject,label,signals\na,p1,none,a{ending}\nb,p2,pain,b{ending}\n")
    for name, slope in (("a", 1.0), ("b", -1.0)):
        write(root / f"{name}{ending}", slope * T_S)
    for n, slope in enumerate((1.0, -1.0)):
        np.testing.assert_allclose(signals(root, n)[3:-3, 0], slope * np.arange(20)[3:-3] / 10, atol=2e-3)


@pytest.mark.skipif(not (REAL.parent / "bioread").is_dir(), reason="no BIOPAC recordings here")
def test_a_biopac_recording_is_read_by_the_names_of_its_channels(tmp_path):
    bioread = pytest.importorskip("bioread")
    file = REAL.parent / "bioread" / "physio-5.0.1-c.acq"
    channel = bioread.read(str(file)).channels[0]
    settings = PLAIN.replace("rate_hz = 20", "").replace('"eda"', f'"{channel.name}"')
    root = folder(tmp_path / "lab", settings, "trial,subject,label,signals\na,p1,none,a.acq\nb,p2,pain,a.acq\n")
    (root / "a.acq").write_bytes(file.read_bytes())
    trials, _ = recognise(root).read_trials(root)
    values, rate_hz = recognise(root).read_signals(trials[0])["eda"]
    assert rate_hz == channel.samples_per_second
    np.testing.assert_array_equal(values, channel.data[: len(values)])


def test_pickled_objects_and_links_out_of_the_file_are_not_followed(tmp_path):
    import h5py

    root = folder(tmp_path / "lab", rows="trial,subject,label,signals\na,p1,none,a.npy\nb,p2,pain,b.npy\n")
    np.save(root / "a.npy", np.array([{"a": 1}], dtype=object))
    trials, _ = recognise(root).read_trials(root)
    with pytest.raises(RecordingError, match=r"a\.npy.*allow_pickle=False"):
        recognise(root).read_signals(trials[0])
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["eda"] = T_S
    (root / "manifest.csv").write_text("trial,subject,label,signals\na,p1,none,a.h5\n")
    (root / "dataset.toml").write_text(PLAIN.replace("column", "key"))
    with h5py.File(root / "a.h5", "w") as file:
        file["eda"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/eda")
    trials, _ = recognise(root).read_trials(root)
    with pytest.raises(RecordingError, match="is a link"):
        recognise(root).read_signals(trials[0])


@pytest.mark.parametrize("name", ["../out.csv", "/etc/passwd", "link.csv", "x/../../out.csv"])
def test_a_path_that_leads_out_of_the_folder_is_refused_unless_it_is_allowed(tmp_path, name):
    root = folder(tmp_path / "lab", rows=f"trial,subject,label,signals\na,p1,none,a.csv\nb,p2,pain,{name}\n")
    (tmp_path / "out.csv").write_text((root / "a.csv").read_text())
    (root / "link.csv").symlink_to(tmp_path / "out.csv")
    (root / "x").mkdir()
    trials, defects = recognise(root).read_trials(root)
    assert [t.signals is None for t in trials] == [False, True]
    assert "manifest.csv: row 3, column 'signals'" in defects[0].reason
    assert "outside" in defects[0].reason
    (root / "dataset.toml").write_text(PLAIN.replace("[files]", f'[files]\noutside = ["..", "{Path("/etc")}"]'))
    assert recognise(root).read_trials(root)[1] == ()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("b,p2,pian,b.csv", "row 3, column 'label': found 'pian', expected one of none, pain"),
        ("b,,pain,b.csv", "row 3, column 'subject': found ''"),
        ("a,p2,pain,b.csv", "row 3, column 'trial': found 'a', which an earlier row names"),
        ("b,p2,pain,bb.csv", "row 3, column 'signals': found 'bb.csv', which is not there"),
        ("b,p2,pain,B.CSV,x", "row 3, column 'start_s': found 'x', expected a number of seconds"),
        ("b,p2,pain,b.csv,", "row 3, column 'start_s': found nothing"),
        ("b,p2,pain,b.csv,0,1.5", "row 3, column 'end_s': found 1.5, expected at least 2"),
    ],
)
def test_what_is_wrong_with_a_row_is_told_by_file_row_and_column(tmp_path, row, words):
    times = ("start_s", "end_s")[: max(0, row.count(",") - 3)]
    header = ",".join(["trial", "subject", "label", "signals", *times])
    first = ",".join(["a", "p1", "none", "a.csv", *(["0", "2.0"][: len(times)])])
    root = folder(tmp_path / "lab", rows=f"{header}\n{first}\n{row}\n")
    _, defects = recognise(root).read_trials(root)
    assert [d.reason.startswith(f"{root / 'manifest.csv'}: ") and words in d.reason for d in defects] == [True]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("NA", "row 12, column 'eda': found 'NA'"),
        ("", "row 12, column 'eda': found ''"),
        ("3,5", "row 12, column 'eda': found '3,5'"),
        ("oops", "row 12, column 'eda': found 'oops'"),
    ],
)
def test_a_value_that_is_no_number_costs_its_own_trial_and_is_told_by_row_and_column(tmp_path, field, words):
    rows = "trial,subject,label,signals,start_s\na,p1,none,a.csv,0\nb,p1,pain,a.csv,1\n"
    settings = PLAIN.replace("[files]", '[files]\ndelimiter = ";"')
    root = folder(tmp_path / "lab", settings, rows)
    lines = (root / "a.csv").read_text().split("\n")
    lines[11] = field
    (root / "a.csv").write_text("\n".join(lines))
    data = recognise(root)
    trials, _ = data.read_trials(root)
    _, ids, defects = prepare_signals(trials, data)
    assert ids == ("b",)
    assert "a.csv" in defects[0].reason
    assert words in defects[0].reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('column = "eda"', 'column = "edda"'), "found the columns 'eda', expected 'edda' among them; there is eda"),
        (("rate_hz = 20", ""), "expected files.rate_hz or files.time in dataset.toml"),
        (('column = "eda"', "column = 3"), "found 1 columns, expected column number 3"),
        (("[files]", '[files]\ndecimal = ","\ndelimiter = ";"'), "row 2, column 'eda': found '0.0' and no number below it"),
        (("[files]", "[files]\nskip_rows = 99"), "expected more than the 99 of files.skip_rows"),
    ],
)
def test_settings_that_do_not_fit_the_files_are_told_with_what_was_found(tmp_path, change, words):
    root = folder(tmp_path / "lab", PLAIN.replace(*change))
    data = recognise(root)
    _, _, defects = prepare_signals(data.read_trials(root)[0], data)
    assert len(defects) == 2
    assert "a.csv" in defects[0].reason
    assert words in defects[0].reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("clock_hz", "clok_hz"), "unknown key 'clok_hz': did you mean 'clock_hz'?"),
        (("rate_hz = 20", "rate_hz = 0"), "files.rate_hz: Input should be greater than 0, found 0"),
        (("rate_hz = 20", "rate = 20"), "unknown key 'files.rate': did you mean 'rate_hz'?"),
        (('["none", "pain"]', '["none"]'), "classes.order"),
        (("length_s = 2.0", ""), "window.length_s: found no such key"),
        (("[channels.eda]", "[channels.EDA]"), "channels.EDA: expected a name of small letters"),
        (('name = "lab"', 'name = "biovid"'), "found the name 'biovid' of a reader"),
        (("clock_hz = 10", "clock_hz = ten"), "not valid TOML"),
        (("[classes]", '[subsets]\nfew = ["p1", "p7"]\n[classes]'), "subsets.few: found 'p7'"),
    ],
)
def test_a_wrong_dataset_toml_is_told_by_file_and_key(tmp_path, change, words):
    root = folder(tmp_path / "lab", PLAIN.replace(*change))
    with pytest.raises(InputError) as error:
        recognise(root)
    assert "dataset.toml" in str(error.value)
    assert words in str(error.value)


def test_a_gap_in_the_times_costs_the_trials_that_it_lies_in(tmp_path):
    root = long_recordings(tmp_path / "lab")
    lines = (root / "p1.txt").read_text().split("\n")
    del lines[600:650]  # a second at 112 s, inside the first trial alone
    (root / "p1.txt").write_text("\n".join(lines))
    data = recognise(root)
    _, ids, defects = prepare_signals(data.read_trials(root)[0][:4], data)
    assert ids == ("p1-0-baseline", "p1-1", "p1-1-baseline")
    assert "row 601, column 1: found 112.980 s where 111.980 s was expected at 50 Hz: a gap" in defects[0].reason


def test_the_check_reads_a_manifest_and_says_what_a_wrong_file_holds(tmp_path, capsys):
    rows = ["trial,subject,label,signals,start_s"]
    for p in range(4):
        rows += [f"{p}{label},p{p},{label},p{p}.csv,{at}" for at, label in enumerate(("none", "pain"))]
    root = folder(tmp_path / "lab", rows="\n".join(rows) + "\n")
    rng = np.random.default_rng(0)
    for p in range(4):
        (root / f"p{p}.csv").write_text("eda\n" + "".join(f"{v}\n" for v in rng.normal(size=60)))
    for stray in "ab":
        (root / f"{stray}.csv").unlink()
    assert check([str(root), "--jobs", "1"]) == 0
    (root / "p3.csv").write_text("eda\n" + "1\nx\n" * 30)
    assert check([str(root), "--jobs", "1"]) == 1
    said = capsys.readouterr().out
    assert "p3.csv: channel 'eda': " in said
    assert "row 3, column 'eda': found 'x'" in said
    assert check([str(root), "--jobs", "1", "--dataset", "manifest"]) == 1


def test_a_file_that_needs_an_absent_reader_is_said_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "edfio", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    root = folder(tmp_path / "lab", rows="trial,subject,label,signals\na,p1,none,a.edf\n")
    (root / "a.edf").write_bytes(b"0")
    with pytest.raises(InputError, match=r"a\.edf: is read by edfio.*pain-grid\[formats\]"):
        recognise(root).read_trials(root)


def test_a_manifest_may_be_parquet_and_a_folder_without_settings_is_told_how_to_draft_them(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    root = folder(tmp_path / "lab")
    with open(root / "manifest.csv") as stream:
        rows = list(csv.DictReader(stream))
    table = pa.table({name: [r[name] for r in rows] for name in rows[0]}).append_column("start_s", pa.array([0.0, 0.5]))
    (root / "manifest.csv").unlink()
    pq.write_table(table, root / "manifest.parquet")
    trials, defects = recognise(root).read_trials(root)
    assert (defects, [t.start_s for t in trials]) == ((), [0.0, 0.5])
    (root / "dataset.toml").unlink()
    with pytest.raises(InputError, match=r"dataset\.toml: found no such file.*python -m dataprep\.manifest"):
        opened(root, "manifest")
