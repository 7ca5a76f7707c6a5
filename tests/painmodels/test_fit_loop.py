"""The training loop: it learns, it repeats to the byte, and it goes on after being killed."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save

from painmodels.checkpoints import Checkpoint, file_checkpoint
from painmodels.fit import Fitted, fit, outputs
from painmodels.registry import SubNetwork, network

N, T = 96, 12
LABELS = np.arange(N) % 2


def planted(*shape: int, strength: float = 1.5, dtype: type = np.float32) -> np.ndarray:
    """Noise (N, *shape); in class 1 the first feature is higher, in sequences over the second half."""
    x = np.random.default_rng(1).normal(size=(N, *shape)) * 0.5
    x[LABELS == 1, ..., 0] += strength * (np.arange(shape[0]) >= shape[0] // 2 if len(shape) > 1 else 1)
    return x.astype(dtype)


CASES = {
    "spatial": (network("spatial", "fc7"), {"width": 32, "lr": 1e-2, "epochs": 12}, [planted(T, 16, dtype=np.float16)]),
    "temporal": (network("temporal", "lstm"), {"lr": 1e-2, "epochs": 12, "batch": 16}, [planted(T, 8)]),
    "attention": (network("attention", "additive"), {"lr": 3e-2, "epochs": 60, "batch": 16}, [planted(T, 3)]),
    "physiological": (network("physiological", "lstm"), {"lr": 1e-2, "epochs": 12, "batch": 16}, [planted(T, 2)]),
    "fusion": (network("fusion", "concat"), {"lr": 1e-2, "epochs": 12, "batch": 16}, [planted(6), planted(6)]),
}
SMALL = {"epochs": 4, "batch": 20, "hidden": 6, "dropout": 0.3, "milestones": (2,)}
LSTM = network("physiological", "lstm")


def same(one: Fitted, two: Fitted) -> bool:
    return one.curve == two.curve and all(one.weights[k].tobytes() == v.tobytes() for k, v in two.weights.items())


@pytest.mark.parametrize("role", CASES)
def test_a_planted_signal_is_learnt_and_generalises(role: str) -> None:
    entry, values, inputs = CASES[role]
    settings = entry.settings(**values)
    train, test = np.arange(N) < 64, np.arange(N) >= 64
    fitted = fit(entry, settings, [x[train] for x in inputs], LABELS[train], seed=0)
    assert [row["epoch"] for row in fitted.curve] == list(range(settings.epochs))
    assert fitted.curve[-1]["loss"] < fitted.curve[0]["loss"]
    probability = outputs(entry, settings, fitted.weights, [x[test] for x in inputs], what="probability")
    late = probability[:, T // 2 :].mean(1) if entry.per_frame else probability
    assert ((late > 0.5) == LABELS[test]).mean() > 0.9


def test_labels_without_a_signal_teach_nothing() -> None:
    entry, values, _ = CASES["fusion"]
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(400, 6)).astype(np.float32) for _ in range(2)]
    y = rng.permutation(np.arange(400) % 2)
    settings = entry.settings(**values)
    fitted = fit(entry, settings, [v[:200] for v in x], y[:200], seed=0)
    probability = outputs(entry, settings, fitted.weights, [v[200:] for v in x], what="probability")
    assert abs(((probability > 0.5) == y[200:]).mean() - 0.5) < 0.12  # three standard errors of 200 coin flips


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


class Killed(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("role", ["physiological", "spatial"])
@pytest.mark.parametrize("killed_in", [2, 5])
def test_a_killed_fit_goes_on_to_the_same_bytes(role: str, killed_in: int, tmp_path: Path) -> None:
    entry, values, inputs = CASES[role]
    extra = {"dropout": 0.3, "hidden": 6} if role == "physiological" else {}
    settings = entry.settings(**{**values, **extra, "epochs": 8, "milestones": (3, 6)})
    whole = fit(entry, settings, inputs, LABELS, seed=2)
    checkpoint = file_checkpoint(tmp_path / "state.safetensors", every=2)

    def kill(row: dict) -> None:
        if row["epoch"] == killed_in:
            raise Killed

    with pytest.raises(Killed):
        fit(entry, settings, inputs, LABELS, seed=2, on_epoch=kill, checkpoint=checkpoint)
    resumed: list[float] = []
    again = fit(
        entry, settings, inputs, LABELS, seed=2, on_epoch=lambda row: resumed.append(row["epoch"]), checkpoint=checkpoint
    )
    assert resumed[0] == killed_in // 2 * 2  # only what was lost is done again
    assert same(whole, again)
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_checkpoint_of_another_fit_begins_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = file_checkpoint(tmp_path / "state.safetensors", every=1)
    x = [planted(T, 2)]
    fit(LSTM, LSTM.settings(**SMALL), x, LABELS, seed=0, checkpoint=checkpoint, until=1)
    kept = (tmp_path / "state.safetensors").read_bytes()
    for settings, labels, seed in (
        (LSTM.settings(**SMALL), LABELS, 1),
        (LSTM.settings(**{**SMALL, "lr": 1e-2}), LABELS, 0),
        (LSTM.settings(**SMALL), 1 - LABELS, 0),
    ):
        caplog.clear()
        (tmp_path / "state.safetensors").write_bytes(kept)
        anew = fit(LSTM, settings, x, labels, seed=seed, checkpoint=checkpoint)
        assert same(anew, fit(LSTM, settings, x, labels, seed=seed))
        assert "found that of another fit" in caplog.text


DAMAGE = {
    "empty": lambda content: b"",
    "eight bytes": lambda content: content[:8],
    "cut in the header": lambda content: content[:100],
    "cut in the arrays": lambda content: content[: len(content) * 2 // 3],
    "zeros of the same length": lambda content: bytes(len(content)),
    "a page of zeros among the arrays": lambda content: content[:-4096] + bytes(4096),
    "garbage": lambda content: np.random.default_rng(0).bytes(len(content)),
    "a flipped bit": lambda content: content[:-200] + bytes([content[-200] ^ 1]) + content[-199:],
    "a picture": lambda content: b"\x89PNG\r\n\x1a\n" + content,
    "arrays of other names": lambda content: save({"a": np.zeros(3)}),
    "other shapes": lambda content: save({k: v[..., :1] if v.ndim else v for k, v in load(content).items()}),
    "other types": lambda content: save({k: v.astype(np.float16) for k, v in load(content).items()}),
    "one array missing": lambda content: save(dict(list(load(content).items())[1:])),
    "none of the older versions' checksums": lambda content: save({k: v for k, v in load(content).items() if k != "sha256"}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_begins_anew_and_says_so(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    """As a power cut, a bad disk or another program leaves it: the fit has the weights that it would have had."""
    path = tmp_path / "state.safetensors"
    checkpoint, x = file_checkpoint(path, every=1), [planted(T, 2)]
    whole = fit(LSTM, LSTM.settings(**SMALL), x, LABELS, seed=0)
    fit(LSTM, LSTM.settings(**SMALL), x, LABELS, seed=0, checkpoint=checkpoint, until=2)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    epochs: list[int] = []
    again = fit(
        LSTM, LSTM.settings(**SMALL), x, LABELS, seed=0, checkpoint=checkpoint, on_epoch=lambda r: epochs.append(r["epoch"])
    )
    assert epochs[0] == 0
    assert same(whole, again)
    (line,) = [r.getMessage() for r in caplog.records]
    assert str(path) in line
    assert "this fit begins anew" in line


def test_a_folder_in_a_checkpoints_place_is_no_obstacle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint, x = file_checkpoint(tmp_path / "state", every=1), [planted(T, 2)]
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "x").touch()
    fit(LSTM, LSTM.settings(**SMALL), x, LABELS, seed=0, checkpoint=checkpoint, until=1)
    assert "this fit begins anew" in caplog.text
    assert (tmp_path / "state").is_file()


def test_a_state_of_right_checksum_and_wrong_shape_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    kept: list[dict] = []
    x, settings = [planted(T, 2)], LSTM.settings(**SMALL)
    whole = fit(LSTM, settings, x, LABELS, seed=0, checkpoint=Checkpoint(1, kept.append, lambda: None))
    for name, value in (
        ("curve", np.zeros(4)),
        ("curve", np.zeros((2, 3))),
        ("gradient_norm", np.zeros(7)),
        ("model/head.bias", np.zeros(3, np.float32)),
        ("adam/head.bias/step", np.zeros(2, np.float32)),
    ):
        caplog.clear()
        state = {**kept[0], name: value}
        again = fit(LSTM, settings, x, LABELS, seed=0, checkpoint=Checkpoint(1, lambda s: None, lambda s=state: s))
        assert same(whole, again)
        assert "this fit begins anew" in caplog.text


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync of the file, then the rename, then fsync of the folder."""
    done: list[str] = []
    whole = {name: getattr(os, name) for name in ("fsync", "replace")}
    kind = lambda fd: "folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file"  # noqa: E731
    monkeypatch.setattr(os, "fsync", lambda fd: (done.append(f"fsync {kind(fd)}"), whole["fsync"](fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("rename"), whole["replace"](a, b))[1])
    file_checkpoint(tmp_path / "state", every=1).save({"a": np.zeros(3)})
    assert done == ["fsync file", "rename", "fsync folder"]


def test_a_checkpoint_is_plain_arrays() -> None:
    saved: list[dict] = []
    fit(
        LSTM,
        LSTM.settings(**SMALL),
        [planted(T, 2)],
        LABELS,
        seed=0,
        checkpoint=Checkpoint(2, saved.append, lambda: None),
    )
    assert len(saved) == 1  # not after the last epoch: the fit itself is the result
    assert all(isinstance(v, np.ndarray) and v.dtype != object for v in saved[0].values())


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
        p = outputs(entry, settings, weights, inputs, what="probability", batch=7)
        f = outputs(entry, settings, weights, inputs, what="features", batch=7)
        assert (p.shape, f.shape) == (probability, features)
        assert (p.dtype, f.dtype) == (np.float32, np.float16 if entry.per_frame else np.float32)
        assert ((p >= 0) & (p <= 1)).all()
        one = outputs(entry, settings, weights, [x[3:4] for x in inputs], what="probability")
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
    with pytest.raises(ValueError, match="expected 'features', 'sequence', 'probability' or 'attention'"):
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
    probability = outputs(entry, settings, fitted.weights, inputs, what="probability", device="cuda")
    assert ((probability > 0.5) == LABELS).mean() > 0.9
