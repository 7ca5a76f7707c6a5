"""What a method is made of: parts, each trained alone on recordings and on the frozen outputs of parts before it.

N trials, T steps, C channels, F features of a frame. Nothing here imports torch: the planner reads graphs of all methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from dataprep.recordings import recordings as kinds_of_recording

if TYPE_CHECKING:
    from painmodels.registry import SubNetwork
    from painmodels.training.loop import Fitted


@dataclass(frozen=True)
class Input:
    """One input of a part: a kind of recording (dataprep/recordings/), or an output of the part with the role `part`.

    A network is given a recording made of the video as (N, T, …), where a step without a frame has the row of the one before;
    `signals` as the row's channels on the clock, (N, T, C), scaled as the experiment says; what is made of each channel with
    the channels joined along the last axis.

    `output`: what is taken of that part, the name of a method of its network: `features`, or `sequence` (step by step);
    or `probabilities` of the classes.
    """

    recording: str = ""
    part: str = ""
    output: str = "features"


OUT_OF_FOLD = "probabilities"
"""What a part takes of those that feed it where it is trained on out-of-fold outputs: the same thing of every refit."""


@dataclass(frozen=True)
class Recordings:
    """Recordings of N trials for an estimator. `signals`: word -> (N, T) in the data set's units; `faces`: (N, T, 15).

    `subjects`: a name a trial, where the part takes `subject`; empty for recordings of nobody known (a deployed model).
    `controls`: a value a trial, where it takes `control`.
    `made`: kind of recording -> (N, …), or of what is made of channels, word -> (N, …). `rates_hz`: word -> the rate of its
    channel's own samples, where the data set says it.
    """

    n: int
    rate_hz: float
    signals: Mapping[str, np.ndarray]
    faces: np.ndarray | None = None
    subjects: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    made: Mapping[str, Any] = field(default_factory=dict)
    rates_hz: Mapping[str, float] = field(default_factory=dict)


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
    `features(recordings)`, `of_features(weights, x_NF, settings, device)`    of one on a table of features: the table, float64
                (N, F), and what it says of one; `standardised`: by `typical`, `mean` and `sd` of its weights
    """

    settings: type
    fit: Callable[[Recordings, np.ndarray, Any, int, str], Fitted]
    predict: Callable[[Mapping[str, np.ndarray], Recordings, Any, str], np.ndarray]
    version: int | str = 1
    features: Callable[[Recordings], np.ndarray] | None = None
    of_features: Callable[[Mapping[str, np.ndarray], np.ndarray, Any, str], np.ndarray] | None = None
    standardised: bool = False


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
    `joins`     a word that each of its rows has, joined to at least one other; empty: none
    `any_signal`  it can see every other signal, too, also one that nobody has named before
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
    any_signal: bool = False
    joins: str = ""


def needs(parts: Sequence[Part], role: str) -> tuple[str, ...]:
    """The recordings that a part takes itself or through the parts that feed it, in the order of dataprep.recordings."""
    part = next(p for p in parts if p.role == role)
    found = {r for feeding in part.feeding for r in needs(parts, feeding)} | set(part.recordings)
    return tuple(r for r in kinds_of_recording() if r in found)


def estimator(trained: Estimator, *, subject: bool = False) -> Callable[[tuple[str, ...], Choice], tuple[Part, ...]]:
    """The `parts` of a method that is one estimator on the row's recordings; `subject`: and on whose they are."""

    def parts(words: tuple[str, ...], choice: Choice) -> tuple[Part, ...]:
        taken = [Input("signals")] if any(word != "video" for word in words) else []
        taken += [Input("faces")] if "video" in words else []
        taken += [Input("subject")] if subject else []
        return (Part("estimator", tuple(taken), trained=trained),)

    return parts
