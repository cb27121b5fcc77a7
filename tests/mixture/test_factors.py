# SPDX-License-Identifier: MIT
"""Cholesky factors that are kept are always those of the covariances as they are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pyvae.mixture.factors import Factors, IllDefined


def covariances(scale: float = 1.0) -> Tensor:
    root = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0)).double()
    return scale * (root @ root.mT + torch.eye(4))


def test_the_last_are_kept() -> None:
    factors, of = Factors(), covariances()
    found = factors.of(of)
    torch.testing.assert_close(found @ found.mT, of)
    assert factors.of(of) is found
    assert factors.of(of.clone()) is not found


def test_not_of_covariances_that_were_written_to() -> None:
    factors, of = Factors(), covariances()
    factors.of(of)
    of *= 4.0
    torch.testing.assert_close(factors.of(of), torch.linalg.cholesky(of))


def test_nor_of_those_that_are_gone() -> None:
    factors = Factors()
    for scale in (1.0, 2.0, 3.0):  # one may take the place of the one before in memory
        torch.testing.assert_close(
            factors.of(covariances(scale)), torch.linalg.cholesky(covariances(scale))
        )


def test_in_inference_mode() -> None:
    factors = Factors()
    with torch.inference_mode():
        of = covariances()
        factors.of(of)
        of *= 4.0
        torch.testing.assert_close(factors.of(of), torch.linalg.cholesky(of))


def test_what_has_none_is_named_each_time() -> None:
    factors, of = Factors(), covariances()
    of[1] = -of[1]
    for _ in range(2):
        with pytest.raises(IllDefined, match="components 1"):
            factors.of(of)
    assert factors.of(covariances()[0]).shape == (1, 4, 4)
