"""The artefact store: files are the truth, everything else (MLflow, tables, the report) can be made again from them.

`<root>/<stage>/<key>/` holds `arrays.safetensors` and `manifest.json`. Both are written into a private folder first, and
one atomic rename publishes them: an artefact exists if and only if it is complete, whatever was killed when.

    python -m grid.store forget SUBJECT [--out DIR …]     remove everything derived from a subject's recordings
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from grid.keys import Stage


@dataclass(frozen=True)
class Store:
    """Artefacts below `root`. Safe with many writers on one file system: who comes second with a key leaves the first's."""

    root: Path

    def folder(self, stage: str, key: str) -> Path:
        """Where the artefact of this stage and key is, or would be."""
        return self.root / stage / key

    def has(self, stage: Stage) -> bool:
        """True if the artefact is there, complete."""
        return (self.folder(stage.name, stage.key) / "manifest.json").exists()

    def keys(self, stage_name: str) -> set[str]:
        """All keys stored for a stage, from one listing of its folder."""
        folder = self.root / stage_name
        return {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()

    def write(self, stage: Stage, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Publish an artefact: named arrays and JSON-able facts. A second writer of the same key changes nothing.

        Raises OSError that names the place and the space left if it cannot be written; then nothing is published.
        """
        final = self.folder(stage.name, stage.key)
        if final.exists():
            return
        draft = self.root / ".drafts" / f"{stage.name}-{stage.key}-{uuid.uuid4().hex[:8]}"
        try:
            draft.mkdir(parents=True)
            save_file({name: np.asarray(array, order="C") for name, array in arrays.items()}, draft / "arrays.safetensors")
            with open(draft / "arrays.safetensors", "rb") as file:  # file systems over a network say here that they are full
                os.fsync(file.fileno())
            manifest = {"stage": stage.identity(), "key": stage.key, "facts": dict(facts)}
            with open(draft / "manifest.json", "w", encoding="utf-8") as file:
                json.dump(manifest, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
            final.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.rename(draft, final)
            except OSError:
                if not final.exists():
                    raise
        except (OSError, SafetensorError) as error:
            raise OSError(f"{self.root}: cannot write {stage.name}/{stage.key}: {error} ({self._left()})") from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def arrays(self, stage: Stage) -> dict[str, np.ndarray]:
        """The arrays of an artefact. Raises FileNotFoundError if there is none, ValueError if the file is something else."""
        path = self.folder(stage.name, stage.key) / "arrays.safetensors"
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(
                f"{path}: found a damaged or foreign file ({error}), expected safetensors; remove its folder to make it again"
            ) from error

    def facts(self, stage: Stage) -> dict[str, Any]:
        """The facts written with an artefact. Raises FileNotFoundError if there is none."""
        with open(self.folder(stage.name, stage.key) / "manifest.json", encoding="utf-8") as file:
            return json.load(file)["facts"]

    @contextmanager
    def marked(self, stage: Stage) -> Iterator[None]:
        """While inside, the stage is shown as running (grid/status.py). A mark means nothing to the work itself."""
        mark = self.root / ".running" / f"{stage.name}-{stage.key}"
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what interrupted writers left behind. Called by the driver alone, before any worker starts."""
        for leftover in (".drafts", ".running"):
            shutil.rmtree(self.root / leftover, ignore_errors=True)
        for scratch in self.root.glob(".tune-*"):
            shutil.rmtree(scratch, ignore_errors=True)

    def _left(self) -> str:
        try:
            return f"{shutil.disk_usage(self.root).free / 1e6:.1f} MB free there"
        except OSError:
            return "free space unknown"


if __name__ == "__main__":
    from grid.forget import main

    sys.exit(main())
