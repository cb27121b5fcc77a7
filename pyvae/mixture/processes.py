# SPDX-License-Identifier: MIT
"""A fit over several processes, each with points of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture.sums import Sums


class Processes:
    """The processes of torch's default group, or this one alone.

    Raises
    ------
    RuntimeError
        If there is no group.
    """

    def __init__(self, distributed: bool) -> None:
        self.several = distributed
        if distributed and not (dist.is_available() and dist.is_initialized()):
            raise RuntimeError(
                "distributed=True: there is no process group; start the program with torchrun and "
                'call torch.distributed.init_process_group("gloo") ("nccl" for GPUs) before fit()'
            )

    def total(self, vector: Tensor) -> Tensor:
        """Give the sum of the vectors of all."""
        if self.several:
            vector = vector.clone()
            _together(lambda: dist.all_reduce(vector))
        return vector

    def largest(self, vector: Tensor) -> Tensor:
        """Give the largest of the vectors of all, by entries."""
        if self.several:
            vector = vector.clone()
            _together(lambda: dist.all_reduce(vector, dist.ReduceOp.MAX))
        return vector

    def added(self, sums: Sums) -> Sums:
        """Give the sums over the points of all."""
        return sums.from_flat(self.total(sums.flat())) if self.several else sums

    def of_the_first(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Give every process the tensors of the first, which have the same shapes."""
        if not self.several:
            return list(tensors)
        copies = [tensor.clone().contiguous() for tensor in tensors]
        for copy in copies:
            _together(lambda copy=copy: dist.broadcast(copy, 0))
        return copies

    def agree(self, dimension: int, device: torch.device) -> None:
        """Refuse points of other dimensions than those of the first process.

        Raises
        ------
        ValueError
            In the process whose points differ.
        """
        (first,) = self.of_the_first([torch.tensor(dimension, device=device)])
        if int(first) != dimension:
            raise WrongValue(
                f"rank {dist.get_rank()}: X has {dimension} coordinates, that of rank 0 {first}"
            )


def _together(exchange: Callable[[], object]) -> None:
    try:
        exchange()
    except RuntimeError as error:
        raise RuntimeError(
            f"rank {dist.get_rank()} of {dist.get_world_size()}: another process of the fit has "
            f"ended or cannot be reached ({str(error).strip().splitlines()[0]}); look for its own "
            "error, and start all of them again"
        ) from error
