import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from painmodels.tasks import PAIN
from painmodels.tasks.binary import METRICS, auroc

KNOWN = ("accuracy", "f1", "sensitivity", "specificity", "auroc", "balanced_accuracy", "brier")


def score(y_N: np.ndarray, p_N: np.ndarray) -> dict[str, float]:
    return PAIN.score(y_N, p_N[:, None])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=60))
def test_agrees_with_scikit_learn(units: list[tuple[int, int]]) -> None:
    y = np.array([0, 1] + [u[0] for u in units])
    p = np.array([0.3, 0.6] + [u[1] / 20 for u in units])  # twentieths, so that there are ties and values of exactly 0.5
    called = (p > 0.5).astype(int)
    expected = {
        "accuracy": sk.accuracy_score(y, called),
        "f1": sk.f1_score(y, called),
        "sensitivity": sk.recall_score(y, called),
        "specificity": sk.recall_score(y, called, pos_label=0),
        "auroc": sk.roc_auc_score(y, p),
        "balanced_accuracy": sk.balanced_accuracy_score(y, called),
        "brier": sk.brier_score_loss(y, p),
    }
    found = score(y, p)
    assert tuple(found) == tuple(metric.name for metric in METRICS)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert (PAIN.confusion(y, p[:, None]) == sk.confusion_matrix(y, called)).all()


def test_one_class_leaves_metrics_undefined() -> None:
    y, p = np.zeros(4, dtype=int), np.array([0.1, 0.2, 0.3, 0.4])
    values = score(y, p)
    assert {name for name in KNOWN if np.isnan(values[name])} == {"f1", "sensitivity", "auroc", "balanced_accuracy"}
    assert values["accuracy"] == 1.0
    assert values["specificity"] == 1.0

    only_pain = score(np.ones(3, dtype=int), np.array([0.9, 0.1, 0.2]))
    assert {name for name in KNOWN if np.isnan(only_pain[name])} == {"specificity", "auroc", "balanced_accuracy"}


def test_a_false_alarm_without_any_pain_has_f1_zero() -> None:
    y, p = np.zeros(2, dtype=int), np.array([0.9, 0.1])
    assert score(y, p)["f1"] == 0.0


def test_constant_prediction_has_chance_auroc() -> None:
    assert auroc(np.array([0, 1, 1, 0]), np.full(4, 0.7)) == 0.5


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([], [], "above 0"),
        ([0, 1], [0.5], "shapes"),
        ([0, 2], [0.5, 0.5], "0 and 1"),
        ([0, 1], [0.5, 1.5], "1.5"),
        ([0, 1], [0.5, float("nan")], "nan"),
    ],
)
def test_refuses_what_is_no_prediction(y: list[int], p: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(np.array(y), np.array(p))
