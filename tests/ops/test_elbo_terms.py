# SPDX-License-Identifier: MIT
"""Identities of the ELBO terms, and of the posterior, that need no reference."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pyvae import ops
from tests.ops.cases import MIXTURE_CASES, OpCase, each_dtype
from tests.ops.checks import gradients

SIZE = {"n": 11, "k": 7, "d": 5}
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}
CASES = {case.name: case for case in MIXTURE_CASES}
both_forms = pytest.mark.parametrize("form", ["", "-isotropic"], ids=("diagonal", "isotropic"))


def _case(form: str, name: str) -> OpCase:
    return CASES[f"mixture_elbo_terms[{name}]{form}"]


def _close(got: Tensor, want: Tensor) -> None:
    atol = TOLERANCE[want.dtype]
    torch.testing.assert_close(got, want, rtol=atol, atol=atol)


def _mixture(inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    return inputs["log_weights"], inputs["means"], inputs["logvars"]


@both_forms
@each_dtype
def test_exact_posterior_gives_the_log_density(dtype: torch.dtype, form: str) -> None:
    inputs = _case(form, "exact").draw(SIZE, dtype)
    w, mixture = inputs["w"], _mixture(inputs)
    terms = ops.mixture_elbo_terms(w, *mixture)
    _close(terms.expected_log_prob - terms.kl_z, ops.mixture_log_prob(w, *mixture))


@both_forms
@each_dtype
def test_posterior_sums_to_one(dtype: torch.dtype, form: str) -> None:
    inputs = CASES[f"mixture_posterior{form}"].draw(SIZE, dtype)
    log_posterior, log_prob = ops.mixture_posterior(**inputs)
    _close(log_posterior.exp().sum(-1), torch.ones(SIZE["n"], dtype=dtype))
    _close(log_prob, ops.mixture_log_prob(**inputs))


@both_forms
@each_dtype
def test_far_from_every_component(dtype: torch.dtype, form: str) -> None:
    """Where every density underflows, an ``exp(...) + 1e-10`` has lost which one is the nearest."""
    case = CASES[f"mixture_posterior{form}"]
    inputs = case.draw(SIZE, dtype)
    inputs["logvars"] = torch.zeros_like(inputs["logvars"])
    inputs["x"] = 300.0 + inputs["x"]
    log_posterior, log_prob = case(**inputs)
    assert (log_prob < -1e5).all()
    _close(torch.logsumexp(log_posterior, -1), torch.zeros(SIZE["n"], dtype=dtype))
    distance = (inputs["x"].unsqueeze(1) - inputs["means"]).square().sum(-1)
    nearest = (inputs["log_weights"] - 0.5 * distance).argmax(-1)
    assert torch.equal(log_posterior.argmax(-1), nearest)
    assert all(gradient.isfinite().all() for gradient in gradients(case, inputs).values())


@both_forms
@each_dtype
def test_weights_count_once(dtype: torch.dtype, form: str) -> None:
    """log pi outside the sum over the features: a factor on all weights shifts by its logarithm."""
    inputs = CASES[f"mixture_log_prob{form}"].draw(SIZE, dtype)
    before = ops.mixture_log_prob(**inputs)
    inputs["log_weights"] = inputs["log_weights"] + 2.5
    _close(ops.mixture_log_prob(**inputs), before + 2.5)


@both_forms
@each_dtype
def test_posterior_as_logits_gives_the_exact_terms(dtype: torch.dtype, form: str) -> None:
    """log_posterior and log_posterior plus any constant a row are the same q(z)."""
    inputs = _case(form, "exact").draw(SIZE, dtype)
    w, mixture = inputs["w"], _mixture(inputs)
    want = ops.mixture_elbo_terms(w, *mixture)
    logits = ops.mixture_posterior(w, *mixture).log_posterior
    for shift in (0.0, 3.0):
        got = ops.mixture_elbo_terms(w, *mixture, logits_q=logits + shift)
        for have, truth in zip(got, want, strict=True):
            _close(have, truth)


@both_forms
@each_dtype
def test_exact_posterior_maximises_the_bound(dtype: torch.dtype, form: str) -> None:
    """No other q(z) has a higher bound; without w that of q(w | x) is the maximum too."""
    for name in ("exact", "gaussian"):
        case = _case(form, name)
        inputs = case.draw(SIZE, dtype)
        best = case(**inputs)
        for seed in range(10):
            generator = torch.Generator().manual_seed(seed)
            logits = torch.randn(SIZE["n"], SIZE["k"], generator=generator, dtype=dtype)
            other = case(**inputs, logits_q=logits)
            assert (best[0] - best[1] >= other[0] - other[1] - TOLERANCE[dtype]).all()


@both_forms
@each_dtype
def test_vanishing_variance_is_a_point(dtype: torch.dtype, form: str) -> None:
    inputs = _case(form, "exact").draw(SIZE, dtype)
    w, mixture = inputs["w"], _mixture(inputs)
    want = ops.mixture_elbo_terms(w, *mixture)
    for value in (-200.0, -torch.inf):
        logvar = torch.full_like(w, value)
        for got in (
            ops.mixture_elbo_terms(w, *mixture, w, logvar),
            ops.mixture_elbo_terms(None, *mixture, w, logvar),
        ):
            for have, truth in zip(got, want, strict=True):
                _close(have, truth)


@both_forms
@each_dtype
def test_closed_form_is_the_mean_over_samples(dtype: torch.dtype, form: str) -> None:
    """With q(z) held fixed, E_q(w|x) log N by quadrature at mean +- sigma, exact for quadratics."""
    case = _case(form, "gaussian-logits")
    inputs = case.draw({**SIZE, "d": 1}, dtype)
    mixture, logits = _mixture(inputs), inputs["logits_q"]
    sigma = torch.exp(0.5 * inputs["logvar_q"])
    sides = [
        ops.mixture_elbo_terms(inputs["mean_q"] + s * sigma, *mixture, logits_q=logits)
        for s in (-1.0, 1.0)
    ]
    got, kl_z = case(**inputs)
    _close(got, 0.5 * (sides[0].expected_log_prob + sides[1].expected_log_prob))
    _close(kl_z, sides[0].kl_z)


@both_forms
@each_dtype
def test_samples_do_not_matter_with_logits_and_closed_form(dtype: torch.dtype, form: str) -> None:
    case = _case(form, "gaussian-logits")
    inputs = case.draw(SIZE, dtype)
    w = torch.full_like(inputs["mean_q"], torch.nan).requires_grad_()
    got = ops.mixture_elbo_terms(w, **inputs)
    for have, truth in zip(got, case(**inputs), strict=True):
        assert torch.equal(have, truth)
        assert not have.requires_grad


@both_forms
@each_dtype
def test_kl_is_never_negative(dtype: torch.dtype, form: str) -> None:
    for name in ("exact", "sampled", "gaussian", "logits", "gaussian-logits"):
        for seed in range(5):
            kl_z = _case(form, name)(**_case(form, name).draw(SIZE, dtype, seed=seed))[1]
            assert (kl_z > -TOLERANCE[dtype]).all()


@both_forms
@each_dtype
def test_mass_at_a_weight_of_minus_infinity(dtype: torch.dtype, form: str) -> None:
    """kl_z is +inf; the component gets no gradient, the others' are finite."""
    for name in ("logits", "gaussian-logits"):
        case = _case(form, name)
        inputs = case.draw(SIZE, dtype)
        inputs["log_weights"][2] = -torch.inf
        inputs["means"][2] = torch.nan
        inputs["logits_q"][0, 2] = -torch.inf  # no mass there in this row
        expected, kl_z = case(**inputs)
        assert expected.isfinite().all()
        assert kl_z[0].isfinite()
        assert (kl_z[1:] == torch.inf).all()
        for key, gradient in gradients(case, inputs).items():
            assert gradient.isfinite().all(), key
            if key in ("log_weights", "means", "logvars"):
                assert (gradient[2] == 0).all(), key


