"""Weights that are not there and wrong arguments of a trunk are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from painmodels.trunks.mini_xception import SHIPPED
from painmodels.trunks.trunk import WeightsMissing, load_trunk, trunk_fingerprint


def test_missing_weights_say_where_they_come_from_and_what_works_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAIN_GRID_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissing) as caught:
        load_trunk("alexnet-fer-bn")
    message = str(caught.value)
    for part in (
        "Albanie and Vedaldi",
        "alexnet_face_fer_bn_dag.pth",
        "alexnet-face-fer-bn.mat",
        "python -m painmodels.weights import FILE --as alexnet-fer-bn",
        "--trunk mini-xception-fer",
        "--trunk alexnet-table1 --random-trunk",
        str(tmp_path),
    ):
        assert part in message
    with pytest.raises(WeightsMissing):
        trunk_fingerprint("alexnet-table1")


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"name": "alexnet"}, "there are: .*alexnet-table1"),
        ({"name": "mini-xception-fer", "scaling": "unit"}, "expected one of grey64"),
        ({"name": "mini-xception-fer", "precision": "float16"}, "expected one of float32, bfloat16"),
        ({"name": "mini-xception-fer", "random": True, "weights": SHIPPED}, "exclude each other"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        load_trunk(**arguments)
