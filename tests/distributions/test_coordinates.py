# SPDX-License-Identifier: MIT
"""Marginals, conditionals and regressions beside the textbook's formulas, and densities."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

from pyvae.distributions import GaussianMixture
from tests.distributions.mixtures import FORMS, K, mixture_of

each_form = pytest.mark.parametrize("form", FORMS)
D, GIVEN, REST = 4, [3, 1], [0, 2]


def leaves(
    form: str, batch: tuple[int, ...] = (), d: int = D, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*batch, *shape, generator=generator, dtype=torch.float64)

    weights, means = normal(K), normal(K, d)
    if form in ("diagonal", "isotropic"):
        spread = 0.5 * normal(K, d if form == "diagonal" else 1)
    else:
        count = K if form == "full" else 1
        spread = (0.7 * normal(count, d, d)).tril(-1) + torch.diag_embed(normal(count, d).exp())
    return tuple(t.to(dtype).requires_grad_() for t in (weights, means, spread))  # type: ignore[return-value]


def covariances(mixture: GaussianMixture) -> Tensor:
    """Of every component, ``(*batch, K, D, D)``."""
    if mixture.has_matrices:
        found = mixture.scale_tril @ mixture.scale_tril.mT
        return found.expand(*mixture.means.shape, found.shape[-1])
    return torch.diag_embed(mixture.logvars.exp().expand(mixture.means.shape))


def textbook(mixture: GaussianMixture, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-weights, means and covariances given ``x (N, a)``: Bishop (2006), (2.81) and (2.82)."""
    sigma, mu = covariances(mixture), mixture.means
    inside = sigma[..., GIVEN, :][..., GIVEN]
    cross = sigma[..., REST, :][..., GIVEN]
    b = cross @ torch.linalg.inv(inside)
    gaps = x.unsqueeze(-2) - mu[..., GIVEN]
    means = mu[..., REST] + (b @ gaps.unsqueeze(-1)).squeeze(-1)
    density = torch.distributions.MultivariateNormal(mu[..., GIVEN], inside)
    joint = mixture.log_weights + density.log_prob(x.unsqueeze(-2))
    return joint.log_softmax(-1), means, sigma[..., REST, :][..., REST] - b @ cross.mT


@each_form
@pytest.mark.parametrize("batch", [(), (5,), (2, 5)])
def test_a_conditional_is_the_textbooks(form: str, batch: tuple[int, ...]) -> None:
    mixture = mixture_of(form, *leaves(form, batch))
    x = torch.randn(5, 2, dtype=torch.float64)
    found = mixture.condition(GIVEN, x)
    assert found.batch_shape == (batch or (5,))
    assert found.has_matrices == mixture.has_matrices
    log_weights, means, sigma = textbook(mixture, x)
    torch.testing.assert_close(found.log_weights, log_weights)
    torch.testing.assert_close(found.means, means.expand(found.means.shape))
    torch.testing.assert_close(covariances(found), sigma.expand(*found.means.shape, 2))
    if not batch:  # what does not depend on the values is held once
        assert len(found.arguments()[2]) in (1, K)
        assert found.arguments()[2].dim() == mixture.arguments()[2].dim()


@each_form
def test_densities_multiply(form: str) -> None:
    """log p(x_a) + log p(x_b | x_a) = log p(x)."""
    mixture = mixture_of(form, *leaves(form))
    x = 2.0 * torch.randn(50, D, dtype=torch.float64)
    for given, rest in (([2], [0, 1, 3]), ([0, 1], [2, 3]), ([3, 0, 2], [1])):
        parts = mixture.marginal(given).log_prob(x[:, given])
        parts = parts + mixture.condition(given, x[:, given]).log_prob(x[:, rest])
        torch.testing.assert_close(parts, mixture.log_prob(x), rtol=1e-10, atol=1e-10)


