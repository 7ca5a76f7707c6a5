"""What the other columns of a manifest tell of people and of time: `sex`, `age` and `order`."""

from __future__ import annotations

import math

from dataprep.manifest.table import Rows
from dataprep.records import Person, Trial

SEXES = {"m": "m", "male": "m", "man": "m", "w": "w", "f": "w", "female": "w", "woman": "w"}


def people_of(rows: Rows) -> dict[str, Person]:
    """Subject -> sex and age in years, of those whose first row tells both."""
    found: dict[str, Person] = {}
    for _, row in reversed(rows.rows):
        sex, age = SEXES.get(row.get("sex", "").lower()), _number(row.get("age", ""))
        found.pop(row["subject"], None)
        if sex and age is not None and age >= 0:
            found[row["subject"]] = Person(sex, int(age))
    return found


def tells_order(rows: Rows) -> bool:
    """True if every row has a number in the column `order`."""
    return "order" in rows.columns and all(_number(row["order"]) is not None for _, row in rows.rows)


def time_order(trial: Trial) -> float:
    """The number in the column `order`."""
    return _number(trial.columns.get("order", "")) or 0.0


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
