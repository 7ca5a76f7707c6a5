"""How numbers are rounded for people: one rule for reports, tables, cards, figures and the terminal.

A half goes away from zero, as people round by hand, and a value that two sums reach by different ways is one value: Python's own
formatting shows 61.25 as 61.2, and 61.250000000000007 as 61.3.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

NOISE_DIGITS = 9
"""Digits after the point beyond which two numbers are taken for the same."""


def rounded(value: Any, digits: int = 0) -> str:
    """A number as text with so many digits after the point; no sign for what rounds to zero. 'nan' and 'inf' stay words."""
    x = float(value)
    if not math.isfinite(x):
        return str(x)
    shown = Decimal(f"{x:.{max(NOISE_DIGITS, digits)}f}").quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
    return f"{abs(shown) if shown == 0 else shown:f}"


def rounded_number(value: Any, digits: int) -> float:
    """The same as a number, for files of tables; NaN stays NaN."""
    return float(rounded(value, digits))
