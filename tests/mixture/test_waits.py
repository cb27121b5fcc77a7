# SPDX-License-Identifier: MIT
"""How often an iteration asks the device for a number, for which a GPU has to end what it does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pyvae.mixture import GaussianMixture
from pyvae.mixture import gaussian_em as em


class _Waits(TorchDispatchMode):
    """Counts reads of single numbers, and results whose size depends on numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = str(function)
        by_mask = name == "aten.index.Tensor" and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        reads = "aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten._unique"
        self.count += by_mask or name.startswith(reads)
        return function(*args, **(kwargs or {}))


@pytest.mark.filterwarnings("ignore:.*converge")
@pytest.mark.parametrize(
    ("kind", "reg_covar", "most"),
    [
        ("spherical", 1e-6, 3), ("diag", 1e-6, 3), ("tied_diag", 1e-6, 3), ("diag", 0.0, 4),
        ("full", 1e-6, 4), ("tied", 1e-6, 4),
    ],
)  # fmt: skip
def test_waits_of_an_iteration(
    kind: str, reg_covar: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sums' numbers, whether covariances are such, F after the M step; and what rounding is."""
    monkeypatch.setattr(em, "_MOST_SHARES", 0)  # as where there are many points
    x = torch.randn(3000, 4, generator=torch.Generator().manual_seed(0))
    read, copies = em.to_host, 0

    def counted(*values: torch.Tensor) -> list[float]:
        nonlocal copies
        copies += 1
        return read(*values)

    monkeypatch.setattr(em, "to_host", counted)
    counts = []
    for iterations in (2, 6):
        mixture = GaussianMixture(
            3, covariance_type=kind, max_iter=iterations, tol=0.0, reg_covar=reg_covar,
            reseed=False, random_state=0,
        )  # fmt: skip
        copies = 0
        with _Waits() as waits:
            mixture.fit(x)
        assert mixture.n_iter_ == iterations
        counts.append(waits.count + copies)
    assert counts[1] - counts[0] <= 4 * most
