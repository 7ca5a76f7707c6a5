"""What is said of how long it will take."""

from __future__ import annotations

import pytest

from grid.monitor import progress
from grid.monitor.progress import Display, tell_first


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


def test_the_estimate_leaves_the_start_of_workers_out_and_follows_what_is_done_now(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    with Display("fitting", 200, unit="fits") as display:
        assert display.seconds_left() is None
        clock.now = 25.0  # workers start
        display.advance()
        assert display.seconds_left() is None
        clock.now = 26.0
        display.advance(running=2)
        assert display.seconds_left() == pytest.approx(198.0)
        for _ in range(100):
            clock.now += 0.1
            display.advance()
        assert display.seconds_left() == pytest.approx(9.8, rel=0.05)
        clock.now += 20
        display.advance(running=2)
    told = capsys.readouterr().out
    assert "2 running" in told


def test_the_first_of_many_lines_end_with_how_many_more_there_are(capsys: pytest.CaptureFixture) -> None:
    tell_first([f"left out: {n}" for n in range(7)], "quarantine.csv")
    said = capsys.readouterr().out.splitlines()
    assert said[4] == "left out: 4"
    assert said[5] == "… and 2 more: quarantine.csv lists all of them when the run has ended"
    tell_first(["one"], "quarantine.csv")
    assert capsys.readouterr().out == "one\n"
