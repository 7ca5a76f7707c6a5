"""The trained sub-networks: the contract all of them share, and what each promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from painmodels.networks.attention_additive import ACTIVATIONS
from painmodels.networks.attention_additive import NETWORK as ATTENTION
from painmodels.registry import ROLES, SubNetwork, Training, network, networks
from painmodels.training.loop import fit, outputs

B, T = 3, 7
# role -> shapes of one trial's inputs (one frame's, for the spatial network)
INPUTS = {
    "spatial": [(32,)],
    "temporal": [(T, 32)],
    "attention": [(T, 64)],
    "physiological": [(T, 2)],
    "fusion": [(64,), (64,)],
}


def built(entry: SubNetwork, **settings) -> tuple[torch.nn.Module, list[torch.Tensor]]:
    torch.manual_seed(0)
    shapes = [(T, 32), (T, 64)] if entry.sequences else INPUTS[entry.role]
    module = entry.build(entry.settings(**settings), [s[-1] for s in shapes])
    return module.eval(), [torch.randn(B, *shape) for shape in shapes]


@pytest.mark.parametrize("key", networks(), ids="-".join)
def test_every_network_obeys_the_contract(key: tuple[str, str]) -> None:
    entry = network(*key)
    module, inputs = built(entry)
    assert isinstance(entry.settings(), Training)
    assert entry.keeps_statistics == any(isinstance(layer, _BatchNorm) for layer in module.modules())
    assert module(*inputs).shape == (B, 2)
    features = module.features(*inputs)
    assert features.shape[0] == B
    with torch.inference_mode():  # a row does not depend on the rows beside it
        alone = torch.cat([module(*(x[i : i + 1] for x in inputs)) for i in range(B)])
        torch.testing.assert_close(module(*inputs), alone)
    if entry.role == "attention":
        obeys_its_mask(module, inputs[0])
    five, _ = built(entry, classes=5)
    assert five(*inputs).shape == (B, 5)


def obeys_its_mask(module: torch.nn.Module, h_BTH: torch.Tensor) -> None:
    """The grid gives the attention a mask, as numbers: a step without a frame has no weight, and its content no influence."""
    mask_BT = torch.ones(B, T)
    mask_BT[0, 5:] = mask_BT[1, :1] = 0
    other_BTH = torch.where(mask_BT[..., None] == 0, torch.randn(B, T, h_BTH.shape[-1]) * 100, h_BTH)
    with torch.inference_mode():
        weights_BT = module.weights(h_BTH, mask_BT)
        assert weights_BT.shape == (B, T)
        assert (weights_BT[mask_BT == 0] == 0).all()
        for way in (module, module.features, module.weights):
            torch.testing.assert_close(way(h_BTH, mask_BT), way(other_BTH, mask_BT))
        torch.testing.assert_close(module(h_BTH, torch.ones(B, T)), module(h_BTH))


def test_a_network_that_knows_no_mask_breaks_the_contract() -> None:
    class Blind(torch.nn.Linear):
        def features(self, h_BTH: torch.Tensor, mask_BT: torch.Tensor | None = None) -> torch.Tensor:
            return h_BTH.mean(1)

        def weights(self, h_BTH: torch.Tensor, mask_BT: torch.Tensor | None = None) -> torch.Tensor:
            return torch.full(h_BTH.shape[:2], 1 / h_BTH.shape[1])

    with pytest.raises(AssertionError):
        obeys_its_mask(Blind(64, 2), torch.randn(B, T, 64))


def test_every_role_has_a_network() -> None:
    assert {role for role, _ in networks()} == set(ROLES)


@pytest.mark.parametrize(
    ("role", "name", "shape"),
    [
        ("spatial", "fc7", (B, 4096)),
        ("temporal", "lstm", (B, T, 64)),
        ("attention", "additive", (B, 64)),
        ("physiological", "lstm", (B, 64)),
        ("fusion", "concat", (B, 64)),
    ],
)
def test_features_have_the_shapes_of_the_method(role: str, name: str, shape: tuple[int, ...]) -> None:
    module, inputs = built(network(role, name))
    assert module.features(*inputs).shape == shape


@pytest.mark.parametrize(
    ("role", "name", "values"),
    [
        ("spatial", "fc7", {"epochs": 30, "batch": 64, "lr": 1e-5, "milestones": (20,), "gamma": 0.1, "width": 4096}),
        ("temporal", "lstm", {"epochs": 30, "lr": 1e-4, "hidden": 64, "layers": 2}),
        ("physiological", "lstm", {"epochs": 800, "batch": 64, "lr": 1e-3, "hidden": 64, "layers": 2}),
    ],
)
def test_defaults_are_the_papers_values(role: str, name: str, values: dict) -> None:
    settings = network(role, name).settings()
    assert {key: getattr(settings, key) for key in values} == values


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_attention_weights_sum_to_one_and_make_the_context_vector(activation: str) -> None:
    module, (h,) = built(ATTENTION, activation=activation)
    alpha = module.weights(h)
    assert alpha.shape == (B, T)
    assert (alpha >= 0).all()
    torch.testing.assert_close(alpha.sum(1), torch.ones(B))
    torch.testing.assert_close(module.features(h), (alpha[..., None] * h).sum(1))


def test_attention_does_not_care_about_the_order_of_the_steps() -> None:
    module, (h,) = built(ATTENTION)
    torch.testing.assert_close(module.features(h), module.features(h.flip(1)))
    torch.testing.assert_close(module.weights(h), module.weights(h.flip(1)).flip(1))


def test_an_unknown_activation_is_named() -> None:
    with pytest.raises(ValueError, match="expected one of tanh, sigmoid, relu, identity"):
        ATTENTION.settings(activation="gelu")


def test_the_lstm_is_the_textbook_one() -> None:
    """One layer step by step in numpy, gates in the order input, forget, cell, output."""
    module, (x,) = built(network("physiological", "lstm"), layers=1, hidden=5)
    w = {k.removeprefix("lstm."): v.detach().numpy().astype(float) for k, v in module.named_parameters()}
    h, c = np.zeros((B, 5)), np.zeros((B, 5))
    for t in range(T):
        gates = x[:, t].numpy() @ w["weight_ih_l0"].T + w["bias_ih_l0"] + h @ w["weight_hh_l0"].T + w["bias_hh_l0"]
        i, f, g, o = np.split(gates, 4, axis=1)
        c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(c) / (1 + np.exp(-o))
    np.testing.assert_allclose(module.features(x).detach().numpy(), h, atol=1e-6)


def test_a_masked_step_has_no_weight_and_no_influence() -> None:
    module, (h,) = built(ATTENTION)
    mask = torch.ones(B, T)
    torch.testing.assert_close(module.features(h, mask), module.features(h))
    mask[0, -1] = 0
    changed = h.clone()
    changed[0, -1] = 9.0
    assert module.weights(h, mask)[0, -1] == 0
    torch.testing.assert_close(module.weights(h, mask).sum(1), torch.ones(B))
    torch.testing.assert_close(module(changed, mask), module(h, mask))
    torch.testing.assert_close(module.features(h, mask)[0], module.features(h[:1, :-1])[0])


@pytest.mark.parametrize("name", ["lstm", "tcn"])
def test_the_past_does_not_depend_on_the_future(name: str) -> None:
    module, (x,) = built(network("temporal", name))
    changed = x.clone()
    changed[:, 4:] += 1
    torch.testing.assert_close(module.features(changed)[:, :4], module.features(x)[:, :4])
    assert (module.features(changed)[:, 4:] - module.features(x)[:, 4:]).abs().max() > 1e-4


def test_the_tcn_reaches_as_far_as_it_says() -> None:
    entry = network("temporal", "tcn")
    settings = entry.settings(layers=2, kernel=2)
    module = entry.build(settings, [3]).double()
    x = torch.randn(1, 12, 3, dtype=torch.float64, requires_grad=True)
    module.features(x)[0, -1].sum().backward()
    touched = x.grad[0].abs().sum(1) > 0
    reach = 1 + 2 * (2 - 1) * (2**2 - 1)
    assert touched.sum() == reach
    assert touched[-reach:].all()


def test_every_step_of_the_transformer_sees_every_other_and_knows_its_place() -> None:
    module, (x,) = built(network("temporal", "transformer"))
    changed = x.clone()
    changed[:, -1] += 1
    assert ((module.features(changed) - module.features(x)).abs().amax((0, 2)) > 1e-5).all()
    assert (module.features(x.flip(1)).flip(1) - module.features(x)).abs().max() > 1e-3
    with pytest.raises(ValueError, match="an even multiple of heads = 4"):
        network("temporal", "transformer").settings(hidden=30)


def test_late_fusion_averages_the_streams_probabilities() -> None:
    module, inputs = built(network("fusion", "late"))
    with torch.no_grad():
        module.weight.copy_(torch.tensor([0.0, np.log(3.0)]))
        each = module.features(*inputs).exp()
        torch.testing.assert_close(module(*inputs).softmax(-1), 0.25 * each[:, 0] + 0.75 * each[:, 1])


def test_cross_attention_finds_what_no_stream_shows_alone() -> None:
    """Pain: the second stream repeats the first; no pain: it has its steps in another order. Either alone tells nothing."""
    rng = np.random.default_rng(0)
    n = 240
    labels = np.arange(n) % 2
    one = rng.normal(size=(n, T, 4)).astype(np.float32)
    two = one.copy()
    for i in np.flatnonzero(labels == 0):
        two[i] = rng.normal(size=(T, 4))
    entry = network("fusion", "cross-attention")
    settings = entry.settings(epochs=60, lr=1e-2, batch=32, width=16)
    fitted = fit(entry, settings, [one[:160], two[:160]], labels[:160], seed=0)
    p = outputs(entry, settings, fitted.weights, [one[160:], two[160:]], what="prediction")
    assert ((p > 0.5) == labels[160:]).mean() > 0.65


def test_five_classes_give_a_probability_of_each() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 5
    x = (rng.normal(size=(150, 6)) * 0.3 + np.eye(6)[labels] * 2).astype(np.float32)
    entry = network("fusion", "concat")
    settings = entry.settings(epochs=20, lr=1e-2, batch=16, classes=5)
    fitted = fit(entry, settings, [x], labels, seed=0)
    p = outputs(entry, settings, fitted.weights, [x], what="prediction")
    assert p.shape == (150, 5)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert (p.argmax(1) == labels).mean() > 0.95
    with pytest.raises(ValueError, match=r"of 0 … 3"):
        fit(entry, entry.settings(classes=4), [x], labels, seed=0)
