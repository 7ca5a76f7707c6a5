"""A network says how many steps it needs, and takes as many as it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from dataprep.recordings import recording
from dataprep.recordings.kind import Facts
from painmodels.methods import PAPER, methods
from painmodels.methods.graph import Part
from painmodels.registry import SubNetwork, network

pytestmark = pytest.mark.slow


def networks_of_methods() -> Iterator[Any]:
    for name, entry in methods().items():
        if name == PAPER or not entry.on:
            continue
        words = tuple((entry.compared or entry.on)[0].split(":")[0].split("+"))
        for part in entry.parts(words, lambda role: network(role, "concat")):
            steps = isinstance(part.trained, SubNetwork) and not part.trained.per_frame
            if steps and all(i.recording for i in part.inputs):
                yield pytest.param(part, words, id=f"{name}-{part.role}")


def given(part: Part, words: tuple[str, ...], n_steps: int) -> list[torch.Tensor]:
    """Recordings of two trials with that many steps, as the part's network takes them."""
    n_signals = sum(word != "video" for word in words)
    out = []
    for one in part.inputs:
        kind = recording(one.recording)
        shape = kind.shape(Facts(clock_hz=25.0, n_steps=n_steps, rate_hz=25.0, trunk_width=64))
        shape = (n_steps, n_signals) if kind.of == "signals" and kind.along else (n_steps, *shape[1:])
        out.append(torch.rand(2, *shape))
    return out


def logits(part: Part, words: tuple[str, ...], n_steps: int) -> torch.Tensor:
    entry = part.trained
    assert isinstance(entry, SubNetwork)
    inputs = given(part, words, n_steps)
    module = entry.build(entry.settings(), [x.shape[-1] for x in inputs]).eval()
    with torch.inference_mode():
        found: torch.Tensor = module(*inputs)
    return found


@pytest.mark.parametrize(("part", "words"), networks_of_methods())
def test_a_network_takes_as_few_steps_as_it_says_and_not_one_less(part: Part, words: tuple[str, ...]) -> None:
    entry = part.trained
    assert isinstance(entry, SubNetwork)
    fewest = entry.least_steps(entry.settings())
    assert logits(part, words, fewest).shape == (2, 2)
    if fewest > 1:
        with pytest.raises(RuntimeError):
            logits(part, words, fewest - 1)
