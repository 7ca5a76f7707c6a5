"""Work in processes that may die."""

from __future__ import annotations

import os
import signal

import pytest

from dataprep.processes import ProcessDied, spread


def fragile(n: int) -> int:
    if n % 5 == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if n < 0:
        raise ValueError("found a negative number")
    return n * n


def test_a_death_costs_one_item_and_no_other() -> None:
    out = dict(spread(fragile, range(10), jobs=2))
    assert out == {n: ProcessDied() if n in (3, 8) else n * n for n in range(10)}


def test_an_error_is_raised_here() -> None:
    with pytest.raises(ValueError, match="negative"):
        list(spread(fragile, [1, -1], jobs=1))
    assert list(spread(fragile, [], jobs=1)) == []
