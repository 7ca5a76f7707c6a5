"""A data set by a table: what the reader makes of manifests and of files of every kind."""

import struct
from pathlib import Path

import numpy as np
import pytest

from dataprep.datasets import recognise
from dataprep.datasets.stress_predict import DATASET as STRESS_PREDICT
from dataprep.signals.files import prepare_signals
from tests.dataprep.datasets.test_stress_predict import REAL, subject
from tests.dataprep.manifest import stress_predict_manifest
from tests.dataprep.manifest.written import PLAIN, T_S, folder, long_recordings


def signals(root: Path, n: int = 0):
    """The first channels' values of a trial, on the clock."""
    data = recognise(root)
    trials, defects = data.read_trials(root)
    assert defects == ()
    x_NTC, _, defects = prepare_signals(trials, data)
    assert [d.reason for d in defects] == []
    return x_NTC[n]


NEEDS_DATA = (pytest.mark.skipif(not REAL.is_dir(), reason="no recordings here"), pytest.mark.slow)


@pytest.mark.parametrize("real", [False, pytest.param(True, marks=NEEDS_DATA)])
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
    theirs, ids, _ = prepare_signals(expected, STRESS_PREDICT)
    x_NTC, own_ids, defects = prepare_signals(trials, table)
    assert (own_ids, defects) == (ids, ())
    assert x_NTC.tobytes() == theirs.tobytes()
    for t, own in zip(expected, trials, strict=True):
        assert STRESS_PREDICT.read_signals(t)["eda"][0].tobytes() == table.read_signals(own)["eda"][0].tobytes()


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


def _bdf(path: Path, eda: np.ndarray) -> None:
    """By BioSemi's published layout: as EDF, with a byte 255 in front, and 24-bit integers."""
    bdf = ["BIOSEMI", "", "", "01.01.20", "00.00.00", "512", "24BIT", "3", "1", "1"]
    own = ["EDA", "", "uS", "-4", "4", "-8388608", "8388607", "", "20", ""]
    sizes, widths = [7, 80, 80, 8, 8, 8, 44, 8, 8, 4], [16, 80, 8, 8, 8, 8, 8, 80, 8, 32]
    header = "".join(v.ljust(n) for v, n in zip([*bdf, *own], [*sizes, *widths], strict=True)).encode()
    steps = np.round((eda + 4) / 8 * (2**24 - 1) - 2**23).astype("<i4")
    path.write_bytes(b"\xff" + header + b"".join(struct.pack("<i", n)[:3] for n in steps.tolist()))


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
        (".bdf", _bdf, 'column = "EDA"', "edfio"),
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
