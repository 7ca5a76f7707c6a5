"""The order of the work, and limits on one piece of it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grid.execute.ready_queue import ReadyQueue
from grid.work.limits import crash_reason, out_of_memory

ROOT = Path(__file__).parents[3]


def queue_of(needs: dict[str, list[str]], paths: dict[str, float]) -> ReadyQueue:
    queue = ReadyQueue()
    for key, before in needs.items():
        queue.add(key, before, paths[key])
    return queue


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    n = draw(st.integers(1, 12))
    return {str(i): [str(j) for j in range(i) if draw(st.booleans())] for i in range(n)}


@given(graphs(), st.data())
def test_every_key_comes_once_after_what_it_needs_and_a_failure_takes_all_that_wait_for_it(
    needs: dict[str, list[str]], data: st.DataObject
) -> None:
    queue = queue_of(needs, dict.fromkeys(needs, 1.0))
    out: list[str] = []
    over: set[str] = set()
    dropped: dict[str, str] = {}
    while (key := queue.pop()) is not None:
        out.append(key)
        assert set(needs[key]) <= over
        if data.draw(st.booleans()):
            over.add(key)
            queue.done(key)
        else:
            dropped |= dict(queue.drop(key))
    assert len(queue) == 0
    assert sorted([*out, *dropped]) == sorted(needs)
    assert all(needed in needs[waiting] for waiting, needed in dropped.items())
    assert not set(dropped) & over


def test_the_start_of_the_longest_path_comes_first() -> None:
    needs: dict[str, list[str]] = {"short": [], "long": [], "cnn": [], "lstm": ["cnn"], "fusion": ["lstm", "short"]}
    paths = {"short": 5.0, "long": 8.0, "cnn": 9.0, "lstm": 7.0, "fusion": 2.0}
    queue = queue_of(needs, paths)
    assert [queue.pop(), queue.pop(), queue.pop(), queue.pop()] == ["cnn", "long", "short", None]
    assert sorted(queue) == ["fusion", "lstm"]
    queue.done("cnn")
    assert queue.pop() == "lstm"


def test_ten_times_as_many_keys_cost_no_scan_each() -> None:
    def cpu_s(keys: int) -> float:
        needs = {str(i): [str(i - 1)] if i % 9 else [] for i in range(keys)}
        queue = queue_of(needs, dict.fromkeys(needs, 1.0))
        started, handed = time.process_time(), 0
        while (key := queue.pop()) is not None:
            handed += 1
            queue.done(key)
        assert handed == keys
        return time.process_time() - started

    assert cpu_s(50_000) < 40 * max(cpu_s(5_000) for _ in range(3))  # about 10 times; a scan for each key: 100 times


def test_a_process_that_takes_too_long_ends_and_says_where_it_stood(tmp_path: Path) -> None:
    log = tmp_path / "logs/hung.txt"
    code = "import sys, pathlib, re\nfrom grid.work.limits import time_limit\nwith time_limit({}, pathlib.Path(sys.argv[1])): {}"
    stuck = "re.match('(a+)+$', 'a' * 40 + 'b')"  # never lets go of the interpreter's lock
    run = subprocess.run([sys.executable, "-c", code.format(1, stuck), str(log)], cwd=ROOT, timeout=60, capture_output=True)
    assert run.returncode != 0
    assert crash_reason(log, 1, 3) == (f"took longer than its limit of 1 s, 3 times; where it stood: {log}", True)
    assert "re/__init__.py" in log.read_text()
    quick = subprocess.run([sys.executable, "-c", code.format(60, "pass"), str(log)], cwd=ROOT, timeout=60)
    assert quick.returncode == 0
    assert crash_reason(log, 1, 3) == ("the worker process died 3 times (out of memory, or killed)", False)
    assert not log.exists()


def test_out_of_memory_is_recognised() -> None:
    import torch

    with pytest.raises(RuntimeError) as refused:
        torch.empty(10**15)
    assert out_of_memory(refused.value)
    assert out_of_memory(MemoryError())
    assert out_of_memory(torch.cuda.OutOfMemoryError("CUDA out of memory"))
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
