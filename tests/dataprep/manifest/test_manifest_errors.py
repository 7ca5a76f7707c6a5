"""What is wrong with a data set by a table is told by file, row and column, and costs no more than it must."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from dataprep.check.command import main as check
from dataprep.check.recordings import of_files
from dataprep.datasets import opened, recognise
from dataprep.records import InputError, RecordingError
from dataprep.signals.files import prepare_signals
from tests.dataprep.manifest.written import PLAIN, T_S, folder, long_recordings


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


@pytest.mark.slow
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
    (root / "p3.csv").write_text("eda\n" + "1\nx\n" * 30)
    assert check([str(root), "--jobs", "1", "--dataset", "manifest"]) == 1
    said = capsys.readouterr().out
    assert "p3.csv: channel 'eda': " in said
    assert "row 3, column 'eda': found 'x'" in said


def test_the_check_looks_into_no_folder_beside_the_data_set(tmp_path):
    root = folder(tmp_path / "lab")
    (tmp_path / "lab-2").mkdir()
    (tmp_path / "lab-2" / "c.csv").write_text("eda\n1\n")
    trials, defects = recognise(root).read_trials(root)
    assert of_files(trials, trials, defects, within=root) == []
    (root / "c.csv").write_text("eda\n1\n")
    assert [Path(f.file).name for f in of_files(trials, trials, defects, within=root)] == ["c.csv"]


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
