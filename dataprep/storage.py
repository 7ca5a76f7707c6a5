"""Storage of recordings and artefacts: a folder of this machine, or a prefix of a bucket by its URI, s3://bucket/prefix.

`place(text)` gives a `pathlib.Path`, or a `Remote` that has the few of its methods that readers and the store use. S3 is
spoken by pyarrow. Credentials come from the usual places and are never stored: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY,
~/.aws, the role of the machine; the region from AWS_REGION or AWS_DEFAULT_REGION, else asked of AWS; AWS_ENDPOINT_URL names
another S3 server. An object is there whole or not at all, and there is no rename: write what says "complete" last.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from types import SimpleNamespace
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from dataprep.records import InputError

IN_MEMORY = 64_000_000  # bytes of a fetched recording that are held in memory; a longer one is put on the disk
CONNECT_S, REQUEST_S = 10, 60


@dataclass(frozen=True, order=True)
class Remote:
    """A prefix or an object of a bucket. What cannot be reached raises OSError (FileNotFoundError) that names the URI."""

    uri: str

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str | PurePath) -> Remote:
        return Remote(f"{self.uri}/{PurePath(name).as_posix()}")

    @property
    def name(self) -> str:
        return self.uri.rpartition("/")[2]

    @property
    def parent(self) -> Remote:
        return Remote(self.uri.rpartition("/")[0])

    @property
    def _key(self) -> str:
        return self.uri.removeprefix("s3://")

    @contextmanager
    def _asked(self) -> Iterator[Any]:
        """The file system; its errors say the URI."""
        try:
            yield s3_file_system(self._key.partition("/")[0])
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.uri}: found nothing there, expected an object or a prefix of objects") from None
        except OSError as error:
            raise OSError(f"{self.uri}: cannot be reached ({error})") from None

    def absolute(self) -> Remote:
        return self

    resolve = absolute

    def _info(self) -> Any:
        with self._asked() as s3:
            return s3.get_file_info(self._key)

    def exists(self) -> bool:
        return self._info().type.name != "NotFound"

    def is_file(self) -> bool:
        return self._info().type.name == "File"

    def is_dir(self) -> bool:
        return self._info().type.name == "Directory"

    def stat(self) -> SimpleNamespace:
        """`st_size` in bytes and `st_mtime` in s."""
        info = self._info()
        if info.type.name == "NotFound":
            raise FileNotFoundError(f"{self.uri}: found nothing there, expected an object")
        return SimpleNamespace(st_size=info.size or 0, st_mtime=(info.mtime_ns or 0) / 1e9)

    def listing(self, *, recursive: bool = False) -> list[tuple[Remote, int, int]]:
        """What is below, sorted: place, bytes, time of change in ns (0 for a prefix). One request for each 1000 objects."""
        from pyarrow import fs

        with self._asked() as s3:
            found = s3.get_file_info(fs.FileSelector(self._key, recursive=recursive))
        return sorted((Remote(f"s3://{i.path}"), i.size or 0, i.mtime_ns or 0) for i in found)

    def iterdir(self) -> Iterator[Remote]:
        return iter([at for at, _, _ in self.listing()])

    def glob(self, pattern: str) -> Iterator[Remote]:
        """Names of this level that match; none if the prefix is empty."""
        try:
            return iter([at for at in self.iterdir() if fnmatch.fnmatchcase(at.name, pattern)])
        except FileNotFoundError:
            return iter(())

    def open(self) -> Any:
        """The object as a stream of bytes, from its beginning."""
        with self._asked() as s3:
            return s3.open_input_stream(self._key)

    def read_bytes(self) -> bytes:
        with self._asked(), self.open() as stream:
            return stream.read()

    def read_text(self, encoding: str = "utf-8") -> str:
        return self.read_bytes().decode(encoding)

    def write_bytes(self, content: bytes) -> None:
        """Write the object, replacing an earlier one. Readers never see a partial object."""
        with self._asked() as s3, s3.open_output_stream(self._key) as stream:
            stream.write(content)

    def touch(self) -> None:
        self.write_bytes(b"")

    def mkdir(self, *, parents: bool = True, exist_ok: bool = True) -> None:
        """Does nothing: a prefix exists as soon as an object does."""

    def unlink(self, *, missing_ok: bool = False) -> None:
        with self._asked() as s3:
            try:
                s3.delete_file(self._key)
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def remove_tree(self) -> None:
        """Remove all below this address, or the object; nothing to do if there is none."""
        with self._asked() as s3:
            kind = s3.get_file_info(self._key).type.name
            if kind == "Directory":
                s3.delete_dir(self._key)
            elif kind == "File":
                s3.delete_file(self._key)


Place = Path | Remote


def place(text: str | Path | Remote) -> Place:
    """A path, file:///path or s3://bucket/prefix. Raises InputError for another kind of URI."""
    if not isinstance(text, str):
        return text
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/(?!/)", text):  # it would be a local folder of that name, on each machine its own
        raise InputError(f"{text}: found one slash after the colon, expected a path, file:///path or s3://bucket/prefix")
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        return Path(text)
    parts = urlsplit(text)
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    if parts.scheme != "s3" or not parts.netloc or parts.username:
        raise InputError(f"{text}: expected a path, file:///path or s3://bucket/prefix")
    return Remote(text.rstrip("/"))