@each_form
@pytest.mark.parametrize("batch", [(), (2,)])
def test_a_marginal(form: str, batch: tuple[int, ...]) -> None:
    mixture = mixture_of(form, *leaves(form, batch))
    for columns in ([2, 0], [1], [0, 1, 2], [3, 2, 1, 0]):
        found = mixture.marginal(columns)
        torch.testing.assert_close(found.means, mixture.means[..., columns])
        block = covariances(mixture)[..., columns, :][..., columns]
        torch.testing.assert_close(covariances(found), block)
        torch.testing.assert_close(found.log_weights, mixture.log_weights)
    assert mixture.expand((3, *batch)).marginal([1]).batch_shape == (3, *batch)


@each_form
def test_regression(form: str) -> None:
    """Moments of the conditional by numerical integration, and of some targets only."""
    mixture = mixture_of(form, *(t.detach() for t in leaves(form, d=2)))
    x = torch.tensor([[0.3], [-2.0]], dtype=torch.float64)
    grid = torch.linspace(-60, 60, 200_001, dtype=torch.float64)
    found = mixture.regress([1], x)
    for row, value in enumerate(x):
        points = torch.stack([grid, value.expand(len(grid))], 1)
        p = (mixture.log_prob(points) - mixture.marginal([1]).log_prob(value)).exp()
        mean = torch.trapezoid(p * grid, grid)
        variance = torch.trapezoid(p * (grid - mean).square(), grid)
        torch.testing.assert_close(found.mean[row, 0], mean, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(found.covariance[row, 0], variance, rtol=1e-7, atol=1e-9)
    wide = mixture_of(form, *leaves(form))
    x = torch.randn(5, 2, dtype=torch.float64)
    whole = wide.regress(GIVEN, x, full_covariance=True)
    some = wide.regress(GIVEN, x, targets=[2])
    torch.testing.assert_close(some.mean, whole.mean[:, 1:])
    torch.testing.assert_close(some.covariance, whole.covariance[:, 1:, 1])
    torch.testing.assert_close(whole.covariance, wide.condition(GIVEN, x).covariance_matrix)


@each_form
def test_gradients_of_both_orders(form: str) -> None:
    x = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)

    def told(weights: Tensor, means: Tensor, spread: Tensor, x: Tensor) -> tuple[Tensor, ...]:
        spread = spread if spread.dim() < 3 else spread.tril()
        mixture = mixture_of(form, weights, means, spread)
        given = mixture.condition(GIVEN, x)
        return given.log_weights, *given.arguments()[1:], *mixture.regress(GIVEN, x, REST)

    arguments = (*leaves(form), x)
    assert torch.autograd.gradcheck(told, arguments, fast_mode=True)
    assert torch.autograd.gradgradcheck(told, arguments, fast_mode=True)


def _in_many_digits(factor: np.ndarray, given: list[int], rest: list[int]) -> tuple[Any, Any]:
    """B and the covariance of the rest, of L as it is, by (2.82) in 80 digits."""
    with mpmath.workdps(80):
        lower = mpmath.matrix(factor.tolist())
        sigma = lower * lower.T

        def block(rows: list[int], columns: list[int]) -> Any:
            return mpmath.matrix([[sigma[i, j] for j in columns] for i in rows])

        b = block(rest, given) * block(given, given) ** -1
        left = block(rest, rest) - b * block(given, rest)
        return (np.array(m.tolist(), dtype=float) for m in (b, left))


