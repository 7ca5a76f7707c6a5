"""The trained sub-networks: the contract all of them share, and what each promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from painmodels.attention import ACTIVATIONS
from painmodels.attention import NETWORK as ATTENTION
from painmodels.registry import ROLES, SubNetwork, Training, network, networks

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
    shapes = INPUTS[entry.role]
    module = entry.build(entry.settings(**settings), [s[-1] for s in shapes])
    return module.eval(), [torch.randn(B, *shape) for shape in shapes]


@pytest.mark.parametrize("key", networks(), ids="-".join)
def test_every_network_obeys_the_contract(key: tuple[str, str]) -> None:
    entry = network(*key)
    module, inputs = built(entry)
    assert isinstance(entry.settings(), Training)
    assert module(*inputs).shape == (B, 2)
    features = module.features(*inputs)
    assert features.shape[0] == B
    with torch.inference_mode():  # a row does not depend on the rows beside it
        alone = torch.cat([module(*(x[i : i + 1] for x in inputs)) for i in range(B)])
        torch.testing.assert_close(module(*inputs), alone)


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
