# SPDX-License-Identifier: MIT
"""Shapes of an op: checks with readable errors, and broadcasting of the batch dimensions."""

from __future__ import annotations

import copy
import re

import torch
from torch import Tensor

from pyvae import _C
from pyvae.ops.folding import Folding, Tensors, place, shared_dimensions

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
        # Where a result has no row a point, the points of two entries must not meet.
        self.folds = all("n" in core for core in self.result_cores)
        self._first_mixture = next((i for i, core in enumerate(self.cores) if "n" not in core), 0)

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

    def broadcast(self, tensors: Tensors) -> tuple[Tensors, Folding | None]:
        """Give all tensors one batch shape without copying.

        Points in batches against fewer mixtures become longer rows of points (``folding``), where
        every result has a row a point; what undoes it is returned then.
        """
        batches = [t.shape[: t.dim() - rank] for t, rank in zip(tensors, self.ranks, strict=True)]
        if not any(batches):
            return tensors, None
        return place(self.cores, tensors, self._batch_shape(batches), folds=self.folds)

    def folds_batch(self, tensors: Tensors, batch: torch.Size) -> bool:
        """Whether ``broadcast`` would fold tensors that have one batch shape already."""
        if not self.folds or 0 not in tensors[self._first_mixture].stride()[: len(batch)]:
            return False  # nearly always, and the call may be small
        return bool(shared_dimensions(self.cores, tensors, batch))

    def fake_results(
        self, tensors: tuple[Tensor, ...], dtypes: tuple[torch.dtype | None, ...]
    ) -> tuple[Tensor, ...]:
        """Empty results of the right shapes, for tensors of one batch shape and dtype."""
        self.sizes(tensors)
        first = tensors[0]
        batch = first.shape[: first.dim() - self.ranks[0]]
        letters = {"l": _C.LISTED}  # "d|1" is a letter of its own
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
