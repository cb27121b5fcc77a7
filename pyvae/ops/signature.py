# SPDX-License-Identifier: MIT
"""Shapes of an op: checks with readable errors, and broadcasting of the batch dimensions."""

from __future__ import annotations

import copy
import math
import re

import torch
from torch import Tensor

Shape = tuple[int, ...]
_SIZES = {"n": "points", "k": "components", "d": "features"}
_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


class Signature:
    """A gufunc signature such as ``(n,d),(k),(k,d),(k,d|1)->(n)`` with its arguments' names."""

    def __init__(self, name: str, arguments: tuple[str, ...], signature: str) -> None:
        inputs, outputs = signature.split("->")
        self.name = name
        self.arguments = arguments
        self.cores = tuple(_parse(inputs))
        self.result_cores = tuple(_parse(outputs))
        self.ranks = tuple(len(core) for core in self.cores)

    def renamed(self, names: dict[str, str]) -> Signature:
        """The same signature with some arguments called otherwise in its messages."""
        signature = copy.copy(self)
        signature.arguments = tuple(names.get(name, name) for name in self.arguments)
        return signature

    def check(self, tensors: tuple[Tensor, ...], *, mixed: bool = False) -> None:
        """Raise TypeError or ValueError unless the tensors fit; ``mixed`` allows mixed dtypes."""
        for name, tensor in zip(self.arguments, tensors, strict=True):
            self._check_tensor(name, tensor, tensors[0], mixed)
        self.sizes(tensors)

    def sizes(self, tensors: tuple[Tensor, ...]) -> dict[str, int]:
        """Return the size of every letter; raises ValueError where two arguments disagree."""
        sizes: dict[str, int] = {}
        owners: dict[str, str] = {}
        for name, core, tensor in zip(self.arguments, self.cores, tensors, strict=True):
            if tensor.dim() < len(core):
                raise ValueError(
                    f"{self.name}: {name} must have shape (..., {', '.join(core)}), at least "
                    f"{len(core)} dimensions, but has shape {tuple(tensor.shape)}"
                )
            for letter, size in zip(core, tensor.shape[tensor.dim() - len(core) :], strict=True):
                if letter.endswith("|1"):
                    if size == 1:
                        continue
                    letter = letter[0]
                if sizes.setdefault(letter, size) != size:
                    self._refuse_size(letter, size, name, sizes[letter], owners[letter])
                owners.setdefault(letter, name)
        return sizes

    def broadcast(self, tensors: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Shape | None]:
        """Give all tensors one batch shape without copying.

        Points in batches against one mixture become one long row of points, where every result has
        a row a point; the shape to give back to that row is returned then.
        """
        batches = [t.shape[: t.dim() - rank] for t, rank in zip(tensors, self.ranks, strict=True)]
        if all(len(batch) == 0 for batch in batches):
            return tensors, None
        batch = self._batch_shape(batches)
        expanded = tuple(
            t if b == batch else t.expand(batch + t.shape[len(b) :])
            for t, b in zip(tensors, batches, strict=True)
        )
        pairs = list(zip(self.cores, batches, strict=True))
        folds = all("n" in core for core in self.result_cores)
        if not folds or any("n" not in core and math.prod(b) != 1 for core, b in pairs):
            return expanded, None
        points = expanded[0].shape[-2]
        chosen = [
            e if "n" in core else t
            for e, t, core in zip(expanded, tensors, self.cores, strict=True)
        ]
        flat = tuple(
            t.reshape(math.prod(batch) * points, *t.shape[len(batch) + 1 :])
            if "n" in core
            else t.reshape(t.shape[len(b) :])
            for t, (core, b) in zip(chosen, pairs, strict=True)
        )
        return flat, (*batch, points)

    @staticmethod
    def restore(result: Tensor, rows: Shape | None) -> Tensor:
        """Undo the folding of ``broadcast`` on a result, whose first dimension is the points."""
        return result if rows is None else result.reshape(*rows, *result.shape[1:])

    def fake_results(
        self, tensors: tuple[Tensor, ...], dtypes: tuple[torch.dtype | None, ...]
    ) -> tuple[Tensor, ...]:
        """Empty results of the right shapes, for tensors of one batch shape and dtype."""
        self.sizes(tensors)
        first = tensors[0]
        batch = first.shape[: first.dim() - self.ranks[0]]
        letters: dict[str, int] = {}  # "d|1" is a letter of its own
        for core, tensor in zip(self.cores, tensors, strict=True):
            shape = tensor.shape[tensor.dim() - len(core) :]
            letters.update(zip(core, shape, strict=True))
        return tuple(
            first.new_empty((*batch, *(letters[letter] for letter in core)), dtype=dtype)
            for core, dtype in zip(self.result_cores, dtypes, strict=True)
        )

    def _batch_shape(self, batches: list[torch.Size]) -> torch.Size:
        try:
            return torch.broadcast_shapes(*batches)
        except RuntimeError:
            shapes = ", ".join(
                f"{name} {tuple(b)}" for name, b in zip(self.arguments, batches, strict=True)
            )
            raise ValueError(
                f"{self.name}: the leading (batch) dimensions do not broadcast: {shapes}; each "
                "must be equal or 1"
            ) from None

    def _check_tensor(self, name: str, tensor: Tensor, first: Tensor, mixed: bool) -> None:
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{self.name}: {name} must be a torch.Tensor, got {type(tensor).__name__}; wrap it "
                "in torch.as_tensor"
            )
        if tensor.dtype not in _FLOATS:
            raise TypeError(
                f"{self.name}: {name} must be a floating-point tensor, got {tensor.dtype}; convert "
                "it with .float()"
            )
        if tensor.dtype != first.dtype and not mixed:
            raise TypeError(
                f"{self.name}: {name} is {tensor.dtype} but {self.arguments[0]} is {first.dtype}; "
                "convert one of them with .to(dtype)"
            )
        if tensor.device != first.device:
            raise ValueError(
                f"{self.name}: {name} is on {tensor.device} but {self.arguments[0]} is on "
                f"{first.device}; move one of them with .to(device)"
            )

    def _refuse_size(self, letter: str, size: int, name: str, known: int, owner: str) -> None:
        what = _SIZES[letter]
        raise ValueError(
            f"{self.name}: {name} has {letter.upper()}={size} {what} but {owner} has {known}; "
            f"pass the same number of {what} in both"
        )


def _parse(text: str) -> list[tuple[str, ...]]:
    return [tuple(c for c in core.split(",") if c) for core in re.findall(r"\(([^)]*)\)", text)]
