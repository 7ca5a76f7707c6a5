"""Where idle workers request work: an actor beside the driver, which passes bytes on and therefore imports next to nothing.

It is started before recordings are prepared: the first worker would wait for its process otherwise.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@ray.remote(num_cpus=0, max_concurrency=10_000)  # type: ignore[call-overload]
class Mailbox:
    """Questions wait here for the driver, workers for its answers. Each worker asks one thing at a time."""

    def __init__(self) -> None:
        self.questions: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.answers: dict[str, asyncio.Future[bytes]] = {}

    async def ask(self, worker: str, said: bytes) -> bytes:
        """Answers as the driver does."""
        answer = self.answers[worker] = asyncio.get_running_loop().create_future()
        self.questions.put_nowait((worker, said))
        return await answer

    async def collect(self, seconds: float) -> list[tuple[str, bytes]]:
        """All questions, as soon as there is one; none if there is none for so long."""
        try:
            asked = [await asyncio.wait_for(self.questions.get(), seconds)]
        except TimeoutError:
            return []
        while not self.questions.empty():
            asked.append(self.questions.get_nowait())
        return asked

    async def reply(self, answers: dict[str, bytes]) -> None:
        """Answer these workers; one that has died meanwhile is not there to hear it."""
        for worker, answer in answers.items():
            waiting = self.answers.pop(worker, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)


def mailbox() -> Any:
    """A mailbox on this node."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return Mailbox.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]


def ask(box: Any, worker: str, said: Any) -> Any:
    """The driver's answer to what a worker says; the worker waits for it."""
    return unpacked(ray.get(box.ask.remote(worker, packed(said))))


def packed(said: Any) -> bytes:
    """A message as bytes, as Ray would pack it: a method may be made with functions that have no name."""
    content: bytes = cloudpickle.dumps(said)
    return content


def unpacked(content: bytes) -> Any:
    """The message that a process of this run packed."""
    return cloudpickle.loads(content)


def end(box: Any) -> None:
    """Stop it, if it is still there."""
    with suppress(RayError):
        ray.kill(box)
