# SPDX-License-Identifier: MIT
"""Data in whatever container they come, as batches of examples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from pyvae.errors import WrongType, WrongValue

_BATCH = 1024
T = TypeVar("T")


def batches_of(source: Tensor | Dataset | Iterable[Any]) -> Iterable[Any]:
    """Return what has examples, a tensor or a map-style ``Dataset``, in batches of them.

    Anything else is taken to be batches already.

    Raises
    ------
    TypeError
        If it can be no batches.
    """
    if isinstance(source, Tensor):
        return (source,)
    if isinstance(source, Dataset) and not isinstance(source, IterableDataset):
        # Without a generator the loader would draw from the global one.
        return DataLoader(
            source, batch_size=_BATCH, collate_fn=stacked, generator=torch.Generator()
        )
    if not isinstance(source, Iterable):
        raise WrongType(
            f"data are a {type(source).__name__}; expected a tensor (N, ...), a Dataset, or "
            "batches, as a DataLoader has them"
        )
    return source


def stacked(items: Tensor | list[Any]) -> Tensor:
    """Return a batch of a ``Dataset``'s items: examples, or tuples or lists that begin with one.

    Raises
    ------
    ValueError
        If they are no tensors of one shape.
    """
    if isinstance(items, Tensor):
        return items
    examples = [item[0] if isinstance(item, tuple | list) else item for item in items]
    try:
        return torch.stack([torch.as_tensor(example) for example in examples])
    except (TypeError, ValueError, RuntimeError) as error:
        raise WrongValue(
            f"the data's items cannot be stacked into a batch ({error}); expected tensors of one "
            "shape, or tuples that begin with one"
        ) from error


def holds_images(source: object) -> bool | None:
    """Return whether data say that their examples are pictures; None where they do not say.

    ``pyvae.data.Data`` do, in rows, and so do loaders, subsets and joined sets of such.
    """
    return _told(source, "holds_images", bool)


def image_shape(source: object) -> tuple[int, ...] | None:
    """Return the shape of the pictures that data say their rows to be; None where they do not."""
    return _told(source, "image_shape", tuple)


def _told(source: object, name: str, kind: type[T]) -> T | None:
    """Return what data, or all those that they consist of, have as an attribute."""
    said = getattr(source, name, None)
    if isinstance(said, kind):
        return said
    parts = getattr(source, "datasets", None) or [getattr(source, "dataset", None)]
    if not isinstance(parts, list | tuple) or parts[0] is None:
        return None
    answers = {_told(part, name, kind) for part in parts}
    return answers.pop() if len(answers) == 1 else None
