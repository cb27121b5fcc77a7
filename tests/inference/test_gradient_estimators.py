# SPDX-License-Identifier: MIT
"""The reparameterised gradient against the score function's: one mean, two variances."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pyvae.inference import score_function_bound
from pyvae.models import GMVAE

ROWS = 20_000


class ByRow(nn.Module):
    """An encoder of one example repeated, with parameters of its own for every row.

    So the gradient of a sum over rows holds one estimate a row.
    """

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.tensor([[0.7, -0.4]]).repeat(rows, 1))
        self.logvar = nn.Parameter(torch.tensor([[-1.0, 0.3]]).repeat(rows, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean, self.logvar


def estimates(estimator: str, num_samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """The bounds, the encoder's gradient by row, and the decoder's gradient over all rows."""
    torch.manual_seed(0)
    model = GMVAE(6, 2, num_components=3, hidden=(8,), encoder=ByRow(ROWS)).double()
    x = (torch.arange(6) % 2).double().expand(ROWS, 6)
    torch.manual_seed(1)
    if estimator == "score":
        bound = score_function_bound(model, x, num_samples)
    else:
        bound = model.elbo(x, num_samples=num_samples).total
    bound.sum().backward()
    encoder = model.encoder
    assert isinstance(encoder, ByRow)
    assert encoder.mean.grad is not None
    assert encoder.logvar.grad is not None
    decoder = torch.cat([p.grad.flatten() for p in model.decoder.parameters()])  # type: ignore[union-attr]
    return bound.detach(), torch.cat([encoder.mean.grad, encoder.logvar.grad], 1), decoder / ROWS


@pytest.mark.parametrize("num_samples", [1, 4])
def test_both_have_the_same_mean_and_one_the_larger_variance(num_samples: int) -> None:
    bound, reparameterised, decoder = estimates("reparameterised", num_samples)
    other, score, its_decoder = estimates("score", num_samples)
    errors = ((reparameterised.var(0) + score.var(0)) / ROWS).sqrt()
    gaps = (reparameterised.mean(0) - score.mean(0)).abs()
    assert (gaps < 5.0 * errors).all()
    assert (errors < 0.3 * reparameterised.mean(0).abs().max()).all()  # else it would say nothing
    assert (score.var(0) > 2.0 * reparameterised.var(0)).all()
    # Both draw the same samples, and for given samples the decoder's part is the same.
    torch.testing.assert_close(decoder, its_decoder)
    assert bound.mean().item() == pytest.approx(other.mean().item(), abs=0.1)


def test_the_baseline_takes_variance_away() -> None:
    """Four samples by their own are worth four; with each other as baseline, more."""
    _, single, _ = estimates("score", 1)
    _, four, _ = estimates("score", 4)
    assert (four.var(0) < 0.8 * single.var(0) / 4).all()
