"""A trial whose channels are in a file each is never drafted as several trials: two such files are named, and what to do."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from dataprep.check.command import main as check
from dataprep.check.tables import of_channel_files
from dataprep.datasets import recognise
from dataprep.manifest.command import main as draft
from dataprep.manifest.folder_guess import draft_manifest
from tests.dataprep.manifest.test_draft import ecg, eda, read, resp, written

PEOPLE, TRIALS = ("P01", "P02", "P03"), (("low", 1), ("low", 2), ("high", 1), ("high", 2))


def one_number_a_line(path: Path, x: np.ndarray) -> None:
    written(path, [x])


def parquet(path: Path, x: np.ndarray) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"x": x}), path)


WRITERS = {".csv": one_number_a_line, ".txt": one_number_a_line, ".npy": np.save, ".parquet": parquet}


def files(root: Path, name: str, *, channel: str = "", rate_hz: int = 100, people: tuple[str, ...] = PEOPLE) -> None:
    """A file a trial, with one channel alone; `name` with {p}, {c}, {n} for person, condition and number."""
    made = {"eda": eda, "ecg": ecg, "resp": resp}.get(channel, eda)
    for k, (p, (c, n)) in enumerate(itertools.product(people, TRIALS)):
        path = root / name.format(p=p, c=c, n=n)
        path.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[path.suffix](path, made(6 * rate_hz, rate_hz) + 0.01 * k)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("{p}/trial{n}_{c}_EDA.csv", "{p}/trial{n}_{c}_ECG.csv"),
        ("{p}/trial{n}-{c}-eda.csv", "{p}/trial{n}-{c}-ecg.csv"),
        ("{p}/trial{n}_{c}EDA.csv", "{p}/trial{n}_{c}ECG.csv"),
        ("EDA/{p}/trial{n}_{c}.csv", "ECG/{p}/trial{n}_{c}.csv"),
        ("{p}/GSR/{c}_{n}.csv", "{p}/EKG/{c}_{n}.csv"),
        ("{p}/{c}_{n}_GSR_4Hz.csv", "{p}/{c}_{n}_ECG_250Hz.csv"),
        ("{p}_{c}_{n}_EDA.csv", "{p}_{c}_{n}_EMG_trap.csv"),
        ("{p}_{c}_{n}_EMG_corr.csv", "{p}_{c}_{n}_EMG_trap.csv"),
        ("EDA_{p}_{c}_{n}.csv", "ECG_lead2_{p}_{c}_{n}.csv"),
        ("{p}/{c} {n} skin conductance.txt", "{p}/{c} {n} ECG.txt"),
        ("{p}/{c}_{n}.csv", "{p}/{c}_{n}_ECG.csv"),
        ("{p}/{c}_{n}_eda.npy", "{p}/{c}_{n}_ecg.npy"),
        ("{p}-{c}-{n}-GalvanicSkinResponse.csv", "{p}-{c}-{n}-Electrocardiography.csv"),
        ("{p}/{c}_{n}_ElectrodermalActivity.csv", "{p}/{c}_{n}_ElektroKardiogramm.csv"),
        ("{p}/{c}_{n}_eda.parquet", "{p}/{c}_{n}_resp.parquet"),
        ("{p}/{c}_{n}_eda.csv", "{p}/{c}_{n}_acc.txt"),
    ],
)
@pytest.mark.parametrize("some", [False, True])
def test_a_file_a_channel_is_refused_with_two_of_them(tmp_path, capsys, first, second, some):
    """Also where only one person has both."""
    files(tmp_path, first)
    files(tmp_path, second, channel="ecg", rate_hz=250, people=PEOPLE[:1] if some else PEOPLE)
    assert draft([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    for name in (first, second):
        pattern = re.escape(name).replace(r"\{p\}", "P0[123]").replace(r"\{c\}", "(low|high)").replace(r"\{n\}", "[12]")
        assert re.search(pattern, said), said
    assert "expected one file a trial with all its channels" in said
    assert "manifest.csv" in said
    assert not (tmp_path / "manifest.csv").exists()


@pytest.mark.parametrize(
    "name",
    [
        "{p}/trial{n}_{c}_EDA.csv",
        "EDA/{p}/trial{n}_{c}.csv",
        "{p}/{c}_{n}_eda_ecg.csv",
        "{p}/{c}_{n}_template.csv",
        "{p}/{c}_{n}_response.csv",
        "{p}/{c}_{n}_1hr.csv",
    ],
)
def test_files_of_the_same_channels_are_trials(tmp_path, name):
    files(tmp_path, name)
    draft_manifest(tmp_path, tmp_path / "manifest.csv")
    assert len((tmp_path / "manifest.csv").read_text().splitlines()) == 1 + len(PEOPLE) * len(TRIALS)


def test_a_person_without_a_channel_is_a_matter_of_the_check(tmp_path):
    """Files with both signals, and of one person with one of them: each is a trial."""
    files(tmp_path, "{p}/{c}_{n}_eda_ecg.csv", people=PEOPLE[:2])
    files(tmp_path, "{p}/{c}_{n}_eda.csv", people=PEOPLE[2:])
    draft_manifest(tmp_path, tmp_path / "manifest.csv")
    assert len((tmp_path / "manifest.csv").read_text().splitlines()) == 1 + len(PEOPLE) * len(TRIALS)


@pytest.mark.parametrize(
    ("one", "other"), [("{p}/{c}_{n}.csv", "{p}/{c}_{n}.txt"), ("{p}/{c}_{n}_raw.csv", "{p}/{c}_{n}_signals.csv")]
)
def test_two_signal_files_of_one_name_are_refused(tmp_path, capsys, one, other):
    """One of them was left out without a word."""
    files(tmp_path, one)
    files(tmp_path, other)
    assert draft([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert Path(one.format(p="P01", c="high", n=1)).name in said
    assert Path(other.format(p="P01", c="high", n=1)).name in said
    assert "expected one signal file of a trial" in said


def test_a_file_of_two_channels_with_rates_of_their_own_is_drafted(tmp_path, capsys):
    """What the message advises: variables of one .npz, and beside each its rate."""
    for p, (c, n) in itertools.product(PEOPLE, TRIALS):
        (tmp_path / p).mkdir(exist_ok=True)
        np.savez(tmp_path / p / f"{c}_{n}.npz", eda=eda(24, 4), ecg=ecg(1500, 250), eda_hz=4, ecg_hz=250)
    data, trials, x_NTC, said = read(tmp_path, capsys)
    assert (data.rates_hz, len(trials)) == ({"eda": 4.0, "ecg": 250.0}, 12)
    assert x_NTC.shape[1:] == (144, 2)  # at 25 Hz, to the last sample of the slower one
    assert "FILL" not in said


def test_another_rate_is_told(tmp_path, capsys):
    for p, (c, n) in itertools.product(PEOPLE, TRIALS):
        rate_hz = 50 if p == "P02" else 100
        written(tmp_path / p / f"{c}_{n}.csv", [eda(600, 100)], head=f"# {rate_hz} Hz\n")
    assert draft([str(tmp_path)]) == 0
    assert "P02/high_1.csv looks different from P01/high_1.csv: 50 samples a second and not 100" in capsys.readouterr().out


def test_the_check_tells_a_table_that_has_them_as_trials(tmp_path, capsys):
    """One that was written by hand: nothing is left out, but it is not called clean."""
    files(tmp_path / "x", "{p}/{c}_{n}_EDA.csv")
    draft_manifest(tmp_path / "x", tmp_path / "x" / "manifest.csv")
    assert draft([str(tmp_path / "x")]) == 0
    settings = tmp_path / "x" / "dataset.toml"
    settings.write_text(settings.read_text().replace("header = false", "header = false\nrate_hz = 100"))
    data = recognise(tmp_path / "x")
    assert of_channel_files(data.read_trials(tmp_path / "x")[0], data, within=tmp_path / "x") == []
    files(tmp_path / "x", "{p}/{c}_{n}_ECG.csv", channel="ecg")
    table = tmp_path / "x" / "manifest.csv"
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head, *rows, *(row.replace("_EDA", "_ECG") for row in rows)]) + "\n")
    capsys.readouterr()
    assert check([str(tmp_path / "x")]) == 1
    said = capsys.readouterr().out
    assert "look at   channels" in said
    assert "P01/high_1_EDA.csv (eda) and P01/high_1_ECG.csv (ecg)" in said
