"""The sub-networks, their training, and trained rows in use: `painmodels.load("folder").predict(video="v.mp4")`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from painmodels.model import Ensemble as Ensemble
    from painmodels.model import Model as Model
    from painmodels.model import load as load
    from painmodels.predictions import Estimate as Estimate
    from painmodels.predictions import Prediction as Prediction

__all__ = ["Ensemble", "Estimate", "Model", "Prediction", "load"]


def __getattr__(name: str) -> Any:
    """What is used from outside, imported when it is asked for: the grid's driver takes single modules without torch."""
    if name in ("Ensemble", "Model", "load"):
        from painmodels import model

        return getattr(model, name)
    if name in ("Estimate", "Prediction"):
        from painmodels import predictions

        return getattr(predictions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