@both_forms
@each_dtype
def test_zero_times_log_zero(dtype: torch.dtype, form: str) -> None:
    """Logits of -inf, or so low that q underflows, take their component out of the row."""
    case = _case(form, "logits")
    inputs = case.draw(SIZE, dtype)
    inputs["logits_q"][:, 1] = -torch.inf
    inputs["logits_q"][:, 3] = -1e4
    kept = [0, 2, 4, 5, 6]
    got = case(**inputs)
    fewer = {
        k: v[kept] if k in ("log_weights", "means", "logvars") else v for k, v in inputs.items()
    }
    fewer["logits_q"] = inputs["logits_q"][:, kept]
    for have, truth in zip(got, case(**fewer), strict=True):
        _close(have, truth)
    for key, gradient in gradients(case, inputs).items():
        assert gradient.isfinite().all(), key
    assert (gradients(case, inputs)["logits_q"][:, [1, 3]] == 0).all()


@both_forms
@each_dtype
def test_gradients_flow_through_the_posterior(dtype: torch.dtype, form: str) -> None:
    """The bound's gradient is the log-density's: d(expected - kl)/dw has no term of q(z)."""
    inputs = _case(form, "exact").draw(SIZE, dtype)
    got = gradients(lambda **i: (torch.sub(*ops.mixture_elbo_terms(**i)),), inputs)
    renamed = {("x" if k == "w" else k): v for k, v in inputs.items()}
    want = gradients(lambda **i: (ops.mixture_log_prob(**i),), renamed)
    for name, truth in want.items():
        _close(got["w" if name == "x" else name], truth)
    alone = gradients(lambda **i: (ops.mixture_elbo_terms(**i).kl_z,), inputs)
    assert all(alone[name].abs().max() > 1e-3 for name in inputs)


@each_dtype
def test_isotropic_is_diagonal_with_equal_entries(dtype: torch.dtype) -> None:
    for name in [name for name in CASES if f"{name}-isotropic" in CASES]:
        inputs = CASES[f"{name}-isotropic"].draw(SIZE, dtype)
        spread = {**inputs, "logvars": inputs["logvars"].expand(-1, SIZE["d"])}
        for have, truth in zip(CASES[name](**inputs), CASES[name](**spread), strict=True):
            _close(have, truth)
        got, want = gradients(CASES[name], inputs), gradients(CASES[name], spread)
        _close(got["logvars"], want["logvars"].sum(-1, keepdim=True))
