"""The training loop: it learns, it repeats to the byte, and it goes on after being killed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from painmodels.registry import SubNetwork, network
from painmodels.training.loop import fit, outputs
from tests.painmodels.training.small_fits import CASES, LABELS, LSTM, SMALL, N, T, planted, same


@pytest.mark.slow
@pytest.mark.parametrize("role", CASES)
def test_a_planted_signal_is_learnt_and_generalises(role: str) -> None:
    entry, values, inputs = CASES[role]
    settings = entry.settings(**values)
    train, test = np.arange(N) < 64, np.arange(N) >= 64
    fitted = fit(entry, settings, [x[train] for x in inputs], LABELS[train], seed=0)
    assert [row["epoch"] for row in fitted.curve] == list(range(settings.epochs))
    assert fitted.curve[-1]["loss"] < fitted.curve[0]["loss"]
    probability = outputs(entry, settings, fitted.weights, [x[test] for x in inputs], what="prediction")
    late = probability[:, T // 2 :].mean(1) if entry.per_frame else probability
    assert ((late > 0.5) == LABELS[test]).mean() > 0.9


def test_labels_without_a_signal_teach_nothing() -> None:
    entry, values, _ = CASES["fusion"]
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(400, 6)).astype(np.float32) for _ in range(2)]
    y = rng.permutation(np.arange(400) % 2)
    settings = entry.settings(**values)
    fitted = fit(entry, settings, [v[:200] for v in x], y[:200], seed=0)
    probability = outputs(entry, settings, fitted.weights, [v[200:] for v in x], what="prediction")
    assert abs(((probability > 0.5) == y[200:]).mean() - 0.5) < 0.12  # three standard errors of 200 coin flips


@pytest.mark.slow
@pytest.mark.parametrize("role", CASES)
def test_equal_arguments_give_equal_bytes_whatever_the_threads(role: str) -> None:
    entry, values, inputs = CASES[role]
    settings = entry.settings(**{**values, "epochs": 2})
    before, state = torch.get_num_threads(), torch.get_rng_state()
    try:
        runs = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.rand(threads)  # the global generator must not matter
            runs.append(fit(entry, settings, inputs, LABELS, seed=5))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
        torch.set_rng_state(state)
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])
    assert not same(runs[0], fit(entry, settings, inputs, LABELS, seed=6))


def test_the_bytes_do_not_depend_on_threads_where_the_arithmetic_alone_would() -> None:
    """Matrix products of these odd sizes round differently when they are split over three threads."""
    x = np.random.default_rng(0).normal(size=(71, 127, 301)).astype(np.float32)
    entry = network("spatial", "fc7")
    settings = entry.settings(epochs=2, width=37, batch=71 * 127, lr=1e-2)
    before, runs = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            runs.append(fit(entry, settings, [x], np.arange(71) % 2, seed=0))
    finally:
        torch.set_num_threads(before)
    assert same(*runs)


def test_every_epoch_has_its_own_random_numbers() -> None:
    settings = LSTM.settings(**{**SMALL, "lr": 0.0, "batch": N})  # nothing is learnt: only dropout differs
    curve = fit(LSTM, settings, [planted(T, 2)], LABELS, seed=0).curve
    assert len({row["loss"] for row in curve}) == len(curve)


@pytest.mark.parametrize("asked", [False, True])
def test_products_are_float32_unless_asked_and_the_process_keeps_its_own_setting(asked: bool) -> None:
    def now() -> tuple[bool, bool]:
        return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32

    before, seen = now(), []
    settings = LSTM.settings(**{**SMALL, "epochs": 1}, tf32=asked)
    fit(LSTM, settings, [planted(T, 2)], LABELS, seed=0, on_epoch=lambda _: seen.append(now()))
    assert seen == [(asked, asked)]
    assert now() == before


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    settings = LSTM.settings(**SMALL)
    fitted = fit(LSTM, settings, [planted(T, 2)], LABELS, seed=0)
    outputs(LSTM, settings, fitted.weights, [planted(T, 2)], what="features")
    assert torch.equal(torch.get_rng_state(), state)


def test_the_learning_rate_is_that_of_multisteplr() -> None:
    settings = LSTM.settings(epochs=6, hidden=4, milestones=(2, 4), gamma=0.5, lr=0.1)
    seen: list[dict] = []
    fit(LSTM, settings, [planted(T, 1)], LABELS, seed=0, on_epoch=seen.append)
    optimiser = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimiser, [2, 4], gamma=0.5)
    expected = []
    for _ in range(6):
        expected.append(scheduler.get_last_lr()[0])
        optimiser.step()
        scheduler.step()
    np.testing.assert_allclose([row["lr"] for row in seen], expected)


def test_one_epoch_is_plain_adam_on_the_cross_entropy() -> None:
    """The loop against a few lines written out: one batch that holds everything, so that order plays no part."""
    entry = network("fusion", "concat")
    settings = entry.settings(epochs=1, batch=N, lr=1e-2)
    inputs = [planted(6), planted(6)]
    start = fit(entry, entry.settings(epochs=0), inputs, LABELS, seed=3).weights
    model = entry.build(settings, [6, 6])
    model.load_state_dict({k: torch.from_numpy(v) for k, v in start.items()})
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    loss = torch.nn.functional.cross_entropy(model(*map(torch.from_numpy, inputs)), torch.from_numpy(LABELS))
    loss.backward()
    optimiser.step()
    fitted = fit(entry, settings, inputs, LABELS, seed=3)
    assert fitted.curve[0]["loss"] == pytest.approx(loss.item(), rel=1e-5)
    for key, value in model.state_dict().items():
        np.testing.assert_allclose(fitted.weights[key], value.numpy(), atol=2e-5)


def test_the_settings_reach_the_network() -> None:
    entry = network("spatial", "fc7")
    fitted = fit(entry, entry.settings(epochs=0, width=10), [planted(T, 16)], LABELS, seed=0)
    assert {k: v.shape for k, v in fitted.weights.items()} == {
        "fc7.weight": (10, 16),
        "fc7.bias": (10,),
        "fc8.weight": (2, 10),
        "fc8.bias": (2,),
    }
    assert all(v.dtype == np.float32 for v in fitted.weights.values())


def test_initial_weights_are_taken_and_checked() -> None:
    entry = network("spatial", "fc7")
    settings = entry.settings(epochs=0, width=4)
    start = {"fc7.weight": np.arange(64, dtype=np.float32).reshape(4, 16)}
    fitted = fit(entry, settings, [planted(T, 16)], LABELS, seed=0, initial=start)
    np.testing.assert_array_equal(fitted.weights["fc7.weight"], start["fc7.weight"])
    with pytest.raises(ValueError, match=r"fc7.weight \(16, 4\)"):
        fit(entry, settings, [planted(T, 16)], LABELS, seed=0, initial={"fc7.weight": start["fc7.weight"].T})


def test_outputs_have_one_row_a_trial_and_do_not_depend_on_the_batch() -> None:
    for role, probability, features in (
        ("spatial", (N, T), (N, T, 32)),
        ("temporal", (N,), (N, T, 64)),
        ("attention", (N,), (N, 3)),
        ("physiological", (N,), (N, 64)),
        ("fusion", (N,), (N, 64)),
    ):
        entry, values, inputs = CASES[role]
        settings = entry.settings(**{**values, "epochs": 1})
        weights = fit(entry, settings, inputs, LABELS, seed=0).weights
        p = outputs(entry, settings, weights, inputs, what="prediction", batch=7)
        f = outputs(entry, settings, weights, inputs, what="features", batch=7)
        assert (p.shape, f.shape) == (probability, features)
        assert (p.dtype, f.dtype) == (np.float32, np.float16 if entry.per_frame else np.float32)
        assert ((p >= 0) & (p <= 1)).all()
        one = outputs(entry, settings, weights, [x[3:4] for x in inputs], what="prediction")
        np.testing.assert_allclose(one, p[3:4], atol=1e-5)
        assert outputs(entry, settings, weights, [x[:0] for x in inputs], what="features").shape == (0, *features[1:])


def test_read_only_inputs_are_taken_as_they_are(recwarn: pytest.WarningsRecorder) -> None:
    x = planted(T, 2)
    x.flags.writeable = False
    before = x.copy()
    fit(LSTM, LSTM.settings(**SMALL), [x], LABELS, seed=0)
    np.testing.assert_array_equal(x, before)
    assert not [w for w in recwarn if "not writable" in str(w.message)]


def bad(x: list[np.ndarray], y: np.ndarray, match: str, entry: SubNetwork = LSTM, **settings) -> tuple:
    return entry, settings, x, y, match


@pytest.mark.parametrize(
    ("entry", "settings", "x", "y", "match"),
    [
        bad([planted(T, 2)], LABELS[:-1], f"expected {N}"),
        bad([planted(T, 2)], LABELS + 1, "values .1, 2."),
        bad([planted(T, 2)[:0]], LABELS[:0], "at least 1"),
        bad([], LABELS, "expected .N, T, F. or .N, F."),
        bad([planted(6), planted(6)[:-1]], LABELS, "with one N", network("fusion", "concat")),
        bad([planted(16)], LABELS, "expected .N, T, F. with one N", network("spatial", "fc7")),
        bad([planted(T, 2) * np.nan], LABELS, "physiological lstm: the loss is nan in epoch 0", epochs=1),
    ],
)
def test_bad_input_is_named(entry: SubNetwork, settings: dict, x: list[np.ndarray], y: np.ndarray, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        fit(entry, entry.settings(**settings), x, y, seed=0)


def test_outputs_refuse_what_does_not_fit() -> None:
    settings = LSTM.settings(**SMALL)
    weights = fit(LSTM, settings, [planted(T, 2)], LABELS, seed=0).weights
    with pytest.raises(ValueError, match="expected 'features', 'probabilities', 'sequence', 'prediction' or 'attention'"):
        outputs(LSTM, settings, weights, [planted(T, 2)], what="logits")
    with pytest.raises(ValueError, match="weight_ih_l0"):
        outputs(LSTM, settings, weights, [planted(T, 3)], what="features")
    with pytest.raises(ValueError, match=r"missing \['head.bias'\]"):
        outputs(LSTM, settings, {k: v for k, v in weights.items() if k != "head.bias"}, [planted(T, 2)], what="features")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_learns_the_same() -> None:
    entry, values, inputs = CASES["physiological"]
    settings = entry.settings(**values)
    fitted = fit(entry, settings, inputs, LABELS, seed=0, device="cuda")
    probability = outputs(entry, settings, fitted.weights, inputs, what="prediction", device="cuda")
    assert ((probability > 0.5) == LABELS).mean() > 0.9
