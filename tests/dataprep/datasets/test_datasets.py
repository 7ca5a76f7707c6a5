"""The registry of data sets, and the contract that every data set keeps."""

import re

import pytest

from dataprep.datasets import dataset, datasets, recognise
from dataprep.records import InputError


@pytest.mark.parametrize("name", list(datasets()))
def test_every_data_set_keeps_the_contract(name, tmp_path):
    d = dataset(name)
    assert d.name == name
    assert d.title
    assert d.layout
    assert d.clock_hz > 0
    assert d.n_steps > 0
    assert d.channels or name == "unbc"  # faces alone
    assert {d.negative, d.positive} <= set(d.classes)
    assert d.negative != d.positive
    assert d.subsets["all"] is None
    assert d.recognise(tmp_path) is False
    with pytest.raises(InputError):
        d.read_trials(tmp_path)


def test_a_wrong_name_gets_the_nearest_and_all_names():
    with pytest.raises(ValueError, match=r"'biovd'.*'biovid'.*stress-predict"):
        dataset("biovd")
    with pytest.raises(ValueError, match=re.escape(f"'zzz'. There are: {', '.join(datasets())}")):
        dataset("zzz")


def test_an_unknown_folder_is_described_with_the_layouts_expected(tmp_path):
    with pytest.raises(InputError, match="nothing"):
        recognise(tmp_path / "none")
    with pytest.raises(InputError, match="an empty folder"):
        recognise(tmp_path)
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(InputError, match="a file"):
        recognise(tmp_path / "holiday.jpg")
    with pytest.raises(InputError) as e:
        recognise(tmp_path)
    assert all(d.layout in str(e.value) for d in datasets().values())
    assert "holiday.jpg" in str(e.value)


def test_the_folder_above_a_data_set_is_refused_with_a_hint(tmp_path):
    (tmp_path / "PartA" / "starting_point").mkdir(parents=True)
    (tmp_path / "PartA" / "starting_point" / "samples.csv").touch()
    assert recognise(tmp_path / "PartA").name == "biovid"
    with pytest.raises(InputError, match=r"PartA would do"):
        recognise(tmp_path)
