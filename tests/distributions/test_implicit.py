# SPDX-License-Identifier: MIT
"""Derivatives of samples: of every order, under every transform, in every dtype."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution

from pyvae.distributions import GaussianMixture
from pyvae.distributions.implicit import distribution_functions, reparameterized
from tests.distributions.mixtures import FORMS, leaves, mixture_of

# The compiler, and torch.func's forward mode, warn about their own internals.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
each_form = pytest.mark.parametrize("form", FORMS)
MATRICES = ("full", "tied")


def moved(x: Tensor, weights: Tensor, means: Tensor, spread: Tensor, has_matrices: bool) -> Tensor:
    """The points where F keeps its values, by Newton's method: three steps are exact to order 7."""
    given = (weights, means, spread)
    kept = distribution_functions(x, *(t.detach() for t in given), has_matrices)  # type: ignore[call-arg]

    def of_one(point: Tensor) -> Tensor:
        return distribution_functions(point.unsqueeze(0), *given, has_matrices)[0]  # type: ignore[call-arg]

    for _ in range(3):
        jacobian = torch.vmap(torch.func.jacrev(of_one))(x)
        gap = distribution_functions(x, *given, has_matrices) - kept
        x = x - torch.linalg.solve(jacobian, gap)
    return x


@each_form
def test_derivatives_of_two_orders(form: str) -> None:
    given, matrices = leaves(form), form in MATRICES
    with torch.no_grad():
        x = mixture_of(form, *given).sample((6,))
    weights = torch.randn_like(x)

    def both(function: Callable[..., Tensor]) -> list[Tensor]:
        value = (torch.sin(function(x, *given, matrices)) * weights).sum()
        first = torch.autograd.grad(value, given, create_graph=True)
        second = torch.autograd.grad(sum(g.cos().sum() for g in first), given)
        return [*first, *second]

    for have, want in zip(both(reparameterized), both(moved), strict=True):
        torch.testing.assert_close(have, want)


def test_second_derivatives_of_one_component() -> None:
    """d2/dm2 of (m + noise)^2 + m^2 is 4."""
    mean = torch.ones(1, 1, requires_grad=True)
    y = GaussianMixture(torch.zeros(1), mean, torch.zeros(1, 1)).rsample((1,)).sum()
    (first,) = torch.autograd.grad(y**2 + mean.sum() ** 2, mean, create_graph=True)
    assert torch.autograd.grad(first.sum(), mean)[0].item() == pytest.approx(4.0)


def _loss(form: str) -> Callable[..., Tensor]:
    return lambda *given: mixture_of(form, *given).rsample((4,)).square().sum()


@each_form
def test_transforms(form: str) -> None:
    """``grad``, ``vmap``, ``jacfwd`` and their compositions give what plain autograd does."""
    given = leaves(form)
    plain = [t.detach() for t in given]
    loss = _loss(form)
    torch.manual_seed(1)
    want = torch.autograd.grad(loss(*given), given)
    torch.manual_seed(1)
    for have, truth in zip(torch.func.grad(loss, argnums=(0, 1, 2))(*plain), want, strict=True):
        torch.testing.assert_close(have, truth)
    torch.manual_seed(1)
    forward = torch.func.jacfwd(loss, argnums=1, randomness="same")(*plain)
    torch.testing.assert_close(forward, want[1])
    many = [t.expand(5, *t.shape) for t in plain]
    # torch.multinomial of mapped weights has no other randomness
    for randomness, mapped in (("same", (None, 0, 0)), ("different", (0, 0, 0))):
        torch.manual_seed(1)
        taken = [t if dim is None else m for t, m, dim in zip(plain, many, mapped, strict=True)]
        mapping = torch.vmap(torch.func.grad(loss, argnums=1), mapped, randomness=randomness)
        found = mapping(*taken)
        assert found.shape == many[1].shape
        assert (found[0] != found[1]).any() == (randomness == "different")
    alone = torch.vmap(lambda m: loss(plain[0], m, plain[2]), randomness="different")(many[1])
    assert alone.shape == (5,)


