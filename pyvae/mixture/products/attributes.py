# SPDX-License-Identifier: MIT
"""The public attributes of a mixture of products, checked: they may have been set by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture import arrays, state

_SUM = 1e-6  # within which probabilities sum to one


def weights(estimator: Any) -> Tensor:
    """Give the weights, ``(K,)``.

    Raises
    ------
    ValueError
        If they are no distribution.
    """
    found = arrays.numbers(estimator.weights_)
    if found.ndim != 1 or not len(found):
        raise WrongValue(f"weights_ has shape {tuple(found.shape)}; expected (K,)")
    require_distribution("weights_", found)
    return found


def probabilities(
    estimator: Any, name: str, shape: tuple[int, ...], device: torch.device
) -> Tensor:
    """Give an attribute of numbers from 0 to 1 in a shape."""
    found = state.shaped(estimator, name, shape, "components and columns", device)
    require_probabilities(name, found)
    return found


def require_probabilities(name: str, values: Tensor) -> None:
    """Refuse what is not within 0 and 1.

    Raises
    ------
    ValueError
        If something is not.
    """
    if not ((values >= 0) & (values <= 1)).all():
        raise WrongValue(f"{name} holds numbers outside [0, 1] or NaN; expected probabilities")


def require_distribution(name: str, values: Tensor) -> None:
    """Refuse rows that are no probabilities or do not sum to one.

    Raises
    ------
    ValueError
        If one is none.
    """
    require_probabilities(name, values)
    if not ((values.sum(-1) - 1.0).abs() <= _SUM).all():
        raise WrongValue(f"{name} does not sum to one in every component; expected probabilities")


def table(name: str, values: Any, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Give one column's probabilities, of ones ``(K,)`` or of its categories ``(K, C)``.

    Raises
    ------
    ValueError
        If they are none, or have another shape.
    """
    found = arrays.numbers(values, device)
    if found.shape != shape:
        raise WrongValue(f"{name} has shape {tuple(found.shape)}; expected {shape}")
    if len(shape) == 1:
        require_probabilities(name, found)
    else:
        require_distribution(name, found)
    return found
