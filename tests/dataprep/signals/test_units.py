"""Units as people write them."""

from __future__ import annotations

import pytest

from dataprep.signals.units import factor


@pytest.mark.parametrize(
    ("unit", "other", "expected"),
    [
        ("uS", "µS", 1),  # the micro sign
        ("μS", "µS", 1),  # the Greek letter
        ("microsiemens", "uS", 1),
        ("S", "uS", 1e6),
        ("mV", "µV", 1e3),
        ("µV", "V", 1e-6),
        ("°C", "degC", 1),
        ("a.u.", "a.u.", 1),
        ("mV", "uS", None),
        ("a.u.", "uS", None),
        ("ms", "mS", None),  # milliseconds
    ],
)
def test_units_of_one_kind_have_a_factor(unit: str, other: str, expected: float | None) -> None:
    assert factor(unit, other) == (expected if expected is None else pytest.approx(expected, rel=1e-12))
