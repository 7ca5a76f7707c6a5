"""`python -m dataprep.manifest`: plain folders are drafted so that they can be read as they are; guesses are said."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from dataprep.datasets import recognise
from dataprep.manifest.command import main as draft
from dataprep.signals.files import prepare_signals
from tests.dataprep.datasets.test_stress_predict import REAL, START

CONDITIONS = ("rest", "pain")


def eda(n: int, rate_hz: float, seed: int = 0) -> np.ndarray:
    return 4 + np.cumsum(np.random.default_rng(seed).normal(size=n)) * 0.2 / rate_hz


def ecg(n: int, rate_hz: float) -> np.ndarray:
    phase = np.arange(n) / rate_hz * 1.2 % 1
    return np.exp(-(((phase - 0.5) / 0.02) ** 2)) + 0.02 * np.random.default_rng(1).normal(size=n)


def resp(n: int, rate_hz: float) -> np.ndarray:
    return np.sin(2 * np.pi * 0.25 * np.arange(n) / rate_hz)


def written(path: Path, columns: list[np.ndarray], *, head: str = "", sign: str = ",", decimal: str = ".") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (sign.join(f"{v:.4f}".replace(".", decimal) for v in row) for row in zip(*columns, strict=True))
    path.write_text(head + "\n".join(rows) + "\n")


def read(root: Path, capsys) -> tuple:
    """The data set as drafted, its signals, and what the command said."""
    assert draft([str(root)]) == 0
    said = capsys.readouterr().out
    data = recognise(root)
    trials, defects = data.read_trials(root)
    assert defects == ()
    x_NTC, ids, defects = prepare_signals(trials, data)
    assert [d.reason for d in defects] == []
    assert len(ids) == len(trials)
    return data, trials, x_NTC, said


def manifest(root: Path, columns: str, rows: list[str]) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "manifest.csv").write_text("\n".join([columns, *rows]) + "\n")


@pytest.mark.parametrize(
    "name", ["{p}/{c}_{n}.csv", "{p}_{c}_{n}_bio.csv", "{c}/{p}-{n}.csv", "signals/{p}/{p}-{c}-{n}.csv"]
)
def test_a_folder_of_plain_recordings_needs_nothing_else(tmp_path, capsys, name):
    for p, c, n in itertools.product(("p01", "p02", "p03"), CONDITIONS, (1, 2)):
        columns = [np.arange(600) / 100, eda(600, 100, n), ecg(600, 100)]
        written(tmp_path / "lab" / name.format(p=p, c=c, n=n), columns, head="Time,GSR (uS),ECG (mV)\n")
    data, trials, x_NTC, said = read(tmp_path / "lab", capsys)
    assert {(t.subject, t.class_name) for t in trials} == set(itertools.product(("p01", "p02", "p03"), CONDITIONS))
    assert len(trials) == 12
    assert (data.channels, data.clock_hz, data.n_steps) == (("eda", "ecg"), 25.0, 150)
    assert [data.classes[data.negative], data.classes[data.positive]] == ["rest", "pain"]
    assert x_NTC[0, 0, 0] == pytest.approx(eda(600, 100, 1)[0], abs=0.01)
    assert "FILL" not in said


def test_long_recordings_without_names_are_told_by_their_values(tmp_path, capsys):
    """No header, decimal commas, times in ms, three channels that nobody named, and a trigger that is none."""
    for p in range(3):
        n = 60 * 128
        trigger = (np.arange(n) // 1280 % 2).astype(float)
        columns = [1000 * np.arange(n) / 128, eda(n, 128, p), trigger, ecg(n, 128), resp(n, 128)]
        written(tmp_path / f"r{p}.txt", columns, sign="\t", decimal=",")
    rows = [f"{p}-{k},v{p},{c},r{p}.txt,{5 + 12 * k}" for p in range(3) for k, c in enumerate(CONDITIONS * 2)]
    manifest(tmp_path, "trial,subject,label,signals,start_s", rows)
    data, trials, x_NTC, said = read(tmp_path, capsys)
    assert sorted(data.channels) == ["ecg", "eda", "resp"]
    assert data.n_steps == 250
    at = {c: n for n, c in enumerate(data.channels)}
    for t, x_TC in zip(trials, x_NTC, strict=True):
        time_s = t.start_s + np.arange(250) / 25
        np.testing.assert_allclose(x_TC[8:-8, at["resp"]], np.sin(2 * np.pi * 0.25 * time_s)[8:-8], atol=0.05)
    assert "two or three values, like a trigger" in said
    text = (tmp_path / "dataset.toml").read_text()
    assert 'time_unit = "ms"' in text
    assert "by its values alone: narrow peaks" in text


def test_the_watch_of_stress_predict_is_drafted(tmp_path, capsys):
    """Start, rate, then a value a line: the real recordings where they are, else a written one."""
    for name in ("S05", "S09"):
        (tmp_path / name).mkdir()
        real = REAL / name / "EDA.csv"
        lines = [f"{START:.6f}", "4.000000", *(f"{v:.6f}" for v in eda(4 * 600, 4))]
        (tmp_path / name / "EDA.csv").write_text(real.read_text() if real.is_file() else "\n".join(lines) + "\n")
    rows = [
        f"{s}-{k},{s},{c},{s}/EDA.csv,{60 * k},{60 * k + 60}"
        for s in ("S05", "S09")
        for k, c in enumerate(("rest", "stress"))
    ]
    manifest(tmp_path, "trial,subject,label,signals,start_s,end_s", rows)
    data, _, x_NTC, _ = read(tmp_path, capsys)
    assert (data.clock_hz, data.n_steps, data.rates_hz) == (4.0, 240, {"eda": 4.0})
    assert x_NTC.shape == (4, 240, 1)


def test_one_label_with_onsets_gets_baselines_and_a_stimulus_is_no_signal(tmp_path, capsys):
    for p in range(2):
        n = 60 * 50
        columns = [eda(n, 50, p), 32 + 10 * (np.arange(n) // 500 % 2), resp(n, 50)]
        head = "# device 3\n# sampling rate: 50 Hz\nEDA;Thermode;Resp\n"
        written(tmp_path / f"{p}.csv", columns, sign=";", decimal=",", head=head)
    manifest(
        tmp_path,
        "trial,subject,label,signals,onset_s",
        [f"{p}{k},v{p},heat,{p}.csv,{12 + 15 * k}" for p in (0, 1) for k in (0, 1)],
    )
    data, trials, _, said = read(tmp_path, capsys)
    assert data.channels == ("eda", "resp")
    assert {t.class_name: t.class_id for t in trials} == {"baseline": 0, "heat": 1}
    assert "'Thermode': no body signal by its name" in said


def test_units_under_the_names_and_files_of_matlab(tmp_path, capsys):
    from scipy.io import savemat

    for p in range(2):
        written(tmp_path / f"a/{p}.tsv", [np.arange(500) / 50, eda(500, 50)], sign="\t", head="t\tSCL\ns\tuS\n")
    manifest(tmp_path / "a", "trial,subject,label,signals", ["1,a,no,0.tsv", "2,b,pain,1.tsv"])
    data, _, x_NTC, _ = read(tmp_path / "a", capsys)
    assert (data.channels, x_NTC.shape) == (("eda",), (2, 250, 1))
    (tmp_path / "b").mkdir()
    for p in range(2):
        savemat(tmp_path / "b" / f"{p}.mat", {"rec": {"gsr": eda(500, 50).reshape(-1, 1), "label": np.ones((500, 1))}})
    manifest(tmp_path / "b", "trial,subject,label,signals", ["1,a,no,0.mat", "2,b,pain,1.mat"])
    assert draft([str(tmp_path / "b")]) == 0
    assert "files.rate_hz: nothing says how many samples a second there are. FILL IT IN" in capsys.readouterr().out
    assert 'key = "rec/gsr"' in (tmp_path / "b" / "dataset.toml").read_text()


def test_times_rates_and_names_of_files_that_are_no_text(tmp_path, capsys):
    """A time column, a rate that stands beside the values, and a channel that nobody has named before, which keeps its name."""
    import h5py
    import pyarrow as pa
    import pyarrow.parquet as pq
    from scipy.io import savemat

    def parquet(path: Path, x: np.ndarray, y: np.ndarray) -> None:
        pq.write_table(pa.table({"timestamp": np.arange(500) / 50, "eda": x, "Grip [N]": y}), path)

    def hdf5(path: Path, x: np.ndarray, y: np.ndarray) -> None:
        with h5py.File(path, "w") as file:
            file["rec/eda"], file["rec/grip"], file["rec/time"] = x, y, np.arange(500) * 20
            file.attrs["version"] = 3

    def matlab(path: Path, x: np.ndarray, y: np.ndarray) -> None:
        savemat(path, {"eda": x, "grip": y, "fs": 50, "version": 3})

    for ending, write in ((".parquet", parquet), (".h5", hdf5), (".mat", matlab)):
        root = tmp_path / ending[1:]
        for p, n in itertools.product(("p1", "p2"), (1, 2)):
            (root / p).mkdir(parents=True, exist_ok=True)
            write(root / p / f"{n}{ending}", eda(500, 50, n), np.random.default_rng(n).normal(size=500))
        rows = [f"{p}{n},{p},{c},{p}/{n}{ending}" for p in ("p1", "p2") for n, c in ((1, "kein Schmerz"), (2, "Schmerz"))]
        manifest(root, "trial,subject,label,signals", rows)
        data, _, x_NTC, said = read(root, capsys)
        assert (data.channels, x_NTC.shape) == (("eda", "grip"), (4, 250, 2)), ending
        assert data.classes == {0: "kein Schmerz", 1: "Schmerz"}
        assert "FILL" not in said


def test_the_example_is_as_drafted_and_nothing_is_overwritten(tmp_path, capsys):
    assert draft(["--example", str(tmp_path / "x")]) == 0
    shipped = recognise(tmp_path / "x")
    assert sum(f.stat().st_size for f in (tmp_path / "x").rglob("*") if f.is_file()) < 22_000
    assert draft([str(tmp_path / "x")]) == 2
    assert "found dataset.toml and manifest.csv; remove the one" in capsys.readouterr().err
    (tmp_path / "x" / "dataset.toml").unlink()
    data, trials, x_NTC, _ = read(tmp_path / "x", capsys)
    assert data.description == shipped.description
    assert (len(trials), x_NTC.shape) == (16, (16, 52, 2))
    late, early = x_NTC[:, 30:, 0].mean(1), x_NTC[:, :10, 0].mean(1)
    pain = np.array([t.class_name == "pain" for t in trials])
    assert (late - early)[pain].min() > (late - early)[~pain].max()


@pytest.mark.parametrize("content", ["", "hello\nworld\n", "a,b\nx,y\n"])
def test_a_folder_without_numbers_is_said(tmp_path, capsys, content):
    (tmp_path / "p1_rest.csv").write_text(content)
    (tmp_path / "p2_pain.csv").write_text(content)
    assert draft([str(tmp_path)]) == 2
    assert "found no rows of numbers" in capsys.readouterr().err
    assert draft([str(tmp_path / "none")]) == 2
