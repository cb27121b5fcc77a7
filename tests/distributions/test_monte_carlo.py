# SPDX-License-Identifier: MIT
"""KL divergences to mixtures as a loss: whose, of how many samples, and their gradients."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from pyvae.distributions import GaussianMixture, kl_mixture, set_kl_samples
from tests.distributions.mixtures import leaves, mixture_of
from tests.ops.recording import MixturesSeen

LOC, SCALE = torch.tensor([0.4, -0.7]), torch.tensor([0.8, 1.3])


def gaussians(batch: tuple[int, ...] = ()) -> dict[str, Distribution]:
    """The same Gaussian in every form."""
    loc, scale = LOC.double().expand(*batch, 2), SCALE.double().expand(*batch, 2)
    return {
        "Normal": Normal(loc, scale),
        "Independent": Independent(Normal(loc, scale), 1),
        "MultivariateNormal": MultivariateNormal(loc, scale_tril=torch.diag_embed(scale)),
    }


def mixtures(form: str = "diagonal", batch: tuple[int, ...] = ()) -> dict[str, Distribution]:
    ours = mixture_of(form, *(t.detach() for t in leaves(form, batch)))
    return {"ours": ours, "torchs": ours.to_mixture()}


@pytest.mark.parametrize("form", ["diagonal", "isotropic", "full", "tied"])
@pytest.mark.parametrize("name", ["Normal", "Independent", "MultivariateNormal"])
def test_every_kind_on_either_side(name: str, form: str) -> None:
    """All give the same number, since the samples are the same, and its batch shape."""
    q, vectors = gaussians((4, 1))[name], gaussians((4, 1))["Independent"]
    for p in mixtures(form, (3,)).values():
        for first, second, plain in ((q, p, (vectors, p)), (p, q, (p, vectors))):
            torch.manual_seed(0)
            got = kl_divergence(first, second)
            torch.manual_seed(0)
            torch.testing.assert_close(got, kl_mixture(*plain))
            assert got.shape == (4, 3)
            upper = kl_mixture(first, second, method="upper")
            assert (got < upper + 0.2).all()


def test_mixtures_of_both_kinds() -> None:
    for p, q in product(mixtures("full").values(), mixtures("diagonal").values()):
        torch.manual_seed(0)
        got = kl_divergence(p, q)
        torch.manual_seed(0)
        torch.testing.assert_close(got, kl_mixture(mixtures("full")["ours"], q))


def test_numbers() -> None:
    """A mixture of ``Normal`` is over numbers, and one coordinate is a number."""
    loc, scale = torch.tensor([-1.0, 2.0]).double(), torch.tensor([0.5, 1.0]).double()
    of_numbers = MixtureSameFamily(Categorical(torch.ones(2).double()), Normal(loc, scale))
    ours = GaussianMixture(torch.zeros(2).double(), loc[:, None], 2.0 * scale.log()[:, None])
    q = Normal(torch.zeros(5).double(), torch.ones(5).double())
    axis = torch.linspace(-12, 12, 4001, dtype=torch.float64)
    log_q = Normal(0.0, 1.0).log_prob(axis)
    exact = (log_q.exp() * (log_q - of_numbers.log_prob(axis))).sum() * (axis[1] - axis[0])
    for p in (of_numbers, ours):
        got = kl_mixture(q, p, num_samples=20_000)
        assert got.shape == (5,)
        torch.testing.assert_close(got, exact.expand(5), atol=0.05, rtol=0.0)
        assert kl_divergence(p, q).shape == (5,)
    column = Normal(torch.zeros(5, 1).double(), torch.ones(5, 1).double())
    assert kl_divergence(column, ours).shape == (5,)
    with pytest.raises(ValueError, match=r"p has the event shape \(\) and q \(2,\)"):
        kl_divergence(q, mixtures()["ours"])


def test_closed_forms_stay_closed() -> None:
    """Of mixtures of one component, in both senses and of both kinds."""
    loc, factor = torch.randn(4, 1, 2).double(), (torch.eye(2) + 0.3).tril().double()
    full = GaussianMixture(torch.zeros(1).double(), loc, scale_tril=factor[None])
    diagonal = GaussianMixture(torch.zeros(1).double(), loc[0] + 1.0, torch.zeros(1, 1).double())
    wide = MultivariateNormal(loc[:, 0], scale_tril=factor)
    narrow = MultivariateNormal(loc[0, 0] + 1.0, torch.eye(2).double())
    for p, q, plain in (
        (full, diagonal, (wide, narrow)),
        (diagonal, full.to_mixture(), (narrow, wide)),
        (gaussians()["Normal"], full, (gaussians()["MultivariateNormal"], wide)),
        (diagonal, gaussians()["Independent"], (narrow, gaussians()["MultivariateNormal"])),
    ):
        for method in ("monte-carlo", "upper", "variational"):
            torch.testing.assert_close(kl_mixture(p, q, method=method), kl_divergence(*plain))
    assert kl_divergence(diagonal, diagonal).item() == 0.0


def test_unbiased_with_its_gradients() -> None:
    """The mean of many estimates of few samples, beside quadrature."""
    loc, scale = (t.double().requires_grad_() for t in (LOC, SCALE))
    given = leaves("diagonal")
    p = mixture_of("diagonal", *given)
    wanted = (loc, scale, *given)
    axis = torch.linspace(-12, 12, 601, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1)
    log_q = Independent(Normal(loc, scale), 1).log_prob(grid)
    exact = (log_q.exp() * (log_q - p.log_prob(grid))).sum() * (axis[1] - axis[0]) ** 2
    want = torch.autograd.grad(exact, wanted, retain_graph=True)
    many = 20_000
    q = Independent(Normal(loc.expand(many, 2), scale.expand(many, 2)), 1)
    with MixturesSeen() as seen:
        estimates = kl_mixture(q, p, num_samples=3)
        got = torch.autograd.grad(estimates.mean(), wanted)
    assert set(seen.counts) == {1}
    spread = (estimates.std() / many**0.5).item()
    assert abs(estimates.mean() - exact) < 5 * spread
    for have, truth in zip(got, want, strict=True):
        torch.testing.assert_close(have, truth, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("form", ["diagonal", "full"])
def test_the_gradient_of_the_entropy_has_no_noise(form: str) -> None:
    """Where p is flat, the estimate is the negative entropy and a constant."""
    scale = SCALE.double().requires_grad_()
    q: Distribution = Independent(Normal(LOC.double(), scale), 1)
    if form == "full":
        q = MultivariateNormal(LOC.double(), scale_tril=torch.diag_embed(scale))
    flat = GaussianMixture(torch.zeros(2), torch.zeros(2, 2), torch.full((2, 1), 30.0))
    flat = GaussianMixture(*(t.double() for t in flat.arguments()))
    value = kl_mixture(q, flat, num_samples=2)
    (found,) = torch.autograd.grad(value, scale)
    torch.testing.assert_close(found, -1.0 / scale.detach(), atol=1e-9, rtol=0.0)


def test_equal_distributions_have_no_variance() -> None:
    p = mixtures("full")["ours"]
    assert kl_mixture(p, p, num_samples=1) == 0.0
    assert kl_mixture(mixtures()["torchs"], mixtures()["ours"], num_samples=1).abs() < 1e-12


def test_seeds() -> None:
    q, p = gaussians((3,))["Independent"], mixtures()["ours"]
    torch.manual_seed(5)
    first = kl_divergence(q, p)
    assert not torch.equal(kl_divergence(q, p), first)
    torch.manual_seed(5)
    assert torch.equal(kl_divergence(q, p), first)
    assert first.unique().numel() == 3  # every entry has samples of its own
    shared = kl_divergence(gaussians()["Independent"], mixtures("diagonal", (3,))["ours"])
    assert shared.shape == (3,)


def _points(q: Distribution, **given: int) -> int:
    """How many points an estimate takes of one entry, from what it draws."""
    drawn: list[int] = []
    whole, p = torch.randn, mixtures()["ours"]

    def recorded(*shape: object, **rest: object) -> Tensor:
        found = whole(*shape, **rest)  # type: ignore[call-overload]
        drawn.append(found.numel() // 2)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "randn", recorded)
        kl_mixture(q, p, **given)
    return sum(drawn) // q.batch_shape.numel()


def test_the_number_of_samples() -> None:
    one, many = gaussians()["Independent"], gaussians((128,))["Independent"]
    assert (_points(one), _points(many)) == (10_000, 78)
    assert _points(gaussians((4, 1000))["Independent"]) == 30
    assert _points(many, num_samples=7) == 7
    with set_kl_samples(30):
        assert (_points(one), _points(many)) == (30, 30)
        assert _points(mixtures("full", (2,))["ours"]) == 30
        with set_kl_samples(None):
            assert _points(many) == 78
        assert _points(many) == 30
    assert _points(many) == 78
    set_kl_samples(5)
    assert _points(many) == 5
    set_kl_samples(None)
    assert _points(many) == 78
    for wrong in (0, -3):
        with pytest.raises(ValueError, match=f"num_samples is {wrong}; expected at least 1"):
            kl_mixture(one, mixtures()["ours"], num_samples=wrong)
        with pytest.raises(ValueError, match=f"num_samples is {wrong}; expected at least 1"):
            set_kl_samples(wrong)


@pytest.mark.parametrize("form", ["diagonal", "full"])
def test_half_precision_and_autocast(form: str) -> None:
    given = [t.detach().float() for t in leaves(form)]
    q = gaussians((3,))["MultivariateNormal"]
    q = MultivariateNormal(q.loc.float(), scale_tril=q.scale_tril.float())  # type: ignore[attr-defined]
    torch.manual_seed(1)
    want = kl_divergence(q, mixture_of(form, *given))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.manual_seed(1)
        assert torch.equal(kl_divergence(q, mixture_of(form, *given)), want)
