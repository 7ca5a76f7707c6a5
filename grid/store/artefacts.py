"""The artefact store: files are the truth, everything else (MLflow, tables, the report) can be made again from them.

`<root>/<stage>/<key>/` holds `arrays.safetensors` and `manifest.json`. Both are written into a private folder first, and
one atomic rename publishes them: an artefact exists if and only if it is complete, whatever was killed when. In a bucket,
s3://bucket/prefix, the manifest is put last and says the same.

    python -m grid.store forget SUBJECT [--out DIR …]     remove everything derived from a subject's recordings
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, load_file, save, save_file

from dataprep.records import InputError
from dataprep.storage import Place, Remote, pointed, remove_tree, sync_folder, write_whole
from grid.store.identity import Stage
from grid.store.versions import made_by

DRAFTS, MARKS, TUNE = ".drafts", ".running", ".tune-"
"""What is unfinished, below a store's root. Every entry begins with its owner's name (grid/store/leases.py) and a point."""
TRIES = 3


@dataclass(frozen=True)
class Store:
    """Artefacts below `root`: a folder, a prefix of a bucket, or a file that holds its URI (see `--store`).

    Safe with many writers: who comes second with a key leaves the first's. `owner` is the driver's name (grid/store/leases.py).
    """

    root: Place
    owner: str = "nobody"

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", pointed(self.root))

    def folder(self, stage: str, key: str) -> Place:
        """Where the artefact of this stage and key is, or would be."""
        return self.root / stage / key

    def has(self, stage: Stage) -> bool:
        """True if the artefact is there, complete."""
        return (self.folder(stage.name, stage.key) / "manifest.json").exists()

    def keys(self, stage_name: str) -> set[str]:
        """All keys stored for a stage: what is there and complete."""
        folder = self.root / stage_name
        if isinstance(folder, Remote):
            return {at.parent.name for at, _, _ in _below(folder) if at.name == "manifest.json"}
        found = {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()
        return {name for name in found if (folder / name / "manifest.json").exists()}

    def write(self, stage: Stage, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Publish an artefact: named arrays and JSON-able facts. A second writer of the same key changes nothing.

        Raises OSError that names the place and the space left if it cannot be written; then nothing is published.
        """
        final = self.folder(stage.name, stage.key)
        arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        maker = {**made_by(), "device": str(facts.get("device", "cpu"))}
        manifest = {"stage": stage.identity(), "key": stage.key, "facts": dict(facts), "made_by": maker}
        if isinstance(self.root, Remote):
            if not self.has(stage):  # no rename in a bucket: an artefact is there once its manifest is
                (final / "arrays.safetensors").write_bytes(save(arrays))
                (final / "manifest.json").write_bytes(json.dumps(manifest, indent=1).encode())
            return
        assert isinstance(final, Path)
        for once_more in reversed(range(TRIES)):
            if self.has(stage):
                return
            draft = self.root / DRAFTS / f"{self.owner}.{stage.name}-{stage.key}-{uuid.uuid4().hex[:8]}"
            try:
                _draft(draft, arrays, manifest)
                _publish(draft, final, self._put_away)
                return
            except (OSError, SafetensorError) as error:
                if once_more and not draft.exists():  # somebody took this process for dead, and cleaned up behind it
                    continue
                raise OSError(f"{self.root}: cannot write {stage.name}/{stage.key}: {error} ({_left(self.root)})") from error
            finally:
                shutil.rmtree(draft, ignore_errors=True)

    def _put_away(self, folder: Path) -> None:
        """Rename a folder in one step, then remove it."""
        aside = Path(str(self.root), DRAFTS, f"{self.owner}.{uuid.uuid4().hex[:8]}")
        aside.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            os.rename(folder, aside)
        shutil.rmtree(aside, ignore_errors=True)

    def arrays(self, stage: Stage) -> dict[str, np.ndarray]:
        """The arrays of an artefact. Raises FileNotFoundError if there is none, ValueError if the file is something else."""
        path = self.folder(stage.name, stage.key) / "arrays.safetensors"
        try:
            return load_file(path) if isinstance(path, Path) else load(path.read_bytes())
        except SafetensorError as error:
            raise InputError(
                f"{path}: found a damaged or foreign file ({error}), expected safetensors; remove its folder to make it again"
            ) from error

    def facts(self, stage: Stage) -> dict[str, Any]:
        """The facts written with an artefact. Raises FileNotFoundError if there is none."""
        return self.manifest(stage)["facts"]

    def manifest(self, stage: Stage) -> dict[str, Any]:
        """Identity, facts and `made_by` (versions, commit, device) of an artefact. Raises FileNotFoundError if there is none."""
        return json.loads((self.folder(stage.name, stage.key) / "manifest.json").read_text(encoding="utf-8"))

    def manifests_of(self, stages: Iterable[Stage]) -> list[dict[str, Any]]:
        """The manifests of several artefacts, asked for side by side: a bucket answers each after a while."""
        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(self.manifest, stages))

    def facts_of(self, stages: Iterable[Stage]) -> list[dict[str, Any]]:
        """The facts of several artefacts, asked for side by side: a bucket answers each after a while."""
        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(self.facts, stages))

    def stages(self) -> list[str]:
        """The names of all stages with artefacts."""
        try:
            return sorted(at.name for at in self.root.iterdir() if not at.name.startswith(".") and at.is_dir())
        except FileNotFoundError:
            return []

    def remove(self, stage_name: str, key: str) -> None:
        """Remove an artefact in one step: it is there whole, or not at all. In a bucket, what makes it complete goes first."""
        folder = self.folder(stage_name, key)
        if isinstance(folder, Path):
            self._put_away(folder)
            return
        (folder / "manifest.json").unlink(missing_ok=True)
        remove_tree(folder)

    @contextmanager
    def marked(self, stage: Stage) -> Iterator[None]:
        """While inside, the stage is shown as running (grid/monitor/status.py). A mark means nothing to the work itself."""
        mark = self.root / MARKS / f"{self.owner}.{stage.name}-{stage.key}"
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)

    def running(self, of: Collection[str] | None = None) -> set[str]:
        """The marks there are now: `<stage>-<key>`; those of the owners `of` alone, if given."""
        marks = [at.name.rpartition(".") for at in (self.root / MARKS).glob("*")]
        return {mark for owner, _, mark in marks if of is None or owner in of}

    def size(self) -> int:
        """Bytes of everything below the root."""
        if isinstance(self.root, Remote):
            return sum(size for _, size, _ in _below(self.root))
        found = 0
        for at, _, names in os.walk(self.root):
            for name in names:
                with suppress(OSError):  # a draft that was published in this moment
                    found += os.stat(os.path.join(at, name)).st_size
        return found

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """A folder for Tune's own files, gone afterwards: beside the artefacts, where every node reaches it; of a store in a
        bucket, on this machine (nothing that the grid writes there is read again)."""
        self.root.mkdir(parents=True, exist_ok=True)
        beside = None if isinstance(self.root, Remote) else self.root
        with tempfile.TemporaryDirectory(prefix=f"{TUNE}{self.owner}.", dir=beside) as folder:
            yield folder


