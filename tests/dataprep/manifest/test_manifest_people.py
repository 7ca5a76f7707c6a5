"""Sex, age and the order of trials, where a manifest has such columns."""

from __future__ import annotations

from pathlib import Path

from dataprep.manifest.people import people_of, tells_order, time_order
from dataprep.manifest.table import Rows
from dataprep.records import Person, Trial


def rows(*table: tuple[str, str, str, str]) -> Rows:
    columns = ("subject", "sex", "age", "order")
    return Rows(
        Path("manifest.csv"), columns, tuple((n, dict(zip(columns, r, strict=True))) for n, r in enumerate(table, 2))
    )


def test_people_have_the_sex_and_age_of_their_first_row() -> None:
    found = people_of(rows(("a", "F", "31", "1"), ("b", "m", "", "1"), ("a", "m", "99", "2"), ("c", "male", "40.5", "1")))
    assert found == {"a": Person("w", 31), "c": Person("m", 40)}


def test_the_order_is_told_only_where_every_row_has_a_number() -> None:
    assert tells_order(rows(("a", "", "", "1"), ("a", "", "", "2.5")))
    assert not tells_order(rows(("a", "", "", "1"), ("a", "", "", "late")))
    assert not tells_order(Rows(Path("m.csv"), ("subject",), ((2, {"subject": "a"}),)))
    assert time_order(Trial("t", "a", 0, "x", columns={"order": "7"})) == 7.0
