"""What fits read on Ray: features by reference into the object store. A worker imports little with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from ray.exceptions import RayError

from grid.store.artefacts import Store
from grid.work.blocks import Starts, StoreBlocks

if TYPE_CHECKING:
    from grid.execute.executor import Prepared


class RayBlocks(StoreBlocks):
    """Features by reference into the object store, from the durable store where a reference is lost; all else as elsewhere."""

    def __init__(self, store: Store, prepared: Prepared, starts: Starts) -> None:
        super().__init__(store, prepared.stages, dict(prepared.signals))
        # put by the driver: a worker's node may not have the file
        self.start_refs: dict[str, Any] = {name: ray.put(dict(x)) for name, x in starts.items()}
        self.refs = dict(prepared.refs)

    def of_video(self, kind: str, trial_ids: Iterable[str]) -> list[np.ndarray]:
        """A recording that is made of the video, zero-copy and read-only where it is in this node's object store."""
        wanted = list(trial_ids)
        here = [t for t in wanted if t in self.refs] if kind == "features" else []
        try:
            blocks = dict(zip(here, ray.get([self.refs[t] for t in here], timeout=300), strict=True))
        except RayError:
            blocks = {}
        missing = [t for t in wanted if blocks.get(t) is None]
        blocks |= dict(zip(missing, super().of_video(kind, missing), strict=True))
        return [blocks[t] for t in wanted]

    def start(self, name: str) -> Mapping[str, np.ndarray]:
        """Weights that a network starts from, which a node holds once, however many workers it runs."""
        return ray.get(self.start_refs[name]) if name in self.start_refs else super().start(name)