def point(at: Path, root: Place) -> None:
    """Let the place `at` of a result folder say that its artefacts are at `root`. Raises ValueError if they are elsewhere."""
    root = root.resolve()
    if at.is_dir() and at.resolve() != root:
        raise InputError(
            f"{at}: found a folder of artefacts, expected none beside --store {root}; move it there, or leave it out"
        )
    if at.is_file() and pointed(at) != root:
        raise InputError(f"{at}: names {pointed(at)}, but --store is {root}; choose another --out")
    if at.resolve() != root and not at.exists():
        at.parent.mkdir(parents=True, exist_ok=True)
        write_whole(at, f"{root}\n".encode())


def _below(folder: Remote) -> list[tuple[Remote, int, int]]:
    try:
        return folder.listing(recursive=True)
    except FileNotFoundError:
        return []


def _draft(draft: Path, arrays: Mapping[str, np.ndarray], manifest: Mapping[str, Any]) -> None:
    """Write an artefact where nobody looks for it yet."""
    draft.mkdir(parents=True)
    save_file(dict(arrays), draft / "arrays.safetensors")
    with open(draft / "arrays.safetensors", "rb") as file:  # file systems over a network say here that they are full
        os.fsync(file.fileno())
    with open(draft / "manifest.json", "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(draft)


def _publish(draft: Path, final: Path, put_away: Callable[[Path], None]) -> None:
    """Rename a draft to where it is looked for."""
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(draft, final)
    except OSError:
        if (final / "manifest.json").exists():  # another writer was first
            return
        if not final.exists():
            raise
        put_away(final)  # it lacks its manifest: a removal was cut short there
        os.rename(draft, final)
    sync_folder(final.parent)


def _left(root: Place) -> str:
    try:
        return f"{shutil.disk_usage(str(root)).free / 1e6:.1f} MB free there"
    except OSError:
        return "free space unknown"
