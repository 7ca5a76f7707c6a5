"""Whether a processor computes in bfloat16, and how much slower it is where it does not.

Without the instructions (AVX-512 BF16 or AMX of x86, BF16 of Arm) each product is made of float32 ones and conversions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
FRAMES = 16
CPUINFO = Path("/proc/cpuinfo")


def in_hardware() -> bool | None:
    """Whether this processor has bfloat16 arithmetic; None where that cannot be asked."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    flags = [line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))]
    return bool(FLAGS & set(flags[0])) if flags else None


def warning(quick: Callable[[np.ndarray], np.ndarray], exact: Callable[[], Callable[[np.ndarray], np.ndarray]]) -> str:
    """A sentence where a bfloat16 trunk is slower on this processor than the same in float32; empty where it is not.

    `quick` is the trunk, `exact` makes the one in float32, which is asked for only where the processor lacks the instructions.
    """
    if in_hardware() is not False:
        return ""
    crops = np.random.default_rng(0).integers(0, 256, (FRAMES, 227, 227, 3), dtype=np.uint8)
    ratio = _seconds(quick, crops) / _seconds(exact(), crops)
    if ratio <= 1:
        return ""
    return (
        f"this processor has no bfloat16 arithmetic: the trunk takes {ratio:.1f} times as long as in float32 (measured now); "
        "[trunk] precision = 'float32' is the faster choice"
    )


def _seconds(trunk: Callable[[np.ndarray], np.ndarray], crops: np.ndarray) -> float:
    trunk(crops[:1])
    found = []
    for _ in range(3):
        started = time.perf_counter()
        trunk(crops)
        found.append(time.perf_counter() - started)
    return min(found)
