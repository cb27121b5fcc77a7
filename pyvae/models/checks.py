# SPDX-License-Identifier: MIT
"""Checks of arguments, cheap enough for every call: none of them reads a tensor's values."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from pyvae.errors import WrongType, WrongValue
from pyvae.ops.modes import is_traced

CONVERT = "convert it (8-bit images: x.float() / 255)"


def at_least(least: int, name: str, value: object) -> int:
    """Return ``value`` as an int, or raise where it is no integer or below ``least``."""
    try:
        if isinstance(value, bool):
            raise TypeError
        # A size in a graph for batches of any size has no value: index() would fix it.
        number: Any = value if type(value) in (int, torch.SymInt) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        kind = type(value).__name__
        raise WrongType(f"{name} must be an integer, got {value!r} ({kind})") from None
    if number < least:
        raise WrongValue(f"{name} must be at least {least}, got {number}")
    return number


def index_below(count: int, name: str, value: object) -> int:
    """Return ``value`` as an int, or raise where it is no index from 0 to ``count - 1``."""
    number = at_least(0, name, value)
    if number >= count:
        raise WrongValue(f"{name} must be from 0 to {count - 1}, got {number}")
    return number


def network(name: str, value: object) -> nn.Module | str:
    """Return a module, or the word for a built-in one, or raise where ``value`` is neither."""
    if value is None:
        return "mlp"
    if isinstance(value, nn.Module | str):
        return value
    advice = "; pass an instance, not the class" if isinstance(value, type) else ""
    raise WrongType(f"{name} must be an nn.Module, 'mlp' or 'conv', got {value!r}{advice}")


def floating(name: str, value: Tensor, like: Tensor, advice: str) -> Tensor:
    """Return ``value``, or raise where it is no floating tensor or not where ``like`` is.

    ``advice`` ends the message about a wrong dtype.
    """
    if not isinstance(value, Tensor):
        raise WrongType(
            f"{name} must be a torch.Tensor, got {type(value).__name__}; use torch.as_tensor"
        )
    if not value.is_floating_point():
        raise WrongType(f"{name} must be a floating tensor, got {value.dtype}; {advice}")
    if value.device != like.device:
        raise WrongValue(
            f"{name} is on {value.device} but the model is on {like.device}; "
            f"pass {name}.to({str(like.device)!r}) or move the model"
        )
    return value


def shaped(name: str, value: Tensor, shape: Sequence[int], meaning: str) -> Tensor:
    """Return ``value``, or raise where its shape is not ``shape``."""
    if not is_traced() and value.shape != torch.Size(shape):
        raise WrongValue(
            f"{name} has shape {tuple(value.shape)}, expected {tuple(shape)}: {meaning}"
        )
    return value


def examples(
    name: str, value: Tensor, features: int, image_shape: Sequence[int] | None = None
) -> Tensor:
    """Return ``value``, or raise where it is no batch of examples with that many features.

    Nor may they be images of another shape than ``image_shape``, such as those with channels last.
    """
    fits = is_traced() or value.shape[1:].numel() == features
    if value.ndim < 2 or not fits:
        single = value.ndim < 2 and value.numel() == features
        raise WrongValue(
            f"{name} has shape {tuple(value.shape)}, expected (N, ...) with {features} features an "
            f"example (input_dim={features})"
            + (f"; for one example pass {name}.unsqueeze(0)" if single else "")
        )
    if image_shape is None or is_traced():
        return value
    if _sides(value.shape[1:]) not in (_sides(image_shape), _sides([features])):
        raise WrongValue(
            f"{name} has shape {tuple(value.shape)}, expected (N, {features}) or "
            f"(N, {', '.join(map(str, image_shape))}) by image_shape; where channels are last, "
            f"pass {name}.movedim(-1, 1)"
        )
    return value


def _sides(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size > 1]  # the others change no order of the numbers


def vectors(name: str, value: Tensor, length: int, setting: str) -> Tensor:
    """Return ``value``, or raise where it is no batch of vectors of that length."""
    if value.ndim < 2 or (not is_traced() and value.shape[-1] != length):
        raise WrongValue(
            f"{name} has shape {tuple(value.shape)}, expected (..., N, {length}): "
            f"{setting} is {length}"
        )
    return value
