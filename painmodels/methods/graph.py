"""What a method is made of: parts, each trained alone on recordings and on the frozen outputs of parts before it.

N trials, T steps, C channels, F features of a frame. Nothing here imports torch: the planner reads graphs of all methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from painmodels.registry import SubNetwork
    from painmodels.training.loop import Fitted

RECORDINGS: Mapping[str, str] = {
    "features": "video",
    "mask": "video",
    "faces": "video",
    "signals": "signals",
    "control": "",
    "subject": "",
}
"""What a part may take of a trial, and whether it is made of the video, of the signals or of neither.

`features`  the frozen trunk's features of each frame, float16 (N, T, F); a step without a frame has those of the one before
`mask`      1 where a step has a frame of its own, (N, T)
`faces`     the face track, float32 (N, T, 15): the columns of dataprep.signals.domain_features.TRACK
`signals`   the row's channels on the clock, float32 (N, T, C); scaled as the experiment says for a network, in the data
            set's units for an estimator
`control`   what the data set's table says of the trial: the method's `control`, as it is written there; for an estimator
`subject`   whose trial it is, for an estimator; what it learns of persons, it learns of those of the training side
"""
KINDS = ("video", "signals")


@dataclass(frozen=True)
class Input:
    """One input of a part: a recording (a key of RECORDINGS), or an output of the part with the role `part`.

    `output`: what is taken of that part, the name of a method of its network: `features`, or `sequence` (step by step).
    """

    recording: str = ""
    part: str = ""
    output: str = "features"


@dataclass(frozen=True)
class Recordings:
    """Recordings of N trials for an estimator. `signals`: word -> (N, T) in the data set's units; `faces`: (N, T, 15).

    `subjects`: a name a trial, where the part takes `subject`; empty for recordings of nobody known (a deployed model).
    `controls`: a value a trial, where it takes `control`.
    """

    n: int
    rate_hz: float
    signals: Mapping[str, np.ndarray]
    faces: np.ndarray | None = None
    subjects: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()


class TwoClasses:
    """Base of the settings of an estimator that tells no pain from pain, and does no other task."""

    classes: ClassVar[int] = 2


@dataclass(frozen=True)
class AnyTarget:
    """Base of the settings of an estimator that does every task. `classes`: of the target, set by the task; 0: it is a number."""

    classes: int = field(default=2, kw_only=True)

    unsaid: ClassVar[Mapping[str, Any]] = {"classes": 2}


@dataclass(frozen=True)
class Estimator:
    """What learns from recordings in its own way, not by the training loop of networks.

    `settings`  a frozen dataclass with defaults
    `fit(recordings, labels, settings, seed, device)`     arrays to store and a learning curve; equal arguments, equal bytes
    `predict(weights, recordings, settings, device)`      of two classes the probability of the second, (N,); of more classes
                                                          that of each, (N, K); of numbers the number, (N,)
    `version`   raised when the behaviour changes
    """

    settings: type
    fit: Callable[[Recordings, np.ndarray, Any, int, str], Fitted]
    predict: Callable[[Mapping[str, np.ndarray], Recordings, Any, str], np.ndarray]
    version: int | str = 1


@dataclass(frozen=True)
class Part:
    """One thing that is trained. `role` is unique in its method: it names stages, settings and outputs.

    `trained`: an estimator or a network of this method's own; None: one of painmodels/networks that the experiment chooses by
    name in the table of the role. `keeps`: an output that is stored beside the predictions, the name of a method of the network.
    `pretrained`: it starts from the trunk's own FC-7.
    """

    role: str
    inputs: tuple[Input, ...] = ()
    trained: SubNetwork | Estimator | None = None
    keeps: str = ""
    pretrained: bool = False

    @property
    def feeding(self) -> tuple[str, ...]:
        """The roles of the parts that feed it."""
        return tuple(i.part for i in self.inputs if i.part)

    @property
    def recordings(self) -> tuple[str, ...]:
        """The recordings that it takes itself."""
        return tuple(i.recording for i in self.inputs if i.recording)


Choice = Callable[[str], "SubNetwork"]
"""Role -> the network that the experiment chose for it."""


@dataclass(frozen=True)
class Method:
    """One entry.

    `on`        words that it can see (`eda`, `ecg`, `emg`, `video`, `frame`), none if it needs no recording
    `several`   it can see several of them together, too
    `parts`     (words of the row, choice of networks) -> its parts, inputs first; the last one gives the predictions
    `rows`      the rows that `--baselines` adds
    `control`   the column of the data set's table that it sees instead of a recording
    `compared`  the rows beside them that `--methods` adds: what the publication reports
    """

    name: str
    on: tuple[str, ...]
    parts: Callable[[tuple[str, ...], Choice], tuple[Part, ...]]
    several: bool = False
    rows: tuple[str, ...] = ()
    control: str = ""
    compared: tuple[str, ...] = ()


def needs(parts: Sequence[Part], role: str) -> tuple[str, ...]:
    """The recordings that a part takes itself or through the parts that feed it, in the order of RECORDINGS."""
    part = next(p for p in parts if p.role == role)
    found = {r for feeding in part.feeding for r in needs(parts, feeding)} | set(part.recordings)
    return tuple(r for r in RECORDINGS if r in found)


def kinds(recordings: Sequence[str]) -> tuple[str, ...]:
    """'video', 'signals' or both: what of a trial has to be usable for these recordings."""
    return tuple(kind for kind in KINDS if any(RECORDINGS[r] == kind for r in recordings))


def estimator(trained: Estimator, *, subject: bool = False) -> Callable[[tuple[str, ...], Choice], tuple[Part, ...]]:
    """The `parts` of a method that is one estimator on the row's recordings; `subject`: and on whose they are."""

    def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
        taken = [Input("signals")] if any(word != "video" for word in words) else []
        taken += [Input("faces")] if "video" in words else []
        taken += [Input("subject")] if subject else []
        return (Part("estimator", tuple(taken), trained=trained),)

    return parts
