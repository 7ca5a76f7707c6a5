"""Which rows a command line asks for."""

from __future__ import annotations

from typing import Any

import pytest

from grid.experiment.cells import row
from grid.experiment.config import load
from grid.run.selection import rows_of, selected_rows
from painmodels.methods import default_rows, methods


def chosen(**options: Any) -> tuple[str, ...]:
    asked = {"named": None, "whole": False, "baselines": False, "no_baselines": False}
    return selected_rows(load("demo"), **{**asked, **options})


def test_the_default_rows_do_not_grow_with_the_methods() -> None:
    demo = load("demo")
    assert chosen(whole=True) == (*demo.axes.modalities, *demo.axes.derived, *demo.axes.baselines)
    assert set(default_rows()).isdisjoint(row for entry in methods().values() for row in entry.compared)


def test_methods_add_their_rows() -> None:
    assert chosen(of_methods="cnn, mlp") == ("eda:cnn", "eda+ecg+emg:cnn", "eda:mlp")
    assert chosen(of_methods="cnn", whole=True)[-2:] == ("eda:cnn", "eda+ecg+emg:cnn")
    assert chosen(of_methods="argmax", named="ecg") == ("ecg", "eda:argmax")
    every = chosen(of_methods="all")
    assert set(every) == {*default_rows(), *(row for entry in methods().values() for row in entry.compared)}
    for name in every:
        assert row(name).name == name
    assert rows_of("") == ()


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ValueError, match=r"no method is called 'svm'; there are: .*argmax.*majority"):
        chosen(of_methods="svm")
