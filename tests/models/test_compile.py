# SPDX-License-Identifier: MIT
"""torch.compile in one graph, and autocast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from pyvae.models import VampPrior
from tests.models.builders import OPTIONS, data, option_name, small_gmvae, small_vae


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def check_compiled(model: Any, backend: str) -> None:
    """Compare bound and gradients for two batch sizes, compiled in one graph and plain."""
    compiled = torch.compile(model.elbo, fullgraph=True, dynamic=True, backend=backend)
    parameters = list(model.parameters())
    for n in (4, 7):
        x, results = data(n, torch.float32), []
        for function in (model.elbo, compiled):
            torch.manual_seed(n)
            bound = function(x)
            gradients = torch.autograd.grad(bound.total.sum(), parameters)
            results.append((*bound, *gradients))
        torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", OPTIONS[::5], ids=option_name)
def test_one_graph(options: dict[str, Any]) -> None:
    check_compiled(small_gmvae(torch.float32, **options), "aot_eager")


def test_one_graph_of_the_vae() -> None:
    check_compiled(small_vae(torch.float32, likelihood="gaussian"), "aot_eager")


def test_one_graph_of_a_vamp_prior() -> None:
    prior = VampPrior(data(3, torch.float32), learn_weights=True)
    check_compiled(small_vae(torch.float32, prior=prior), "aot_eager")


@pytest.mark.parametrize("options", OPTIONS[::5], ids=option_name)
def test_autocast_keeps_the_bound_in_single_precision(options: dict[str, Any]) -> None:
    model, x = small_gmvae(torch.float32, **options), data(64, torch.float32)
    torch.manual_seed(0)
    expected = model.elbo(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.manual_seed(0)
        bound = model.elbo(x)
        probabilities = model.predict_proba(x)
    assert {part.dtype for part in (*bound, probabilities)} == {torch.float32}
    torch.testing.assert_close(bound.total, expected.total, rtol=0.05, atol=0.2)
    bound.total.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
