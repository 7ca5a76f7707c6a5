"""The graph of an exported row, out of model.json: each part of its method with what was trained, and what it takes.

`networks` of a description lists the parts, inputs first: {"role", "network", "version", "settings", "steps": [first, end],
"inputs": [{"recording", "part", "output"}], "words", "channels": [columns of the signals], "names", "normalise"}. `method` and
`words` are the row; `video` lists what it takes of each step of a video.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from dataprep.faces import Steps
from dataprep.recordings import recording
from dataprep.recordings.kind import Facts, Trunk
from dataprep.records import InputError
from painmodels.methods import method
from painmodels.methods.calibrate import CALIBRATORS
from painmodels.methods.graph import Estimator, Input, Part, needs
from painmodels.registry import SubNetwork, network


@dataclass(frozen=True, kw_only=True)
class Node:
    """A part of an exported row. `channels`: columns of the prepared signals, `names` their channels, `words` in a row's name."""

    part: Part
    trained: SubNetwork | Estimator
    settings: Any
    steps: tuple[int, int]
    channels: tuple[int, ...]
    words: tuple[str, ...]
    normalise: str

    @property
    def role(self) -> str:
        return self.part.role


def graph_of(about: Mapping[str, Any]) -> tuple[Node, ...]:
    """The parts of a row, inputs first. Raises InputError where this version's method or network is another one."""
    if (how := about.get("calibration", "")) and how not in CALIBRATORS:
        raise InputError(f"calibration: found {how!r}, expected one of {', '.join(CALIBRATORS)}")
    tables = {table["role"]: table for table in about["networks"]}
    entry = method(about["method"])
    parts = entry.parts(
        tuple(about["words"]), lambda role: network(role, tables[role]["network"]) if role in tables else _any(role)
    )
    # a fusion that was trained on out-of-fold outputs takes these in place of the method's own
    plain = [[_plain(i) for i in table["inputs"]] for table in about["networks"]]
    then = [[table["role"], inputs] for table, inputs in zip(about["networks"], plain, strict=True)]
    now = [[p.role, [_plain(asdict(i)) for i in p.inputs]] for p in parts]
    if now != then:
        raise InputError(f"method {entry.name}: found parts {then}, expected those of this version, {now}")
    nodes = []
    for part in parts:
        table = tables[part.role]
        trained = part.trained or network(part.role, table["network"])
        if trained.version != table["version"]:
            name = f"{trained.role} {trained.name}" if isinstance(trained, SubNetwork) else f"method {entry.name}"
            raise InputError(f"{name}: found weights of version {table['version']}, expected {trained.version}")
        if table["normalise"] == "subject":
            raise InputError("signals scaled over a subject (normalise = 'subject') need all of the person's trials")
        nodes.append(
            Node(
                part=replace(part, inputs=tuple(Input(**i) for i in table["inputs"])),
                trained=trained,
                settings=settings_of(trained, table["settings"], f"{part.role} {table['network']}"),
                steps=(table["steps"][0], table["steps"][1]),
                channels=tuple(table["channels"]),
                words=tuple(table["words"]),
                normalise=table["normalise"],
            )
        )
    return tuple(nodes)


def _plain(taken: Mapping[str, str]) -> dict[str, str]:
    """An input without what is taken of the part that feeds it."""
    return {key: value for key, value in taken.items() if key != "output"}


def _any(role: str) -> SubNetwork:
    """A network of a role that the row does not have: a method may ask for it before it knows."""
    return SubNetwork(role=role, name="", settings=object, build=lambda settings, sizes: None)  # type: ignore[arg-type, return-value]


def settings_of(trained: SubNetwork | Estimator, table: Mapping[str, Any], name: str) -> Any:
    """Settings out of JSON, where a tuple became a list. Raises InputError for those of another version."""
    known = {f.name for f in fields(trained.settings)}
    if table.keys() - known:
        unknown = ", ".join(sorted(table.keys() - known))
        raise InputError(f"{name}: found the settings {unknown}, expected some of {', '.join(sorted(known)) or 'none'}")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    return trained.settings(**values)


def video_table(parts: Sequence[Part], facts: Facts) -> list[dict[str, Any]]:
    """What a row takes of each step of a video, as model.json has it. Raises InputError for what a model in use cannot make."""
    found = []
    for name in needs(parts, parts[-1].role):
        kind = recording(name)
        if name == "control":
            raise InputError("the row is a control: it sees the data set's table and no recording, so it cannot be exported")
        if not kind.of:
            continue
        if kind.of_channel or kind.along != "steps":
            raise InputError(
                f"the row takes the recording kind {name!r}, which only a run makes of whole trials: it cannot be exported"
            )
        if kind.of == "video" and name != "mask":
            if kind.of_track and name != "faces":
                raise InputError(f"the row takes the recording {name} of a whole face track: it cannot be exported")
            found.append({"name": name, "version": str(kind.version), "shape": list(kind.shape(facts)[1:])})
    return found


class Columns:
    """What a row takes of a video as one table, a row a step: its recordings side by side, each step's values in a row.

    Made of the steps of a video as they come, so that files, long recordings and streams give the same.
    """

    def __init__(self, table: Sequence[Mapping[str, Any]]) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        for entry in table:
            kind = recording(entry["name"])
            if str(kind.version) != entry["version"]:
                found = f"found a model that takes its version {entry['version']}"
                raise InputError(f"recording {kind.name}: {found}, expected {kind.version}: export the row again")
            self.shapes[kind.name] = tuple(entry["shape"])
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        ends = np.cumsum(sizes, dtype=int).tolist()
        self.parts = {name: slice(end - size, end) for name, end, size in zip(self.shapes, ends, sizes, strict=True)}
        self.width = sum(sizes)
        kinds = [np.dtype(recording(name).dtype) for name in self.shapes]
        self.dtype = kinds[0] if len(kinds) == 1 else np.dtype(np.float32)
        self.frames = any(recording(name).frames for name in self.shapes)

    def begin(self, trunk: Trunk | None) -> Callable[[Steps], np.ndarray]:
        """A function of a video's next `Steps` that gives their rows, (B, width)."""
        takers = {name: take(trunk) for name in self.shapes if (take := recording(name).of_video)}

        def rows(steps: Steps) -> np.ndarray:
            columns = [takers[name](steps) if name in takers else steps.states_B15 for name in self.shapes]
            return np.concatenate([c.reshape(len(c), -1).astype(self.dtype, copy=False) for c in columns], axis=1)

        return rows
