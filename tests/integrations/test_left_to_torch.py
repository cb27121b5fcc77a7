# SPDX-License-Identifier: MIT
"""What torch's distributions keep to themselves under the patch, and their errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Independent,
    Laplace,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

import pyvae
from tests.integrations.mixtures import (
    Ops,
    diagonal,
    mixture_of,
    normals,
    unvalidated,
    valid,
)


class Shifted(Normal):
    def log_prob(self, value: Tensor) -> Tensor:
        return super().log_prob(value) + 1.0


class Marked(Tensor):
    pass


def _mixed() -> Tensor:
    return diagonal(torch.zeros(2), torch.zeros(2, 3), torch.ones(2, 3)).log_prob(
        torch.zeros(4, 3, dtype=torch.float64)
    )


def _halves() -> Tensor:
    one = torch.ones(2, 3, dtype=torch.bfloat16)
    return diagonal(one[:, 0], one, one).log_prob(one)


def _along_the_event() -> Tensor:
    parts = Independent(Normal(torch.zeros(2, 3), 1.0, validate_args=False), 1)
    return mixture_of(torch.zeros(2), parts, validate_args=False).log_prob(torch.ones(5, 1))


def _divergence_along_the_event() -> Tensor:
    wide, narrow = torch.zeros(3), torch.zeros(1)
    return kl_divergence(normals(wide, wide + 1.0), normals(narrow, narrow + 2.0))


def _autocast() -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return diagonal(torch.zeros(2), torch.zeros(2, 3), torch.ones(2, 3)).log_prob(
            torch.zeros(4, 3)
        )


def _subclass_of_tensors() -> Tensor:
    value = torch.zeros(4, 3).as_subclass(Marked)
    return diagonal(torch.zeros(2), torch.zeros(2, 3), torch.ones(2, 3)).log_prob(value)


LEFT_TO_TORCH: dict[str, Callable[[], Tensor]] = {
    "another family": lambda: mixture_of(
        torch.zeros(2), Independent(Laplace(torch.zeros(2, 3), 1.0), 1)
    ).log_prob(torch.ones(3)),
    "a density of one's own": lambda: mixture_of(
        torch.zeros(2), Independent(Shifted(torch.zeros(2, 3), 1.0), 1)
    ).log_prob(torch.ones(3)),
    "mixed dtypes": _mixed,
    "halves": _halves,
    "autocast": _autocast,
    "a value along the event": _along_the_event,
    "a divergence along the event": _divergence_along_the_event,
    "a subclass of Tensor": _subclass_of_tensors,
    "no points": lambda: mixture_of(
        torch.zeros(2), Normal(torch.zeros(2), 1.0, validate_args=False), validate_args=False
    ).log_prob(torch.zeros(0)),
    "factors": lambda: kl_divergence(
        *(MultivariateNormal(torch.zeros(3), scale * torch.eye(3)) for scale in (1.0, 2.0))
    ),
    "normals": lambda: kl_divergence(Normal(torch.zeros(3), 1.0), Normal(torch.ones(3), 2.0)),
    "no dimension summed": lambda: kl_divergence(
        *(Independent(Normal(torch.zeros(3), scale), 0) for scale in (1.0, 2.0))
    ),
    "two dimensions summed": lambda: kl_divergence(
        *(Independent(Normal(torch.zeros(2, 3), scale), 2) for scale in (1.0, 2.0))
    ),
}


@pytest.mark.parametrize("case", LEFT_TO_TORCH)
def test_what_is_left_to_torch_is_its_own(case: str) -> None:
    expected = LEFT_TO_TORCH[case]()
    with pyvae.patch_torch_distributions(), Ops() as ops:
        found = LEFT_TO_TORCH[case]()
    assert not ops.names
    assert type(found) is type(expected)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.is_meta or torch.equal(found, expected)


WRONG: dict[str, Callable[[], Any]] = {
    "NaN": lambda: valid().log_prob(torch.full((3,), torch.nan)),
    "event": lambda: valid().log_prob(torch.zeros(5, 2)),
    "scalar": lambda: valid().log_prob(torch.tensor(0.0)),
    "another device": lambda: unvalidated(
        torch.ones(2), *torch.ones(2, 2, 3, device="meta")
    ).log_prob(torch.ones(4, 3, device="meta")),
    "no points": lambda: unvalidated(torch.ones(2), *torch.ones(2, 2, 3)).log_prob(
        torch.zeros(0, 3)
    ),
    "divergences of nothing": lambda: kl_divergence(
        *(Independent(Normal(*torch.ones(2, 0, 3), validate_args=False), 1) for _ in range(2))
    ),
    "no tensor": lambda: valid().log_prob([0.0, 0.0, 0.0]),
    "components that validate": lambda: valid(validate_args=False).log_prob(
        torch.full((3,), torch.nan)
    ),
    "batch": lambda: mixture_of(
        torch.zeros(2, 2), Independent(Normal(torch.zeros(2, 2, 3), 1.0, validate_args=False), 1),
        validate_args=False,
    ).log_prob(torch.zeros(5, 3, 3)),
    "divergence of two spaces": lambda: kl_divergence(
        *(normals(torch.zeros(d), torch.ones(d)) for d in (2, 3))
    ),
    "divergence of two batches": lambda: kl_divergence(
        *(normals(torch.zeros(n, 3), torch.ones(n, 3)) for n in (2, 5))
    ),
    "divergence of unlike events": lambda: kl_divergence(
        *(Independent(Normal(torch.zeros(2, 3), 1.0), dims) for dims in (1, 2))
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_errors_are_torchs(case: str) -> None:
    with pytest.raises(Exception) as theirs:  # noqa: PT011  # whichever it is
        WRONG[case]()
    with pyvae.patch_torch_distributions(), pytest.raises(Exception) as ours:  # noqa: PT011
        WRONG[case]()
    assert type(ours.value) is type(theirs.value)
    assert str(ours.value) == str(theirs.value)
