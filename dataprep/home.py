"""The user's home folder; in a container a user may have none."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def home() -> Path:
    """The user's home, or a folder for temporary files where HOME is not set and the user id has no entry of its own.

    That is written into HOME then: libraries look for it as they are imported, and child processes do.
    """
    try:
        return Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()
        return Path(os.environ["HOME"])
