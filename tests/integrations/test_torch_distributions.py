# SPDX-License-Identifier: MIT
"""torch's distributions under the patch: the same numbers and errors, from the ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    MixtureSameFamily,
    Normal,
    kl_divergence,
    register_kl,
)

import pyvae
from pyvae.integrations import torch_distributions
from tests.integrations.mixtures import (
    Ops,
    by_covariance,
    by_probabilities,
    diagonal,
    full,
    mixture_of,
    normals,
    pictures,
    scalar,
    valid,
)

Made = Callable[..., Any]
ORIGINAL = MixtureSameFamily.log_prob
# Of a value or a gradient, relative to the largest: torch's own rounding is in it too.
RTOL = {torch.float32: 2e-5, torch.float64: 1e-12}


# What makes the mixture; shapes of the logits, of means and of a value; whether it has factors.
MIXTURES: dict[str, tuple[Made, tuple[int, ...], tuple[int, ...], tuple[int, ...], bool]] = {
    "diagonal": (diagonal, (4,), (4, 3), (5, 3), False),
    "one point": (diagonal, (4,), (4, 3), (3,), False),
    "samples": (diagonal, (4,), (4, 3), (2, 5, 3), False),
    "batch": (diagonal, (2, 4), (2, 4, 3), (5, 2, 3), False),
    "batch of means": (diagonal, (1, 4), (2, 4, 3), (2, 3), False),
    "value of size one": (diagonal, (2, 4), (2, 4, 3), (5, 1, 3), False),
    "one component": (diagonal, (1,), (1, 3), (5, 3), False),
    "scalar": (scalar, (4,), (4,), (5,), False),
    "scalar batch": (scalar, (3, 4), (3, 4), (5, 3), False),
    "pictures": (pictures, (4,), (4, 2, 3), (5, 2, 3), False),
    "probabilities": (by_probabilities, (4,), (4, 3), (5, 3), False),
    "full": (full, (4,), (4, 3), (5, 3), True),
    "full batch": (full, (2, 4), (2, 4, 3), (5, 2, 3), True),
    "covariance": (by_covariance, (4,), (4, 3), (5, 3), True),
}
each_mixture = pytest.mark.parametrize("case", MIXTURES)
each_dtype = pytest.mark.parametrize("dtype", RTOL, ids=str)


def drawn(case: str, dtype: torch.dtype) -> tuple[Made, list[Tensor], Tensor]:
    make, weights, means, value, has_factors = MIXTURES[case]
    scales = 0.5 + torch.rand(means, dtype=dtype)
    if has_factors:
        scales = torch.diag_embed(scales) + torch.rand(*means, means[-1], dtype=dtype).tril(-1)
    given = [torch.randn(weights, dtype=dtype), torch.randn(means, dtype=dtype), scales]
    return make, [t.requires_grad_() for t in given], torch.randn(value, dtype=dtype)


def derivatives(result: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """The result, its gradients under an uneven upstream, and gradients of their squares."""
    upstream = torch.linspace(0.5, 1.5, result.numel(), dtype=result.dtype).reshape(result.shape)
    first = torch.autograd.grad(result, inputs, upstream, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), inputs)  # type: ignore[arg-type]
    return [result.detach(), *(g.detach() for g in first), *second]


def check_equal(compute: Callable[[], list[Tensor]], used: str | None, rtol: float) -> None:
    expected = compute()
    with pyvae.patch_torch_distributions(), Ops() as ops:
        found = compute()
    assert (used in ops.names) if used else not ops.names
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        size = theirs.abs().max().item() if theirs.numel() else 0.0
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=rtol * max(size, 1.0))


@each_dtype
@each_mixture
def test_densities_of_mixtures(case: str, dtype: torch.dtype) -> None:
    make, given, value = drawn(case, dtype)
    value.requires_grad_()
    op = "mixture_log_prob_tril" if MIXTURES[case][-1] else "mixture_log_prob"
    check_equal(lambda: derivatives(make(*given).log_prob(value), [value, *given]), op, RTOL[dtype])


@each_dtype
@pytest.mark.parametrize("batches", [((), ()), ((4,), (4,)), ((2, 1), (4,))], ids=str)
def test_divergences_of_gaussians(batches: Any, dtype: torch.dtype) -> None:
    given = [
        [torch.randn(*batch, 3, dtype=dtype), 0.5 + torch.rand(*batch, 3, dtype=dtype)]
        for batch in batches
    ]
    p, q = ([t.requires_grad_() for t in pair] for pair in given)

    def compute() -> list[Tensor]:
        return derivatives(kl_divergence(normals(*p), normals(*q)), [*p, *q])

    check_equal(compute, "gaussian_kl", RTOL[dtype])


def test_what_is_infinite_stays_so() -> None:
    """Weights, means and values of infinity, and a NaN where nothing validates."""
    logits = torch.tensor([0.0, -torch.inf, 1.0])
    means = torch.tensor([[0.0], [1.0], [torch.inf]])
    parts = Independent(Normal(means, torch.ones(3, 1), validate_args=False), 1)
    mixture = mixture_of(logits, parts, validate_args=False)
    value = torch.tensor([[0.0], [torch.inf], [torch.nan], [1e30]])
    expected = mixture.log_prob(value)
    with pyvae.patch_torch_distributions():
        torch.testing.assert_close(
            mixture.log_prob(value)[[0, 2, 3]], expected[[0, 2, 3]], equal_nan=True
        )


@pytest.mark.parametrize("scale", [1e-15, 1e-4, 1e4, 1e15])
def test_variances_of_any_size(scale: float) -> None:
    """Their logarithms round by at most as many units in the last place as they have nats."""
    make, given, value = drawn("diagonal", torch.float32)
    wide = [given[0], *(scale * t for t in given[1:])]
    check_equal(
        lambda: [make(*wide).log_prob(scale * value).detach()],
        "mixture_log_prob",
        rtol=1e-5,
    )


@pytest.mark.parametrize("kind", ["mixture", "divergence"])
def test_compiled_in_one_graph(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Distribution, "_validate_args", False)  # as the first compilation does
    logits, means, scales = torch.randn(4), torch.randn(4, 3), 0.5 + torch.rand(4, 3)
    called: set[str] = set()

    def backend(graph: torch.fx.GraphModule, inputs: Any) -> Any:
        called.update(str(node.target) for node in graph.graph.nodes)
        return graph

    def mixture(x: Tensor) -> Tensor:
        return diagonal(logits, means, scales).log_prob(x).sum()

    def divergence(x: Tensor) -> Tensor:
        return kl_divergence(normals(means, scales), normals(x, scales)).sum()

    function = {"mixture": mixture, "divergence": divergence}[kind]
    x = torch.randn(4, 3, requires_grad=True)
    expected = function(x)
    expected_gradient = torch.autograd.grad(expected, x)[0]
    with pyvae.patch_torch_distributions():
        found = torch.compile(function, fullgraph=True, backend=backend)(x)
        gradient = torch.autograd.grad(found, x)[0]
    assert any(name.startswith("pyvae.") for name in called)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, expected_gradient)


def test_per_example_gradients() -> None:
    logits, means, scales = torch.randn(4), torch.randn(4, 3), 0.5 + torch.rand(4, 3)

    def density(x: Tensor) -> Tensor:
        parts = Independent(Normal(means, scales, validate_args=False), 1)
        return mixture_of(logits, parts, validate_args=False).log_prob(x)

    gradients = torch.func.vmap(torch.func.grad(density))
    x = torch.randn(5, 3)
    expected = gradients(x)
    with pyvae.patch_torch_distributions():
        torch.testing.assert_close(gradients(x), expected)


def test_forward_mode() -> None:
    mixture = diagonal(torch.zeros(2), torch.tensor([[0.0], [1.0]]), torch.ones(2, 1))

    def tangent() -> Tensor:
        with torch.autograd.forward_ad.dual_level():
            value = torch.autograd.forward_ad.make_dual(torch.full((1, 1), 3.0), torch.ones(1, 1))
            found = torch.autograd.forward_ad.unpack_dual(mixture.log_prob(value)).tangent
        assert found is not None
        return found.clone()

    expected = tangent()
    with pyvae.patch_torch_distributions(), Ops() as ops:
        torch.testing.assert_close(tangent(), expected)
    assert ops.names


def test_patches_overlap_and_end_once() -> None:
    mixture, x = valid(), torch.zeros(4, 3)
    first, second = pyvae.patch_torch_distributions(), pyvae.patch_torch_distributions()
    first.undo()
    first.undo()
    with Ops() as ops:
        mixture.log_prob(x)
    assert ops.names
    second.undo()
    with Ops() as ops:
        mixture.log_prob(x)
        kl_divergence(*(normals(torch.zeros(3), torch.ones(3)) for _ in range(2)))
    assert not ops.names


def test_a_method_that_was_taken_meanwhile_is_torchs_afterwards() -> None:
    mixture, x = valid(), torch.zeros(4, 3)
    with pyvae.patch_torch_distributions():
        log_prob = mixture.log_prob
    with Ops() as ops:
        found = log_prob(x)
    assert not ops.names
    assert torch.equal(found, mixture.log_prob(x))


def test_an_error_ends_the_patch() -> None:
    with pytest.raises(KeyError), pyvae.patch_torch_distributions():
        raise KeyError
    assert MixtureSameFamily.log_prob is ORIGINAL


def test_what_others_wrap_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """And has torch's own behind it once the patch has ended, however often there is one."""
    mixture, x = valid(), torch.zeros(4, 3)
    expected = mixture.log_prob(x)
    patch = pyvae.patch_torch_distributions()
    inner = MixtureSameFamily.log_prob

    def wrapped(self: MixtureSameFamily, value: Tensor) -> Tensor:
        return inner(self, value) + 1.0

    MixtureSameFamily.log_prob = wrapped  # type: ignore[method-assign]
    try:
        patch.undo()
        assert MixtureSameFamily.log_prob is wrapped
        torch.testing.assert_close(mixture.log_prob(x), expected + 1.0, rtol=0, atol=0)
        with pyvae.patch_torch_distributions(), Ops() as ops:
            torch.testing.assert_close(mixture.log_prob(x), expected + 1.0)
        assert ops.names
    finally:
        MixtureSameFamily.log_prob = inner  # type: ignore[method-assign]
        with pyvae.patch_torch_distributions():
            pass


def test_a_rule_of_ones_own_goes_before() -> None:
    class Mine(Normal):
        pass

    @register_kl(Mine, Mine)
    def _of_mine(p: Mine, q: Mine) -> Tensor:
        return p.loc - q.loc

    p, q = (Independent(Mine(torch.full((3,), mean), 1.0), 1) for mean in (1.0, 2.0))
    with pyvae.patch_torch_distributions():
        assert kl_divergence(p, q) == -3.0


def test_the_public_name_is_the_integrations() -> None:
    assert "patch_torch_distributions" in pyvae.__all__
    assert pyvae.patch_torch_distributions is torch_distributions.patch_torch_distributions
