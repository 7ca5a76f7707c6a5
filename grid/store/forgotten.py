"""The state of removals in a store, under a slow salted hash of the subject's name.

So a removal that was killed is known to be unfinished, and one that is repeated is no mistake in spelling. The name is not kept;
who has a list of all possible names can find out which were removed, as from the names that are left.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress

from dataprep.records import InputError
from dataprep.storage import Place, write_whole
from grid.store.artefacts import Store

FOLDER = ".forgotten"
BEGUN, DONE = "begun", "done"


def state_of(store: Store, subject: str) -> str:
    """BEGUN, DONE, or empty if nobody ever removed this subject here."""
    at = _find(store, subject)
    return json.loads(at.read_text(encoding="utf-8"))["state"] if at else ""


def note(store: Store, subject: str, state: str) -> None:
    """Store the state of a subject's removal."""
    at = _find(store, subject)
    if at:
        kept = json.loads(at.read_text(encoding="utf-8"))
    else:
        salt = os.urandom(16).hex()
        kept = {"salt": salt, "hash": _hash(subject, salt)}
        at = store.root / FOLDER / salt[:12]
        at.parent.mkdir(parents=True, exist_ok=True)
    write_whole(at, json.dumps({**kept, "state": state}).encode())


def unfinished(store: Store) -> bool:
    """Whether a removal was begun here and has not ended."""
    for at in (store.root / FOLDER).glob("*"):
        with suppress(ValueError, KeyError, FileNotFoundError):
            if not at.name.startswith(".") and json.loads(at.read_text(encoding="utf-8"))["state"] == BEGUN:
                return True
    return False


def refuse_unfinished(store: Store) -> None:
    """Raises InputError if a removal was begun here and has not ended: nothing may be built on half of one."""
    if unfinished(store):
        raise InputError(
            f"{store.root}: the removal of a subject was begun here and has not ended; finish it by the same command "
            "(python -m grid.store forget SUBJECT --out DIR), then start this again"
        )


def _find(store: Store, subject: str) -> Place | None:
    for at in (store.root / FOLDER).glob("*"):
        with suppress(ValueError, KeyError, FileNotFoundError):
            kept = json.loads(at.read_text(encoding="utf-8"))
            if not at.name.startswith(".") and kept["hash"] == _hash(subject, kept["salt"]):
                return at
    return None


def _hash(subject: str, salt: str) -> str:
    return hashlib.scrypt(subject.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1, dklen=16).hex()