def pointed(root: Place) -> Place:
    """The place itself; where it is a file of one line, the place that this line names."""
    if isinstance(root, Path) and root.is_file():
        return place(root.read_text(encoding="utf-8").strip())
    return root


def common(files: Iterable[str]) -> Place:
    """The innermost folder that holds all of the files. Raises ValueError if there is none."""
    parents = {str(place(file).parent) for file in files}
    uris = [parent.removeprefix("s3://") for parent in parents if parent.startswith("s3://")]
    if uris and len(uris) == len(parents):
        return Remote("s3://" + os.path.commonpath(uris))
    return Path(os.path.commonpath(parents))


def below(folder: Place) -> dict[str, int]:
    """Bytes of every file anywhere below a folder. Of this machine, regular files alone: reading a pipe may never end."""
    if isinstance(folder, Remote):
        return {str(at): size for at, size, time_ns in folder.listing(recursive=True) if time_ns}
    files = (os.path.join(at, name) for at, _, names in os.walk(folder) for name in sorted(names))
    return {file: os.path.getsize(file) for file in files if os.path.isfile(file)}


def digest(file: str) -> str:
    """SHA-256 of a file's content, hexadecimal. Raises OSError."""
    at = place(file)
    with at.open() if isinstance(at, Remote) else at.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetched(file: Remote) -> IO[bytes]:
    """A copy of an object that can be read anywhere in it: in memory, or without a name in the folder for temporary files."""
    copy = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  (the reader closes it)
    with file.open() as stream:
        shutil.copyfileobj(stream, copy, 2**20)
    copy.seek(0)
    return copy


def write_whole(path: Place, content: bytes) -> None:
    """Write a file in one step: a reader sees the one before or this one, also after the power was cut."""
    if isinstance(path, Remote):
        path.write_bytes(content)
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Write a folder's entries to the disk, so that a rename survives a power cut. Some file systems do not support it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_tree(folder: Place) -> None:
    """Remove a folder and all in it, or a file; nothing to do if it is not there. Of this machine, what cannot go stays."""
    if isinstance(folder, Path):
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)
        else:
            with suppress(OSError):
                folder.unlink()
        return
    folder.remove_tree()


@lru_cache(maxsize=16)
def s3_file_system(bucket: str) -> Any:
    """The file system of a bucket, made once per process from the environment's credentials and endpoint."""
    from pyarrow import fs  # 60 MB, for those who use it

    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if not region and not endpoint:
        region = fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(region=region, endpoint_override=endpoint, connect_timeout=CONNECT_S, request_timeout=REQUEST_S)
