"""Experiments: every published hyperparameter, and clear words for every mistake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from grid.experiment import config
from grid.experiment.cells import PAPER_ROWS
from grid.experiment.departures import departures
from painmodels.registry import ROLES


def test_the_paper_experiment_carries_the_published_values() -> None:
    paper = config.load("paper").facts()
    assert tuple(paper["axes"]["modalities"]) == PAPER_ROWS
    assert {"name": "subject", "folds": 10, "seed": 0, "repeats": 1}.items() <= paper["protocol"].items()
    assert {"seeds": [0], "calibrate": "off"}.items() <= paper["fit"].items()
    assert paper["trunk"]["name"] == "alexnet-fer-bn"
    spatial = {"width": 4096, "epochs": 30, "batch": 64, "lr": 1e-5, "milestones": (20,), "gamma": 0.1}
    assert spatial.items() <= paper["spatial"].items()
    assert {"hidden": 64, "layers": 2, "epochs": 30, "lr": 1e-4}.items() <= paper["temporal"].items()
    assert {"hidden": 64, "layers": 2, "epochs": 800, "batch": 64, "lr": 1e-3}.items() <= paper["physiological"].items()
    assert paper["attention"]["activation"] == "tanh"
    assert paper["signals"]["normalise"] == "trial"
    assert paper["scenarios"]["expressive67"] == {"subset": "expressive", "skip_s": 2.0}


def test_the_literal_experiment_departs_from_the_text_nowhere_and_the_paper_says_where_it_does() -> None:
    paper, literal = config.load("paper"), config.load("paper-literal")
    assert [d["key"] for d in departures(literal) if d["departs"]] == []
    departs = {d["key"] for d in departures(paper) if d["departs"]}
    assert {"[trunk] scaling", "[faces] detector", "[spatial] fc7", "[physiological] clip_norm"} <= departs
    text = (config.EXPERIMENTS / "paper.toml").read_text()
    for key in departs:  # each is marked where a reader of the file meets it
        table, setting = key.split("] ")
        section = text.split(f"\n{table}]")[1].split("\n[")[0]
        line = next(line for line in section.splitlines() if line.startswith(f"{setting} "))
        assert "# departs: " in line, key
    assert departures(config.load("paper", trunk={"random": True}))  # a run of any kind is told
    for role in ROLES:  # all else is as in the paper experiment
        changed = {"clip_norm": 0.0} | ({"fc7": "frozen-bn"} if role == "spatial" else {})
        assert literal.facts()[role] == paper.facts()[role] | changed


def test_a_small_network_is_no_network_of_the_text() -> None:
    told = {d["key"]: d["departs"] for d in departures(config.load("demo"))}
    smaller = {"[spatial] width", "[spatial] batch", "[temporal] hidden", "[physiological] hidden", "[physiological] batch"}
    assert all(told[key] for key in smaller | {"[physiological] milestones"})
    assert told["[temporal] layers"] is False


def test_the_recommended_experiment_says_where_it_leaves_the_text_and_can_be_searched() -> None:
    recommended, paper = config.load("recommended", search={"trials": 2}), config.load("paper")
    mine, before = ({d["key"] for d in departures(e) if d["departs"]} for e in (recommended, paper))
    added = {"normalise", "layers", "hidden", "pooling", "epochs", "lr"}
    assert {key.split("] ")[1] for key in mine - before} == added
    for role in set(ROLES) - {"physiological"}:
        assert recommended.facts()[role] == paper.facts()[role]


def test_an_experiment_takes_what_it_does_not_say_from_its_base(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        "base = 'paper'\nname = 'mine'\n[temporal]\nhidden = 32\n[physiological]\nnetwork = 'lstm'\nepochs = 100\n"
    )
    mine, paper = config.load(str(file)).facts(), config.load("paper").facts()
    assert mine["temporal"] == paper["temporal"] | {"hidden": 32}
    assert mine["physiological"] == paper["physiological"] | {"epochs": 100}
    assert mine["search"] == paper["search"]
    file.write_text(
        "base = 'paper'\nname = 'mine'\n[temporal]\nnetwork = 'tcn'\n"
    )  # the paper's LSTM settings are not those of a TCN
    assert config.load(str(file)).facts()["temporal"]["network"] == "tcn"
    (tmp_path / "two.toml").write_text("base = 'mine.toml'\nname = 'two'\n")
    with pytest.raises(config.ConfigError, match=r"two.toml: base: found an experiment that has a base itself"):
        config.load(str(tmp_path / "two.toml"))
    file.write_text("base = 'papr'\nname = 'mine'\n")
    with pytest.raises(config.ConfigError, match=r"base 'papr': neither a file nor one of .*: did you mean 'paper'"):
        config.load(str(file))


def test_all_that_is_wrong_in_a_file_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        "base = 'paper'\nname = 'mine'\nepoch = 3\n[fit]\nseed = 1\n[execution]\nretries = 'two'\nfits_per_gpu = 0\n"
    )
    with pytest.raises(config.ConfigError) as caught:
        config.load(str(file))
    said = str(caught.value)
    assert "unknown key 'fit.seed': did you mean 'fit.seeds'?" in said
    assert "found 'two'" in said
    assert said.endswith(" (and 1 more)")
    assert said.count("; ") == 2


@pytest.mark.parametrize("name", config.names())
def test_every_shipped_experiment_loads(name: str) -> None:
    assert config.load(name).name == name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("[temporal]\nhiden = 3", r"\[temporal\]: unknown key 'hiden': did you mean 'hidden'\?"),
        ("[temporal]\nnetwork = 'gru'", r"no temporal network is called 'gru'; there are: .*lstm"),
        ("[temporal]\nepochs = 'many'", r"\[temporal\]: epochs: .* found 'many'"),
        ("[faces]\ncropp = 'box'", r"\[faces\]: unknown key 'cropp': did you mean 'crop'"),
        (
            "[faces]\ndecoder = 'decode'",
            "faces.decoder: found 'decode', expected one of pyav, decord: did you mean 'decord'",
        ),
        ("[faces]\ndetector = 'haar'", "faces.detector: found 'haar', expected one of retinaface-mobile, retinaface"),
        ("[protocol]\nname = 'subjects'", "protocol.name: found 'subjects', expected one of .*: did you mean 'subject'"),
        ("[fussion]\nepochs = 3", "unknown key 'fussion': did you mean 'fusion'"),
        ("[signals]\nnormalise = 'fold'", "signals.normalise: .* found 'fold'"),
        (
            "[methods.mobilenet]\nweights = 'nowhere.safetensors'",
            r"\[methods.mobilenet\] weights: .*nowhere.safetensors: no such file, expected weights of mobilenet_v2",
        ),
        (
            "[methods.mobilenet]\nweights = 'other.safetensors'",
            r"weights: .*other.safetensors: these are not the weights of mobilenet_v2: found x \(1,\) …, expected features",
        ),
        ("not toml", "not valid TOML"),
    ],
)
def test_a_mistake_is_named_with_its_file(tmp_path: Path, change: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    save_file({"x": np.zeros(1, np.float32)}, tmp_path / "other.safetensors")
    head = "name = 'mine'\n[axes]\nmodalities = ['eda']\nscenarios = ['a']\n"
    head += "[scenarios.a]\nsubset = 'all'\n[trunk]\nname = 'vgg16'\n"
    file.write_text(head + change)
    with pytest.raises(config.ConfigError, match=message) as caught:
        config.load(str(file))
    assert str(file) in str(caught.value)


def test_an_unknown_experiment_lists_those_there_are() -> None:
    with pytest.raises(config.ConfigError, match=r"neither a file nor one of .*demo.*paper"):
        config.load("papper")


def test_a_part_of_a_file_names_every_missing_table(tmp_path: Path) -> None:
    (tmp_path / "part.toml").write_text('name = "part"\n[protocol]\nfolds = 3\n')
    with pytest.raises(ValueError, match=r'missing: axes, scenarios, trunk; base = "paper" as the first line') as raised:
        config.load(str(tmp_path / "part.toml"))
    assert "Field required" not in str(raised.value)