@each_form
@pytest.mark.parametrize("batch", [(), (2,)])
def test_many_points_at_a_time(form: str, batch: tuple[int, ...]) -> None:
    """In parts where nothing is kept, and at once where a graph is: the same gradients."""
    given = leaves(form, batch)
    x = torch.randn(*batch, 50_000, 2, dtype=torch.float64)
    moving = reparameterized(x, *given, form in MATRICES)  # type: ignore[call-arg]
    found = [
        torch.autograd.grad(moving.sin().sum(), given, create_graph=kept, retain_graph=True)
        for kept in (False, True)
    ]
    for have, want in zip(*found, strict=True):
        torch.testing.assert_close(have, want)


@each_form
def test_hessians(form: str) -> None:
    given = [t.detach() for t in leaves(form)]
    x = mixture_of(form, *given).sample((3,))

    def value(means: Tensor) -> Tensor:
        moving = reparameterized(x, given[0], means, given[2], form in MATRICES)
        return torch.sin(moving).sum()

    reverse = torch.func.jacrev(torch.func.jacrev(value))(given[1])
    torch.testing.assert_close(torch.func.hessian(value)(given[1]), reverse)
    torch.testing.assert_close(torch.autograd.functional.hessian(value, given[1]), reverse)


@each_form
def test_compiled(form: str) -> None:
    Distribution.set_default_validate_args(False)  # as torch does, once per process
    given = leaves(form)
    torch.compiler.reset()
    compiled = torch.compile(_loss(form), fullgraph=True, dynamic=True, backend="aot_eager")
    torch.manual_seed(1)
    found = torch.autograd.grad(compiled(*given), given)
    torch.manual_seed(1)
    for have, want in zip(found, torch.autograd.grad(_loss(form)(*given), given), strict=True):
        torch.testing.assert_close(have, want)
    torch.compiler.reset()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@each_form
def test_half_precision(form: str, dtype: torch.dtype) -> None:
    """Computed in float32, of weights that are normalised in the mixture's own precision."""
    given = leaves(form, (2,), dtype)
    x = mixture_of(form, *given).rsample((4,))
    assert x.dtype == dtype
    found = torch.autograd.grad(x.sum(), given)
    wide = [t.detach().float().requires_grad_() for t in given]
    points = x.detach().float().movedim(0, 1)
    want = torch.autograd.grad(reparameterized(points, *wide, form in MATRICES).sum(), wide)  # type: ignore[call-arg]
    for have, truth in zip(found, want, strict=True):
        assert have.dtype == dtype
        bound = 16 * torch.finfo(dtype).eps * truth.abs().max().item()
        torch.testing.assert_close(have.float(), truth, atol=bound, rtol=0.0)


@pytest.mark.parametrize("form", ["diagonal", "isotropic", "full"])
def test_a_component_of_no_weight_has_no_gradient(form: str) -> None:
    given = [t.detach().clone() for t in leaves(form)]
    given[0][1] = -torch.inf
    given[1][1] = torch.inf
    given[2][1] = torch.nan
    wanted = [t.requires_grad_() for t in given]
    x = torch.randn(4, 2, dtype=torch.float64)
    found = torch.autograd.grad(reparameterized(x, *wanted, form in MATRICES).sum(), wanted)  # type: ignore[call-arg]
    for gradient in found:
        assert gradient.isfinite().all()
        assert (gradient[1] == 0).all()
    assert (found[1][0] != 0).all()


@each_form
def test_under_autocast(form: str) -> None:
    """Samples, their gradients and the covariance are those without it."""
    given = leaves(form, (), torch.float32)

    def computed() -> list[Tensor]:
        torch.manual_seed(1)
        mixture = mixture_of(form, *given)
        x = mixture.rsample((50,))
        value = x.square().sum()
        found = torch.autograd.grad(value, given)
        return [x, mixture.sample((3,)), mixture.covariance_matrix, mixture.variance, *found]

    want = computed()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = computed()
    for have, truth in zip(got, want, strict=True):
        assert have.dtype == torch.float32
        assert torch.equal(have, truth)
