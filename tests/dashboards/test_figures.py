from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from dashboards.figures import FPR, calibration, roc_band, roc_figure, subject_figure, to_svg


def cell(y: list[int], p: list[float], fold: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"fold": fold, "y_true": y, "p_pain": p})


def test_roc_of_a_perfect_and_of_a_blind_fold() -> None:
    perfect = roc_band(cell([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]))
    blind = roc_band(cell([0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5]))
    assert perfect is not None
    assert blind is not None
    assert (perfect[0][1:] == 1).all()
    assert perfect[2] == 1.0
    assert blind[0] == pytest.approx(FPR)
    assert blind[2] == 0.5


def test_roc_band_averages_folds_and_leaves_out_folds_of_one_class(predict: Callable[..., pd.DataFrame]) -> None:
    predictions = predict(rows=("ecg",), scenarios={"all87": [f"s{i}" for i in range(20)]}, folds=4)
    areas = [roc_auc_score(part["y_true"], part["p_pain"]) for _, part in predictions.groupby("fold")]
    one_class = cell([1, 1], [0.4, 0.6], fold=9)
    band = roc_band(pd.concat([predictions, one_class]))
    assert band is not None
    mean, sd, area, area_sd = band
    assert area == pytest.approx(np.mean(areas))
    assert area_sd == pytest.approx(np.std(areas, ddof=1))
    assert np.trapezoid(mean, FPR) == pytest.approx(area, abs=0.01)
    assert (np.diff(mean) >= -1e-12).all()
    assert (sd >= 0).all()
    assert roc_band(one_class) is None


def test_calibration_error_of_known_predictions() -> None:
    table, error = calibration(cell([0, 1, 1, 1], [0.25, 0.25, 1.0, 1.0]))
    assert table["observed"].tolist() == [0.5, 1.0]
    assert table["n"].tolist() == [2, 2]
    assert error == pytest.approx(0.125)


def test_svg_follows_the_theme_and_its_ids_carry_the_name() -> None:
    svg = to_svg(roc_figure("a<b>&$x$", {"one": cell([0, 1, 0, 1], [0.2, 0.9, 0.6, 0.4])}), "first")
    assert svg.startswith("<svg")
    assert "currentColor" in svg
    assert "var(--series-0)" in svg
    assert "a&lt;b&gt;&amp;$x$" in svg
    assert ' id="' in svg
    assert all(part.startswith("first-") for part in svg.split(' id="')[1:])


def test_heat_strip_puts_the_least_recognised_subject_first() -> None:
    by_subject = pd.DataFrame({"eda": [0.9, 0.5, 0.7], "ecg": [0.8, np.nan, 0.6]}, index=["a", "b", "c"])
    mesh = subject_figure(by_subject).axes[0].collections[0]
    assert mesh.get_array().filled(-1).tolist() == [[50, 70, 90], [-1, 60, 80]]
