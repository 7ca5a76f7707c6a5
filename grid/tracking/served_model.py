"""The code of a registered model: MLflow runs this file when it loads one (its "models from code", so nothing is unpickled).

The model itself is the artefact `model`, a folder as `painmodels.export` writes it. Inputs, float32, with a leading dimension of
recordings: `video` (N, T, F), what the row takes of each frame (such as the frozen trunk's features), and `signals` (N, n_steps,
C), on the clock and unscaled; those that the row uses. Output (N, K): the probability of each class or level, the first of which
is no pain; or (N, 1), the number that the task gives, in its unit. Where a recording cannot be judged, an error names it and
says why: leave it out and ask again.

For files instead of arrays, `served = mlflow.pyfunc.load_model(URI)` and

    inputs = served.unwrap_python_model().inputs(video="v.mp4", signals="x_bio.csv")     # what served.predict takes

or `served.unwrap_python_model().model`, which is what `painmodels.load` gives, with `.predict(video=…, signals=…)`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

from painmodels.training.loop import one_thread
from painmodels.use.judgeable import NoEstimate
from painmodels.use.model import load


class Served(PythonModel):
    """An exported row behind MLflow's `predict`."""

    _skip_type_hint_validation = True  # the signature is checked, and says more than types could

    def load_context(self, context: PythonModelContext) -> None:
        """Read the exported folder. Raises ValueError if it is damaged."""
        self.model = load(Path(context.artifacts["model"]))

    def inputs(self, *, video: str | None = None, signals: str | None = None) -> dict[str, np.ndarray]:
        """One recording's files as the arrays that `predict` takes. Raises InputError, RecordingError, NoEstimate."""
        with one_thread():
            video_TF, signals_TC = self.model.read(video=video, signals=signals)
        given = {"video": video_TF, "signals": signals_TC}
        return {name: x[None].astype(np.float32) for name, x in given.items() if x is not None}

    def predict(self, context, model_input, params=None):  # no types: MLflow would read them as a schema
        """Predictions (N, K) or (N, 1), one recording after the other: a result does not depend on what else was asked."""
        many = len(next(iter(model_input.values())))
        video_NTF, signals_NTC = model_input.get("video"), model_input.get("signals")
        found, reasons = [], []
        with one_thread():
            for i in range(many):
                try:
                    video_TF = None if video_NTF is None else video_NTF[i]
                    found.append(self.model.of_arrays(video_TF, None if signals_NTC is None else signals_NTC[i]))
                except NoEstimate as reason:
                    reasons.append(f"recording {i}: {reason}")
        if reasons:
            more = f" (and {len(reasons) - 5} more)" if len(reasons) > 5 else ""
            raise NoEstimate(f"no estimate for {len(reasons)} of {many} recordings: {'; '.join(reasons[:5])}{more}")
        return np.stack([f.served for f in found]).astype(np.float32)


set_model(Served())
