from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from dashboards.figures import FPR, calibration, means_figure, roc_band, roc_figure, subject_figure, to_svg
from grid.results.inference import Estimate
from painmodels.tasks import PAIN


def cell(y: list[int], p: list[float], fold: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"fold": fold, "y_true": y, "p_pain": p})


def test_roc_of_a_perfect_and_of_a_blind_fold() -> None:
    perfect = roc_band(cell([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]))
    blind = roc_band(cell([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5]))
    assert perfect is not None
    assert blind is not None
    assert (perfect[0][1:] == 1).all()
    assert blind[0] == pytest.approx(FPR)


def test_roc_band_averages_folds_and_leaves_out_folds_of_one_class(predict: Callable[..., pd.DataFrame]) -> None:
    predictions = predict(rows=("ecg",), scenarios={"all87": [f"s{i}" for i in range(20)]}, folds=4)
    areas = [roc_auc_score(part["y_true"], part["p_pain"]) for _, part in predictions.groupby("fold")]
    one_class = cell([1, 1], [0.4, 0.6], fold=9)
    band = roc_band(pd.concat([predictions, one_class]))
    assert band is not None
    mean, sd = band
    assert np.trapezoid(mean, FPR) == pytest.approx(np.mean(areas), abs=0.01)
    assert (np.diff(mean) >= -1e-12).all()
    assert (sd >= 0).all()
    assert roc_band(one_class) is None


def test_calibration_of_known_predictions() -> None:
    table = calibration(cell([0, 1, 1, 1], [0.25, 0.25, 1.0, 1.0]))
    assert table["observed"].tolist() == [0.5, 1.0]
    assert table["n"].tolist() == [2, 2]


def test_svg_follows_the_theme_and_its_ids_carry_the_name() -> None:
    svg = to_svg(
        roc_figure("a<b>&$x$", ["one"], {"one": (FPR, 0 * FPR)}, {"one": Estimate(0.7, 0.1, 20, 0.1)}, {"one": "†"}),
        "first",
        label='ROC of "a<b>"',
    )
    assert svg.startswith("<svg")
    assert 'role="img" aria-label="ROC of &quot;a&lt;b&gt;&quot;"' in svg
    assert "AUROC 0.70 (0.49–0.91) †" in svg
    assert "currentColor" in svg
    assert "var(--series-0)" in svg
    assert "a&lt;b&gt;&amp;$x$" in svg
    assert ' id="' in svg
    assert all(part.startswith("first-") for part in svg.split(' id="')[1:])


def test_heat_strip_puts_the_least_recognised_subject_first() -> None:
    by_subject = pd.DataFrame({"eda": [0.9, 0.5, 0.7], "ecg": [0.8, np.nan, 0.6]}, index=["a", "b", "c"])
    mesh = subject_figure(by_subject).axes[0].collections[0]
    assert mesh.get_array().filled(-1).tolist() == [[50, 70, 90], [-1, 60, 80]]


def test_figure_3_shows_intervals_and_none_of_no_width() -> None:
    table = pd.DataFrame({"modality": ["eda", "ecg"], "scenario": "s", "protocol": "p", "accuracy_mean": [80.0, 50.0]})
    table = table.assign(
        accuracy_low=[74.0, np.nan], accuracy_high=[86.0, np.nan], accuracy_sd=[1.0, 0.0], paper_accuracy=np.nan
    )
    bars = means_figure(table, [("s", "p", "s")], [0.5], PAIN.main).axes[0].collections[0]
    ends = [path.vertices[:, 0].tolist() for path in bars.get_paths()]
    assert ends[0] == [74.0, 86.0]
    assert len(ends) == 1 or np.isnan(ends[1]).all()
