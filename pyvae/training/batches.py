# SPDX-License-Identifier: MIT
"""Whatever data are handed over, as batches of examples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence, Sized
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from pyvae.data import Data
from pyvae.errors import WrongType, WrongValue
from pyvae.examples import holds_images, image_shape, stacked

_FINGERPRINT_ROWS = 64
_EVALUATION_BATCH = 1024


class Batches:
    """Examples of a ``Data``, a tensor ``(N, ...)`` or a map-style torch ``Dataset`` in batches.

    An item of a ``Dataset`` is the example, or a tuple or list that begins with it; what follows
    (labels, as a rule) is not looked at.

    Raises
    ------
    TypeError
        If ``source`` is something else.
    ValueError
        If it is empty.
    """

    def __init__(self, source: Data | Tensor | Dataset, num_workers: int = 0) -> None:
        if isinstance(source, Data):
            self.dataset: Dataset = source
        elif isinstance(source, Tensor):
            self.dataset = _TensorRows(source)
        elif isinstance(source, IterableDataset) or not isinstance(source, Dataset):
            raise WrongType(
                f"data are a {type(source).__name__}; expected pyvae.data.Data (pyvae.data.load), "
                "a tensor (N, ...) or a map-style torch Dataset"
            )
        else:
            self.dataset = source
        if not isinstance(self.dataset, Sized):
            raise WrongType(f"the {type(source).__name__} has no length; give it __len__")
        self.size = len(self.dataset)
        if self.size == 0:
            raise WrongValue("the data hold no examples; at least one is needed")
        self.num_workers = num_workers

    def __len__(self) -> int:
        return self.size

    @property
    def image(self) -> bool | None:
        """Whether an example is a picture; None where its shape alone can tell."""
        return holds_images(self.dataset)

    @property
    def image_shape(self) -> tuple[int, ...] | None:
        """``(H, W)`` or ``(C, H, W)`` of the pictures that examples are; None of a table."""
        told = image_shape(self.dataset)
        if told is not None:
            return told
        shape = tuple(next(iter(self.at([0]))).shape[1:])
        return shape if len(shape) in (2, 3) and min(shape[-2:]) > 1 else None

    def shuffled(
        self, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> DataLoader:
        """One pass in an order that depends on ``seed`` only; every rank gets its own part."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(self.size, generator=generator)
        parts = list(order.split(batch_size))
        # What is left over joins the batch before it where a rank would get less than two examples
        # of it: BatchNorm refuses one, and a step of full length for one example is mostly noise.
        if len(parts) > 1 and len(parts[-1]) < min(2 * world_size, batch_size):
            parts[-2:] = [torch.cat(parts[-2:])]
        if len(parts[0]) < world_size:
            raise WrongValue(
                f"a batch has {len(parts[0])} of the {self.size} examples (batch_size={batch_size})"
                f", fewer than the {world_size} processes that share it; lower devices"
            )
        # Every rank takes a slice of every batch, so that all of them make equally many steps.
        return self._loader([part[rank::world_size].tolist() for part in parts], generator)

    def in_order(self, limit: int | None = None, batch_size: int = _EVALUATION_BATCH) -> DataLoader:
        """One pass in order; with ``limit``, over that many examples spread evenly."""
        count = self.size if limit is None else min(limit, self.size)
        indices = np.linspace(0, self.size - 1, count).round().astype(int).tolist()
        return self.at(indices, batch_size)

    def at(self, indices: Sequence[int], batch_size: int = _EVALUATION_BATCH) -> DataLoader:
        """One pass over some examples, in the order that is given."""
        starts = range(0, len(indices), batch_size)
        batches = [list(indices[i : i + batch_size]) for i in starts]
        return self._loader(batches, torch.Generator().manual_seed(0))

    def fingerprint(self) -> dict[str, Any]:
        """What tells these data from others: their number, and the bits of some rows.

        A Dataset of the user's own may draw anew at every look, so only its length counts. Rows of
        a ``Data`` were once float32 whatever they are stored in: ``digest`` is of these, as older
        checkpoints have it, and ``exact_digest`` of the rows themselves.
        """
        found: dict[str, Any] = {"examples": self.size}
        if isinstance(self.dataset, Data | _TensorRows):
            rows = next(iter(self.in_order(_FINGERPRINT_ROWS)))
            if isinstance(self.dataset, Data):
                found["exact_digest"] = _digest(rows)
                rows = rows.float()
            found["digest"] = _digest(rows)
        return found

    def _loader(self, batches: Sequence[list[int]], generator: torch.Generator) -> DataLoader:
        # The generator seeds the workers: without it the loader would draw from the global one.
        return DataLoader(
            _DataRows(self.dataset) if isinstance(self.dataset, Data) else self.dataset,
            batch_sampler=_Fixed(batches),
            collate_fn=stacked,
            num_workers=self.num_workers,
            generator=generator,
        )


class _Fixed:
    """A batch sampler that hands out given batches."""

    def __init__(self, batches: Sequence[list[int]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


class _TensorRows(Dataset):
    def __init__(self, x: Tensor) -> None:
        if x.ndim < 2:
            raise WrongValue(f"data have shape {tuple(x.shape)}; expected (N, ...)")
        self.x = x

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Tensor:
        return self.x[index]

    def __getitems__(self, indices: list[int]) -> Tensor:
        return self.x[torch.tensor(indices, device=self.x.device)]


class _DataRows(Dataset):
    """Rows of a ``Data``, a batch at once."""

    def __init__(self, data: Data) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, indices: list[int]) -> Tensor:
        return self.data.rows(indices)


def _digest(rows: Tensor) -> str:
    bits = rows.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    return hashlib.sha256(bits).hexdigest()[:16]
