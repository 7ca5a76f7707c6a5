"""The disk space of artefacts that are still to be made: printed by `--plan`, and checked before any work.

Recordings are arrays of known shapes (dataprep/recordings/). A fit is as large as the median of those of its kind that are
stored, else as its weights: exactly for the wide layer on a trunk's features, about so for small networks. Checkpoints are in no
figure here: each takes three times as much as its fit while that runs, one for each processor.
"""

from __future__ import annotations

import errno
import os
import shutil
import statistics
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dataprep.recordings import recording
from dataprep.storage import Place, Remote
from grid.plan.inventory import Inventory
from grid.plan.specs import Fit, Plan
from grid.store.artefacts import Store
from grid.store.identity import Stage
from painmodels.trunks.backbones import backbone

HEADERS = 1500
"""Bytes of a manifest and of the header of arrays, about."""
SMALL_FIT = 200_000
"""Bytes of a network of some ten thousand weights, with its learning curve."""
ROOM = 0.01
"""Of what is needed, how much more must be free: file systems round up."""


def needed(inventory: Inventory, plan: Plan, store: Store, parts: Iterable[str] = ("video", "signals")) -> dict[str, int]:
    """Bytes that each kind of artefact which is not stored will take, by name of stage; of recordings, `parts` alone."""
    d, facts = inventory.dataset, inventory.shape_facts
    found: dict[str, int] = {}

    def add(stage: Stage, size: int) -> None:
        if stage.name not in stored:
            stored[stage.name] = store.keys(stage.name)
            found[stage.name] = 0
        found[stage.name] += (HEADERS + size) * (stage.key not in stored[stage.name])

    stored: dict[str, set[str]] = {}
    for video in inventory.videos if "video" in parts else ():
        for name, stage in video.made.items():
            add(stage, recording(name).size(facts))
        add(video.track, (4 * 15 + 8) * d.n_steps)
    for block in inventory.signals if "signals" in parts else ():
        add(block.stage, len(block.trials) * 4 * d.n_steps * len(d.channels))
        for name, stage in block.made.items():
            rates = [replace(facts, rate_hz=d.rates_hz.get(channel, 0.0)) for channel in d.channels]
            add(stage, len(block.trials) * sum(recording(name).size(of_channel) for of_channel in rates))
    stored["predict"] = store.keys("predict")
    of_name: dict[str, list[Fit]] = {}
    for fit in plan.fits.values():
        of_name.setdefault(fit.stage.name, []).append(fit)
    for name, fits in of_name.items():
        there = store.keys(name)
        known = _stored_size(store, name, there)
        found[name] = sum(known or _weights(fit, inventory) for fit in fits if fit.stage.key not in there)
    predicts = [p for p in plan.predicts.values() if p.stage.key not in stored["predict"]]
    found["predict"] = sum(HEADERS + len(p.test.trial_ids) * (60 + 4 * (p.fit.steps[1] - p.fit.steps[0])) for p in predicts)
    return found


def _stored_size(store: Store, name: str, keys: set[str]) -> int:
    sizes = []
    for key in sorted(keys)[:10]:
        folder = store.folder(name, key)
        try:
            sizes.append(sum((folder / part).stat().st_size for part in ("arrays.safetensors", "manifest.json")))
        except OSError:
            continue
    return int(statistics.median(sizes)) if sizes else 0


def _weights(fit: Fit, inventory: Inventory) -> int:
    if fit.role == "spatial" and inventory.trunk:
        wide = getattr(fit.settings, "width", 0)
        return 4 * wide * (backbone(inventory.trunk.name).feature_size + 3) + SMALL_FIT
    return SMALL_FIT


def free(root: Place) -> int | None:
    """Bytes that this user may still write at a place; None where nobody can know, as in a bucket."""
    if isinstance(root, Remote):
        return None
    at = Path(os.path.abspath(root))
    while not at.exists():
        at = at.parent
    try:
        return shutil.disk_usage(at).free
    except OSError:
        return None


def require(root: Place, wanted: int) -> None:
    """Raises OSError that says how much is missing if what will be made cannot fit."""
    have = free(root)
    if have is not None and wanted * (1 + ROOM) > have:
        raise OSError(
            errno.ENOSPC,
            f"No space left on device for what is to be made: found {size(have)} free at {root}, expected {size(wanted)} "
            "or more; make room, or choose another --store (--plan says what takes it)",
        )


def size(n: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" or n >= 10 else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"
