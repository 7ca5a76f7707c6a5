"""What `--train-on` and `--test-on` ask for: one data set made of several, its scenarios and its protocol."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dataprep.datasets import opened, pooled
from dataprep.records import InputError
from dataprep.storage import Place

FILE = "transfer.toml"


@dataclass(frozen=True)
class Transfer:
    """`train` and `test`: label -> path. Without `test` each data set is tested in turn.

    `adapt`: with what the crossing is shown once more, adapted to the tested people without their labels.
    """

    train: Mapping[str, Place]
    test: Mapping[str, Place]
    adapt: tuple[str, ...] = ()

    @property
    def scenario(self) -> str:
        """The name of the scenario that crosses from one side to the other."""
        return f"{'+'.join(self.train)}-to-{'+'.join(self.test)}" if self.test else "one-left-out"

    def changes(self) -> dict[str, dict[str, Any]]:
        """What changes of the experiment: each data set by itself and the crossing are its scenarios."""
        labels = [*self.train, *self.test]
        subsets = {**{label: label for label in labels}, self.scenario: pooled.EVERYBODY}
        scenarios: dict[str, Any] = {name: {"subset": subset, "skip_s": 0.0} for name, subset in subsets.items()}
        for how in self.adapt:
            scenarios[f"{self.scenario}-{how}"] = {**scenarios[self.scenario], "adapt": how}
        return {
            "scenarios": scenarios,
            "axes": {"scenarios": list(scenarios)},
            "protocol": {"name": "transfer", "repeats": 1},
        }

    def write(self, out: Path, *, plan: bool) -> Path:
        """The file that names the data sets, in the result folder; of a mere plan in a temporary one."""
        if plan:
            out = Path(tempfile.mkdtemp(prefix="grid-plan-"))
            atexit.register(shutil.rmtree, out, ignore_errors=True)
        out.mkdir(parents=True, exist_ok=True)
        lines = []
        for side, paths in (("train", self.train), ("test", self.test)):
            lines += [f"[{side}]", *(f"{json.dumps(label)} = {json.dumps(str(path))}" for label, path in paths.items()), ""]
        (out / FILE).write_text("\n".join(lines), encoding="utf-8")
        return out / FILE


def transfer(train: Sequence[Place], test: Sequence[Place], adapt: Sequence[str] = ()) -> Transfer:
    """The transfer between these folders; a data set is called by the name of its reader, the second of one kind NAME-2.

    Raises InputError where there are too few, or one on both sides.
    """
    paths = [path.resolve() if isinstance(path, Path) else path for path in (*train, *test)]
    if len(paths) < 2 or not train:
        raise InputError(
            "--train-on A --test-on B: found one data set, expected two or more (several --train-on alone: each in turn)"
        )
    if len({str(path) for path in paths}) < len(paths):
        raise InputError(
            "--train-on, --test-on: found one folder twice, expected each once: its people would be on both sides"
        )
    labels: list[str] = []
    for path in paths:
        name = opened(path).name
        n = sum(label == name or label.startswith(f"{name}-") for label in labels)
        labels.append(f"{name}-{n + 1}" if n else name)
    named = dict(zip(labels, paths, strict=True))
    trained, tested = ({k: named[k] for k in part} for part in (labels[: len(train)], labels[len(train) :]))
    return Transfer(trained, tested, tuple(dict.fromkeys(adapt)))
