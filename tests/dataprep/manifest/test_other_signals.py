"""Two signals under names that say nothing of it are found by their values; repeats, conditions and habituation are not."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from dataprep.check.command import main as check
from dataprep.manifest.command import main as draft
from dataprep.manifest.other_signals import look, paired, unlike_people
from tests.dataprep.manifest.test_draft import written

PEOPLE, SECONDS = ("P01", "P02", "P03", "P04"), 6
Made = np.random.Generator


def eda(made: Made, rate_hz: int, *, responses: float = 1.0, level: float = 5.0) -> np.ndarray:
    t = np.arange(SECONDS * rate_hz) / rate_hz
    rise = 1 - np.exp(-np.clip(t - made.uniform(1, 2), 0, None) / 0.7)
    drift = made.normal(0, 0.05) * t
    return level + made.normal(0, 1) + drift + responses * made.uniform(0.2, 1) * rise + made.normal(0, 0.004, len(t))


def ecg(made: Made, rate_hz: int) -> np.ndarray:
    t = np.arange(SECONDS * rate_hz) / rate_hz
    phase = (t * made.uniform(0.9, 1.6) + made.uniform()) % 1
    wave = np.exp(-(((phase - 0.5) / 0.02) ** 2)) + 0.2 * np.exp(-(((phase - 0.8) / 0.06) ** 2))
    return wave + 0.1 * np.sin(2 * np.pi * 0.25 * t) + made.normal(0, 0.02, len(t))


def emg(made: Made, rate_hz: int, *, strength: float = 1.0) -> np.ndarray:
    return strength * made.normal(size=SECONDS * rate_hz)


def resp(made: Made, rate_hz: int) -> np.ndarray:
    t = np.arange(SECONDS * rate_hz) / rate_hz
    return np.sin(2 * np.pi * made.uniform(0.2, 0.4) * t + made.uniform(0, 6)) + made.normal(0, 0.02, len(t))


def folder(root: Path, name: str, signals: dict[str, tuple], *, trials: int = 1) -> Path:
    """A file for each person, condition, trial and word of `signals`, whose function and rate make it."""
    made = np.random.default_rng(0)
    for p, c, n in itertools.product(PEOPLE, ("low", "high"), range(1, trials + 1)):
        for word, (make, rate_hz) in signals.items():
            path = root / name.format(p=p, c=c, n=n, w=word)
            path.parent.mkdir(parents=True, exist_ok=True)
            written(path, [make(made, rate_hz)])
    return root


@pytest.mark.parametrize(
    ("name", "signals"),
    [
        ("{p}_{c}_{w}.csv", {"A0": (eda, 100), "A1": (ecg, 100)}),
        ("{p}/{c}/{w}.txt", {"1": (ecg, 250), "2": (eda, 50)}),
        ("{w}/{p}_{c}.csv", {"box": (resp, 100), "amp": (ecg, 100)}),
        ("{p}_{c}_ch{w}.csv", {"1": (eda, 100), "2": (ecg, 100), "3": (emg, 100)}),
        ("{p}-{c}-{w}.csv", {"left": (eda, 100), "right": (emg, 100)}),
    ],
)
def test_a_file_a_channel_without_words_is_refused_with_two_of_them(
    tmp_path: Path, name: str, signals: dict, capsys
) -> None:
    assert draft([str(folder(tmp_path / "lab", name, signals))]) == 2
    said = capsys.readouterr().err
    assert re.search(r"by its values \w+.*by its values \w+.*expected the same channels in every file", said, re.DOTALL)


def test_a_table_that_was_written_by_hand_is_told(tmp_path: Path, capsys) -> None:
    root = folder(tmp_path / "lab", "{p}_{c}_{w}.csv", {"A0": (eda, 100), "A1": (ecg, 100)})
    names = sorted(path.name for path in root.iterdir())
    rows = [f"{n[:-4]},{n.split('_')[0]},{n.split('_')[1]},{n}" for n in names]
    (root / "manifest.csv").write_text("\n".join(["trial,subject,label,signals", *rows]) + "\n")
    (root / "dataset.toml").write_text(
        'name = "lab"\nclock_hz = 25\n[window]\nlength_s = 5.6\n[classes]\norder = ["low", "high"]\n'
        "[files]\nrate_hz = 100\n[channels.eda]\ncolumn = 1\n"
    )
    assert check([str(root)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "channel 'eda': found P01_high_A0.csv (by its values eda) and P01_high_A1.csv (by its values ecg)" in said


def test_the_label_says_which_signal_it_is(tmp_path: Path, capsys) -> None:
    """Without conditions in the names, the word of the channel would be taken for one: perfect accuracy on nothing."""
    assert draft([str(folder(tmp_path / "lab", "{p}_{c}{n}_{w}.csv", {"A0": (eda, 100), "A1": (ecg, 100)}, trials=2))]) == 2
    other = tmp_path / "other"
    made = np.random.default_rng(0)
    for p, (word, make) in itertools.product(PEOPLE, {"A0": eda, "A1": ecg}.items()):
        written(other / f"{p}_{word}.csv", [make(made, 100)])
    assert draft([str(other)]) == 2
    assert "so that the label says which signal a trial holds" in capsys.readouterr().err


def test_a_person_whose_columns_are_in_another_order_is_told(tmp_path: Path, capsys) -> None:
    made, root, rows = np.random.default_rng(0), tmp_path / "lab", ["trial,subject,label,signals"]
    for p, c, n in itertools.product(PEOPLE, ("low", "high"), (1, 2)):
        columns = [eda(made, 100), ecg(made, 100)]
        written(root / f"{p}_{c}_{n}.csv", columns[::-1] if p == "P03" else columns)
        rows.append(f"{p}_{c}_{n},{p},{c},{p}_{c}_{n}.csv")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    (root / "dataset.toml").write_text(
        'name = "lab"\nclock_hz = 25\n[window]\nlength_s = 5.6\n[classes]\norder = ["low", "high"]\n'
        "[files]\nrate_hz = 100\n[channels.eda]\ncolumn = 1\n[channels.ecg]\ncolumn = 2\n"
    )
    assert check([str(root)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "channel 'eda': found ecg by its values in all files of P03, eda in those of others" in said
    assert said.count("in those of others") == 2


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("make", [eda, ecg, emg, resp])
def test_repeats_and_conditions_of_one_signal_are_left_alone(make, seed: int) -> None:
    """Trials 1 to 3 of a condition, with habituation and other gains; pain is stronger than no pain."""
    made = np.random.default_rng(seed)
    looks, subjects, labels = {}, {}, {}
    for p, c, n in itertools.product(PEOPLE, ("low", "high"), (1, 2, 3)):
        name = f"{p}_{c}_{n}.csv"
        how = {}
        if make is eda:
            how = {"responses": (0.1 if c == "low" else 1.0) / n, "level": 3.0 + 2 * n}
        if make is emg:
            how = {"strength": (1.0 if c == "low" else 5.0) / n}
        looks[name], subjects[name], labels[name] = look(make(made, 100, **how), 100.0), p, c
    assert paired(looks, subjects=subjects, labels=labels) is None
    assert unlike_people(looks, subjects) == {}
