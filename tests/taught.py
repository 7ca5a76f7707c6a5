"""Verdicts planted in a copy of the tiny grid."""

from __future__ import annotations

import json
from pathlib import Path


def teach(out: Path, stage: str, *, last_loss: float = 0.1) -> None:
    """Let every fit of these stages have learned: hardly any of the tiny grid's does in its few epochs."""
    for file in (out / "store").glob(f"{stage}/*/manifest.json"):
        manifest = json.loads(file.read_text())
        manifest["facts"]["learning"] = {**manifest["facts"]["learning"], "lowest_loss": 0.1, "last_loss": last_loss}
        file.write_text(json.dumps(manifest))
