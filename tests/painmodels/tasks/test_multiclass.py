"""Scores of several classes, against numbers written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from painmodels.tasks import task


def test_scores_are_those_written_out_by_hand() -> None:
    three = task("", ("x", "y", "z"))
    p = np.array([(0.6, 0.3, 0.1), (0.2, 0.7, 0.1), (0.1, 0.8, 0.1), (0.9, 0.0, 0.1)])
    found = three.score(np.array([0, 0, 1, 2]), p)
    assert (found["accuracy"], found["mean_distance"]) == (0.5, 0.75)
    assert found["balanced_accuracy"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert found["macro_f1"] == pytest.approx((0.5 + 2 / 3 + 0) / 3)
    assert three.constant(np.array([0, 0, 1, 2])).tolist() == [1, 0, 0]
    with pytest.raises(ValueError, match="expected 3 of each"):
        three.score(np.array([0, 1]), p[:2, :2])
