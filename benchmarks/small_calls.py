# SPDX-License-Identifier: MIT
"""Where the time of a small call goes, beside what torch asks of any op written in Python.

Run as ``python benchmarks/small_calls.py``. The variants take turns within one run:

- *pyvae*: forward + backward of ``mixture_log_prob`` through a sum, gradients of all arguments;
- *kernels*: the two kernels alone, called through torch's dispatcher below autograd;
- *empty*: an ``autograd.Function`` of as many arguments that computes nothing, through a sum:
  no op whose backward is entered from Python can take less than this and its kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pyvae import ops
from pyvae.bench.timing import Effort, Player, take_turns

SIZES = ((128, 10, 10), (1024, 10, 16))


class Empty(torch.autograd.Function):
    """Saves its arguments, and gives back what is there already."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, *arguments: Tensor) -> Tensor:
        ctx.save_for_backward(*arguments)
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *ctx.saved_tensors)


def variants(n: int, k: int, d: int) -> dict[str, Callable[[], object]]:
    """Return the calls to be timed."""
    x, means, logvars = torch.randn(n, d), torch.randn(k, d), 0.3 * torch.randn(k, d)
    arguments = (x, torch.randn(k).log_softmax(-1), means, logvars)
    leaves = [tensor.clone().requires_grad_() for tensor in arguments]
    forward = torch.ops.pyvae.mixture_log_prob.default
    backward = torch.ops.pyvae.mixture_log_prob_backward.default
    log_prob = forward(*arguments)
    upstream = torch.ones(n)

    def kernels() -> None:
        with torch._C._AutoDispatchBelowAutograd():
            backward(upstream, *arguments, forward(*arguments), 15)

    return {
        "pyvae": lambda: torch.autograd.grad(ops.mixture_log_prob(*leaves).sum(), leaves),
        "kernels": kernels,
        "empty": lambda: torch.autograd.grad(Empty.apply(log_prob, *leaves).sum(), leaves),
    }


def main() -> None:
    """Print microseconds a call."""
    torch.manual_seed(0)
    for size in SIZES:
        players = [Player(name, call, 1e-4) for name, call in variants(*size).items()]
        take_turns(players, Effort())
        found = ", ".join(f"{p.name} {1e6 * p.quartiles()[1]:.0f} us" for p in players)
        print(f"{size}: {found}")


if __name__ == "__main__":
    main()
