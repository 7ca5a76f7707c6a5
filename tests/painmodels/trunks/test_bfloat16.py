"""A bfloat16 trunk on a processor that lacks the arithmetic is told, with what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from painmodels.trunks import bfloat16


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("processor : 0\nflags : fpu avx2 avx512_bf16 sse\n", True),
        ("flags : fpu amx_bf16\n", True),
        ("Features : fp asimd bf16\n", True),
        ("flags : fpu avx2 avx512f\n", False),
        ("nothing\n", None),
    ],
)
def test_the_processor_is_asked(text: str, found: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(bfloat16, "CPUINFO", tmp_path / "cpuinfo")
    assert bfloat16.in_hardware() is found
    monkeypatch.setattr(bfloat16, "CPUINFO", tmp_path / "absent")
    assert bfloat16.in_hardware() is None


def test_slower_is_told_with_a_number_and_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfloat16, "CPUINFO", tmp_path / "cpuinfo")

    clock = [0.0]
    monkeypatch.setattr(bfloat16.time, "perf_counter", lambda: clock[0])

    def trunk(seconds: float):
        def applied(crops: np.ndarray) -> np.ndarray:
            clock[0] += seconds
            return crops

        return applied

    def never() -> None:
        raise AssertionError("asked for")

    (tmp_path / "cpuinfo").write_text("flags : avx512_bf16\n")
    assert bfloat16.warning(trunk(0.01), never) == ""  # type: ignore[arg-type]
    (tmp_path / "cpuinfo").write_text("flags : avx2\n")
    assert bfloat16.warning(trunk(0.001), lambda: trunk(0.02)) == ""
    told = bfloat16.warning(trunk(0.05), lambda: trunk(0.005))
    assert "no bfloat16 arithmetic" in told
    ratio = float(told.split("takes ")[1].split(" times")[0])
    assert ratio == 10.0