@pytest.mark.parametrize("order", [[1, 3, 5], [0, 1, 2], [5, 2, 0]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ill_conditioned_covariances(order: list[int], dtype: torch.dtype) -> None:
    """Errors by the condition number of the factor: by its square, no digit would be right."""
    eps, d = torch.finfo(dtype).eps, 6
    random, rest = np.random.default_rng(0), [i for i in range(d) if i not in order]
    squeezed = 10.0 ** np.linspace(0, np.log10(1e-3 / eps), d)
    basis = np.linalg.qr(random.normal(size=(d, d)))[0]
    factor = torch.from_numpy(np.linalg.qr((basis / squeezed).T)[1].T).to(dtype)
    factor = factor * torch.diagonal(factor).sign()
    units = torch.tensor([1e-6, 1e6, 1.0, 1e3, 1e-3, 1.0], dtype=dtype)
    factor = units[:, None] * factor
    cond = np.linalg.cond((factor / units[:, None]).double().numpy())
    assert cond**2 * eps > 1.0
    b, left = _in_many_digits(factor.double().numpy(), order, rest)
    mixture = GaussianMixture(torch.zeros(1, dtype=dtype), torch.zeros(1, d, dtype=dtype),
                              scale_tril=factor[None])  # fmt: skip
    x = torch.eye(3, dtype=dtype) * units[order]
    found = mixture.condition(order, x)
    want = (b * units[order].numpy()).T / units[rest].numpy()
    got = (found.means[:, 0] / units[rest]).double().numpy()
    assert np.abs(got - want).max() <= 30 * cond * eps * max(1.0, np.abs(want).max())
    scales = np.sqrt(np.diag(left))
    gap = np.abs(covariances(found)[0, 0].double().numpy() - left) / np.outer(scales, scales)
    assert gap.max() <= 30 * cond * eps


@each_form
@pytest.mark.parametrize(
    ("dtype", "far"), [(torch.float32, 1e15), (torch.float32, 1e30), (torch.float64, 1e200)]
)
def test_far_points(form: str, dtype: torch.dtype, far: float) -> None:
    """No weight is NaN, where no density is above zero: the nearest component has it all."""
    given = leaves(form, dtype=dtype)
    with torch.no_grad():
        given[0][0] = -torch.inf
    mixture = mixture_of(form, *given)
    x = torch.tensor([[far, -0.5 * far], [0.5, 0.5]], dtype=dtype, requires_grad=True)
    found = mixture.condition(GIVEN, x)
    weights = found.log_weights.exp()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, dtype=dtype))
    assert (weights[:, 0] == 0).all()
    sigma = covariances(mixture).double()[:, GIVEN][:, :, GIVEN]
    gaps = (x / far).double()[0] - (mixture.means[:, GIVEN] / far).double()
    distance = (gaps * torch.linalg.solve(sigma, gaps)).sum(1)
    distance[0] = torch.inf
    if form != "tied":  # as far as the numbers tell
        assert weights[0].argmax() == distance.argmin()
    near = mixture.condition(GIVEN, x[1]).log_weights
    torch.testing.assert_close(found.log_weights[1], near)
    grads = torch.autograd.grad(found.mean.sum(), (x, given[1]))
    assert all(g.isfinite().all() for g in grads)


def test_all_or_nothing_given() -> None:
    mixture = mixture_of("full", *leaves("full"))
    same = mixture.condition([], torch.zeros(5, 0, dtype=torch.float64))
    assert same.batch_shape == (5,)
    x = torch.randn(5, D, dtype=torch.float64)
    torch.testing.assert_close(same.log_prob(x), mixture.log_prob(x))
    with pytest.raises(ValueError, match="condition: none of the 4 columns is left"):
        mixture.condition(range(D), torch.zeros(D, dtype=torch.float64))
    with pytest.raises(ValueError, match="marginal: none of the 4 columns is left"):
        mixture.marginal([])


