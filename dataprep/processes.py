"""Work spread over processes, one item at a time each, that survives the death of any of them.

A decoder is native code and a file may be anything: whatever kills the process that reads it (a fault, the kernel's
out-of-memory killer) costs that one item and is said, and the others go on in new processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any


@dataclass(frozen=True)
class ProcessDied:
    """Used instead of a result: the process that worked on the item ended without one."""


def spread(work: Callable[[Any], Any], items: Sequence[Any], *, jobs: int) -> Iterator[tuple[int, Any]]:
    """(place of the item, work(item)) as results come in; a `ProcessDied` as the result where the process died.

    `work` must be importable. What it raises is raised here and ends everything.
    """
    waiting = list(range(len(items)))[::-1]
    while waiting:
        suspects: list[int] = []
        with _pool(min(jobs, len(waiting))) as pool:
            under_way: dict[Future[Any], int] = {}
            try:
                while waiting or under_way:
                    while waiting and len(under_way) < jobs:  # no more: after a death, these are all that can have caused it
                        under_way[pool.submit(work, items[waiting[-1]])] = waiting[-1]
                        waiting.pop()
                    for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                        result = future.result()
                        yield under_way.pop(future), result
            except BrokenProcessPool:
                suspects = sorted(under_way.values())
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        for place in suspects:
            yield place, _alone(work, items[place])


def _pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))  # a forked child of a process with threads may hang


def _alone(work: Callable[[Any], Any], item: Any) -> Any:
    with _pool(1) as pool:
        try:
            return pool.submit(work, item).result()
        except BrokenProcessPool:
            return ProcessDied()
