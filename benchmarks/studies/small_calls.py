# SPDX-License-Identifier: MIT
"""Where the time of a small call goes, beside what torch asks of any op written in Python."""

from __future__ import annotations

import re
from typing import Annotated, Any

import torch
import typer
from torch import Tensor

from benchmarks.timing import Effort, Player, take_turns
from benchmarks.variants import Call
from pyvae import ops
from pyvae.cli import manners

app = manners.application()


class Empty(torch.autograd.Function):
    """Saves its arguments, and gives back what is there already."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, *arguments: Tensor) -> Tensor:  # noqa: D102
        ctx.save_for_backward(*arguments)
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor | None, ...]:  # noqa: D102
        return (None, *ctx.saved_tensors)


def variants(n: int, k: int, d: int) -> dict[str, Call]:
    """Return the calls to be timed."""
    x, means, logvars = torch.randn(n, d), torch.randn(k, d), 0.3 * torch.randn(k, d)
    arguments = (x, torch.randn(k).log_softmax(-1), means, logvars)
    leaves = [tensor.clone().requires_grad_() for tensor in arguments]
    forward = torch.ops.pyvae.mixture_log_prob.default
    backward = torch.ops.pyvae.mixture_log_prob_backward.default
    log_prob = forward(*arguments)
    upstream = torch.ones(n)

    def kernels() -> tuple[Tensor, ...]:
        with torch._C._AutoDispatchBelowAutograd():
            return backward(upstream, *arguments, forward(*arguments), 15)

    return {
        "pyvae": lambda: torch.autograd.grad(ops.mixture_log_prob(*leaves).sum(), leaves),
        "kernels": kernels,
        "empty": lambda: torch.autograd.grad(Empty.apply(log_prob, *leaves).sum(), leaves),
    }


def numbers(text: str) -> tuple[int, int, int]:
    """Read a size."""
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", text)
    if found is None:
        raise typer.BadParameter(f"--size: {text!r} must be three numbers as in 128x10x10")
    n, k, d = map(int, found.groups())
    return n, k, d


@app.command()
def main(
    size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NxKxD", help="Of a call, repeatable; 128x10x10 and 1024x10x16 if left out."
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.0, help="Of each variant, at least.")] = 0.6,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of torch; as many as it takes if left out.")
    ] = None,
) -> None:
    """Print microseconds of a small call and of what it is made of; they take turns in one run.

    pyvae: forward + backward of mixture_log_prob through a sum, gradients of all arguments.

    kernels: the two kernels alone, called through torch's dispatcher below autograd.

    empty: an autograd.Function of as many arguments that computes nothing, through a sum. No op
    whose backward is entered from Python can take less than this and its kernels.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    for found in [numbers(text) for text in size or ["128x10x10", "1024x10x16"]]:
        players = [Player(name, call, 1e-4) for name, call in variants(*found).items()]
        take_turns(players, Effort(seconds))
        times = ", ".join(f"{p.name} {1e6 * p.quartiles()[1]:.0f} us" for p in players)
        print(f"{found}: {times}")


if __name__ == "__main__":
    manners.main(app, "python -m benchmarks.studies.small_calls")
