"""Files of weights that networks of methods start from: `weights = "FILE"` of [methods.NAME] (painmodels.registry.Pretrained).

A path is in the experiment alone. Settings, keys and results have the mark of what the file holds.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dataprep.records import InputError
from painmodels.methods import method
from painmodels.registry import RANDOM, Pretrained
from painmodels.trunks.weight_cache import content_mark

if TYPE_CHECKING:
    from grid.experiment.config import Experiment


def beside_file(table: Any, folder: Path) -> None:
    """Make the paths of a method's table, and of those of its parts, absolute: they are relative to the experiment's file."""
    for key, value in table.items() if isinstance(table, dict) else ():
        if key == "weights" and isinstance(value, str) and value != RANDOM:
            table[key] = str(folder / value)
        beside_file(value, folder)


def marked(settings: Any, where: str) -> Any:
    """Settings with the mark of the file that they name. Raises InputError if it is absent or holds other weights."""
    if not isinstance(settings, Pretrained) or not settings.from_file:
        return settings
    try:
        return replace(settings, weights=content_mark(settings.backbone, Path(settings.weights)))
    except InputError as error:
        raise InputError(f"{where} weights: {error}") from None


def weight_files(experiment: Experiment) -> dict[str, tuple[str, Path]]:
    """Mark -> the backbone and the file, of all methods that the experiment configures."""
    found: dict[str, tuple[str, Path]] = {}
    for name, table in experiment.methods.items():
        for part in method(name).parts(method(name).on[:1], lambda role: experiment.network(role)[0]):
            settings = experiment.trained(name, part)[1]
            if isinstance(settings, Pretrained) and settings.from_file:
                own = table.get(part.role)
                path = (own if isinstance(own, dict) else table)["weights"]
                found[settings.weights] = (settings.backbone, Path(path))
    return found
