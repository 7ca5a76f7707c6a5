"""Numbers for people: one rule, whatever sum a value comes from."""

from __future__ import annotations

import numpy as np
import pytest

from dataprep.rounding import rounded, rounded_number


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (61.25, 1, "61.3"),  # Python's own formatting: 61.2
        (100 * 0.6125, 1, "61.3"),
        (100 * (0.6 + 0.0125), 1, "61.3"),  # 61.24999999999999
        (-61.25, 1, "-61.3"),  # a difference reads alike from either side
        (0.5, 0, "1"),
        (2.5, 0, "3"),
        (-0.04, 1, "0.0"),
        (1234.5, 0, "1235"),
        (float("nan"), 1, "nan"),
        (np.float64(0.0005), 3, "0.001"),
    ],
)
def test_a_half_goes_away_from_zero(value: float, digits: int, text: str) -> None:
    assert rounded(value, digits) == text


def test_files_have_the_same_number_as_pages() -> None:
    assert rounded_number(2.675, 2) == 2.68  # 2.67499999…, which is 2.675 for everybody who reads it
    assert np.isnan(rounded_number(float("nan"), 2))