@pytest.mark.parametrize(
    "columns",
    [[3, 1], (-1, -3), np.array([3, 1]), torch.tensor([-1, 1]), slice(3, 0, -2), iter([3, 1])],
)
def test_ways_to_say_columns(columns: Any) -> None:
    mixture = mixture_of("diagonal", *leaves("diagonal"))
    torch.testing.assert_close(mixture.marginal(columns).means, mixture.means[:, [3, 1]])


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_masks_and_single_columns(kind: Any) -> None:
    mixture = mixture_of("full", *leaves("full"))
    mask = kind([False, True, False, True])
    torch.testing.assert_close(mixture.marginal(mask).means, mixture.means[:, [1, 3]])
    for one in (2, np.int64(-2), torch.tensor(2)):
        torch.testing.assert_close(mixture.marginal(one).means, mixture.means[:, [2]])


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ([0, 4], ValueError, "marginal: column 4 is out of range; there are 4, numbered from 0"),
        ([-5], ValueError, "column -5 is out of range"),
        ([1, -3], ValueError, r"column\(s\) 1 are named more than once"),
        ([True, False], ValueError, "the mask has 2 truth values, and there are 4 columns"),
        ([True, 1, 0, 0], TypeError, "mix truth values with others"),
        (["a"], ValueError, "column 'a', and the columns have no names"),
        ([0.0], TypeError, "column 0.0 is a float; give numbers, names"),
        (None, TypeError, "columns are a NoneType"),
        (np.zeros((2, 2), int), ValueError, r"columns have shape \(2, 2\)"),
    ],
)
def test_columns_that_are_none(columns: Any, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        mixture_of("full", *leaves("full")).marginal(columns)


def test_values_that_are_none() -> None:
    mixture = mixture_of("full", *leaves("full"))
    for wrong in (torch.zeros(3), torch.tensor(1.0), torch.zeros(2, 1)):
        with pytest.raises(ValueError, match=r"values have shape .*; expected \(..., 2\), one a"):
            mixture.condition([0, 1], wrong.double())
    for number in (torch.nan, torch.inf):
        with pytest.raises(ValueError, match="values hold NaN or infinity"):
            mixture.condition([0], torch.full((1,), number, dtype=torch.float64))
    with pytest.raises(ValueError, match="named more than once"):
        mixture.regress([0], torch.zeros(1, dtype=torch.float64), targets=[0, 1])


@each_form
def test_under_transforms_and_the_compiler(form: str) -> None:
    given = tuple(t.detach() for t in leaves(form))
    x = torch.randn(5, 2, dtype=torch.float64)

    def predicted(weights: Tensor, means: Tensor, spread: Tensor, x: Tensor) -> Tensor:
        name = "logvars" if form in ("diagonal", "isotropic") else "scale_tril"
        mixture = GaussianMixture(weights, means, **{name: spread}, validate_args=False)
        return mixture.regress(GIVEN, x).mean

    want = predicted(*given, x)
    by_row = torch.func.vmap(predicted, (None, None, None, 0))(*given, x)
    torch.testing.assert_close(by_row, want)
    jacobians = torch.func.vmap(torch.func.jacrev(predicted, 3), (None, None, None, 0))(*given, x)
    truth = torch.autograd.functional.jacobian(lambda x: predicted(*given, x), x)
    torch.testing.assert_close(jacobians, torch.einsum("nbna->nba", truth))
    if form == "full":
        compiled = torch.compile(predicted, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(*given, x), want)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_dtypes_and_autocast(dtype: torch.dtype) -> None:
    wide = mixture_of("full", *(t.detach() for t in leaves("full")))
    mixture = mixture_of("full", *(t.detach().to(dtype) for t in leaves("full")))
    x = torch.randn(5, 2)
    rtol = 20 * torch.finfo(dtype).eps
    want = wide.regress(GIVEN, x.double())
    found = mixture.regress(GIVEN, x.to(dtype))
    assert found.mean.dtype == found.covariance.dtype == dtype
    torch.testing.assert_close(found.mean.double(), want.mean, rtol=rtol, atol=rtol)
    if dtype == torch.float32:
        with torch.autocast("cpu", torch.bfloat16):
            found = mixture.regress(GIVEN, x)
        torch.testing.assert_close(found.mean.double(), want.mean, rtol=1e-5, atol=1e-5)
