# SPDX-License-Identifier: MIT
"""Validation is torch's switch: off, nothing is read from a tensor, so that tracers can pass."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor
from torch.distributions import Distribution

from pyvae.distributions import GaussianMixture
from tests.distributions.mixtures import FORMS, D, leaves, mixture_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
each_form = pytest.mark.parametrize("form", FORMS)
IMPOSSIBLE = torch.full((3,), -torch.inf)


@pytest.mark.parametrize("batch", [(), (2,)])
def test_the_switch_and_the_argument(batch: tuple[int, ...]) -> None:
    bad = (IMPOSSIBLE.expand(*batch, 3), torch.zeros(3, 2), torch.zeros(3, 2))
    for default in (True, False):
        Distribution.set_default_validate_args(default)
        GaussianMixture(*bad, validate_args=False)
        with pytest.raises(ValueError, match="every log_weight of a mixture is -inf"):
            GaussianMixture(*bad, validate_args=True)
    GaussianMixture(*bad)
    assert GaussianMixture(*bad).log_prob(torch.full((2,), torch.nan)).isnan().all()
    Distribution.set_default_validate_args(True)
    with pytest.raises(ValueError, match="every log_weight of a mixture is -inf"):
        GaussianMixture(*bad)
    with pytest.raises(ValueError, match="none NaN or inf"):
        GaussianMixture(torch.tensor([0.0, torch.nan, 0.0]), *bad[1:])
    with pytest.raises(ValueError, match="do not fit"):  # shapes are no matter of validation
        GaussianMixture(torch.zeros(4), *bad[1:], validate_args=False)


@pytest.mark.parametrize("argument", [None, False])
@each_form
def test_compiled(form: str, argument: bool | None) -> None:
    """Built, expanded and evaluated within one graph, of any size."""
    Distribution.set_default_validate_args(argument is not None)
    torch.compiler.reset()

    def function(x: Tensor, weights: Tensor, means: Tensor, spread: Tensor) -> Tensor:
        name = "logvars" if form in ("diagonal", "isotropic") else "scale_tril"
        given = {name: spread}
        mixture = GaussianMixture(weights, means, **given, validate_args=argument)
        return mixture.expand(x.shape[:-1]).log_prob(x) + mixture.mean.sum()

    compiled = torch.compile(function, fullgraph=True, dynamic=True, backend="aot_eager")
    given = leaves(form)
    for count in (5, 9):
        x = torch.randn(count, D, dtype=torch.float64)
        got, want = compiled(x, *given), function(x, *given)
        torch.testing.assert_close(got, want)
        found = torch.autograd.grad(got.cos().sum(), given)
        for have, truth in zip(found, torch.autograd.grad(want.cos().sum(), given), strict=True):
            torch.testing.assert_close(have, truth)
    torch.compiler.reset()


@pytest.mark.parametrize("own", [(), (4,)])
@each_form
def test_traced(form: str, own: tuple[int, ...]) -> None:
    """Without a warning that a size or a value became a constant; other sizes may come later."""
    Distribution.set_default_validate_args(False)

    def function(x: Tensor, weights: Tensor, means: Tensor, spread: Tensor) -> Tensor:
        return mixture_of(form, weights, means, spread).log_prob(x)

    given = leaves(form, own)
    with warnings.catch_warnings():
        if not own:
            warnings.simplefilter("error", torch.jit.TracerWarning)
        else:
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
        x = torch.randn(3, *own, D, dtype=torch.float64)
        traced = torch.jit.trace(function, (x, *given), check_trace=False)
    if not own:
        x = torch.randn(8, D, dtype=torch.float64)
    got, want = traced(x, *given), function(x, *given)
    torch.testing.assert_close(got, want)
    found = torch.autograd.grad(got.cos().sum(), given)
    for have, truth in zip(found, torch.autograd.grad(want.cos().sum(), given), strict=True):
        torch.testing.assert_close(have, truth)


@each_form
def test_traced_samples(form: str) -> None:
    Distribution.set_default_validate_args(False)

    def function(*given: Tensor) -> Tensor:
        return mixture_of(form, *given).rsample((4,)).square().sum()

    given = leaves(form)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(function, given, check_trace=False)
    found = []
    for each in (traced, function):
        torch.manual_seed(1)
        found.append(torch.autograd.grad(each(*given), given))
    for have, want in zip(*found, strict=True):
        torch.testing.assert_close(have, want)


@each_form
def test_mapped_with_validation(form: str) -> None:
    given = [t.detach() for t in leaves(form, (5,))]
    x = torch.randn(D, dtype=torch.float64)
    got = torch.vmap(lambda *g: mixture_of(form, *g).log_prob(x))(*given)
    torch.testing.assert_close(got, mixture_of(form, *given).log_prob(x))
