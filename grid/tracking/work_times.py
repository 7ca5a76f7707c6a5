"""When work was done, in ms as MLflow has it: a stage ends when its artefact was published, and took the seconds it recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Span = tuple[int, int]


def of_stage(stage: Mapping[str, Any] | None) -> Span | None:
    """Start and end of a stage, an entry of `stage_runs.manifests`; None if nothing is known."""
    if stage is None or not stage.get("ended_s"):
        return None
    seconds = float(stage["facts"].get("seconds") or 0.0)
    return int(1000 * (stage["ended_s"] - seconds)), int(1000 * stage["ended_s"])


def around(spans: Iterable[Span | None]) -> Span | None:
    """From the first start to the last end; None if none is known."""
    known = [span for span in spans if span is not None]
    return (min(start for start, _ in known), max(end for _, end in known)) if known else None
