"""The layout of a store, in a file at its root, so that another version of this program does not misread it."""

from __future__ import annotations

import json

from dataprep.records import InputError
from dataprep.storage import write_whole
from grid.store.artefacts import Store

LAYOUT = 2
"""1: drafts and marks without a driver's name, no such file; it is read as it is. 2: this one."""
FILE = "layout.json"


def check_layout(store: Store) -> None:
    """Raises InputError, in one sentence that says what to do, if this version cannot read the store."""
    at = store.root / FILE
    try:
        found = json.loads(at.read_text(encoding="utf-8"))["layout"]
    except FileNotFoundError:
        return  # new, or of layout 1
    except (ValueError, KeyError, TypeError):
        found = "no number"
    if not isinstance(found, int) or isinstance(found, bool) or not 1 <= found <= LAYOUT:
        raise InputError(
            f"{at}: found layout {found}, expected 1 to {LAYOUT}: this store was made by a later version of pain-grid, or the "
            "file is damaged; install that version, or choose another --store"
        )


def mark_layout(store: Store) -> None:
    """Write the layout of a store."""
    at = store.root / FILE
    if not at.exists() or json.loads(at.read_text(encoding="utf-8"))["layout"] < LAYOUT:
        write_whole(at, json.dumps({"layout": LAYOUT}).encode())
