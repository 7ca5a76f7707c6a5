"""The sub-networks, their training, and trained rows in use: `painmodels.load("folder").predict(video="v.mp4")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from painmodels.use.model import Ensemble as Ensemble
    from painmodels.use.model import Model as Model
    from painmodels.use.model import load as load
    from painmodels.use.predictions import Estimate as Estimate
    from painmodels.use.predictions import Prediction as Prediction

__all__ = ["Ensemble", "Estimate", "Model", "Prediction", "load"]


def __getattr__(name: str) -> Any:
    """Public functions, imported on first use: the grid's driver imports single modules without torch."""
    if name in ("Ensemble", "Model", "load"):
        from painmodels.use import model

        return getattr(model, name)
    if name in ("Estimate", "Prediction"):
        from painmodels.use import predictions

        return getattr(predictions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
