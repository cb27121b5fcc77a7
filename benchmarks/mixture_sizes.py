# SPDX-License-Identifier: MIT
"""mixture_log_prob beside eager PyTorch, from a VAE's batch to a large mixture.

Run as ``python benchmarks/mixture_sizes.py``. Prints a Markdown table: median milliseconds
forward / forward and backward (gradients of all four arguments), the variants taking turns within
one run, and the largest error of the forward value against float64, relative to max(1, |value|).
The broadcast forms are left out where their (N, K, D) tensor passes 100 MB.
"""

from __future__ import annotations

import math
import statistics
import time

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from pyvae import ops
from pyvae.ops import reference

SIZES = [
    (128, 10, 10),
    (1024, 10, 16),
    (8192, 64, 32),
    (65536, 64, 16),
    (16384, 512, 64),
    (65536, 256, 64),
]
BROADCAST_BYTES = 100e6
SECONDS = 3.0  # spent on a size, per variant


def gemm_form(x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor) -> Tensor:
    """The expansion x^2 - 2 x mu + mu^2 as matrix products: fast, and wrong far from the origin."""
    precision = torch.exp(-logvars)
    distance = x.square() @ precision.T - 2 * x @ (means * precision).T
    distance = distance + (means.square() * precision).sum(-1)
    constant = logvars.sum(-1) + x.shape[-1] * math.log(2 * math.pi)
    return torch.logsumexp(log_weights - 0.5 * (distance + constant), -1)


def distributions_form(x: Tensor, log_weights: Tensor, means: Tensor, logvars: Tensor) -> Tensor:
    """torch.distributions; its weights are normalised logits."""
    parts = Independent(Normal(means, torch.exp(0.5 * logvars), validate_args=False), 1)
    weights = Categorical(logits=log_weights, validate_args=False)
    return MixtureSameFamily(weights, parts, validate_args=False).log_prob(x)


VARIANTS = {
    "pyvae": ops.mixture_log_prob,
    "eager, broadcast": reference.mixture_log_prob,
    "torch.distributions": distributions_form,
    "eager, GEMM form": gemm_form,
}


def draw(n: int, k: int, d: int) -> tuple[Tensor, ...]:
    """Ordinary data; every tensor wants a gradient."""
    weights = torch.randn(k).log_softmax(-1)
    tensors = torch.randn(n, d), weights, torch.randn(k, d), 0.3 * torch.randn(k, d)
    return tuple(t.requires_grad_() for t in tensors)


def seconds_of(function, tensors: tuple[Tensor, ...], *, backward: bool) -> float:
    """One timed call."""
    started = time.perf_counter()
    with torch.set_grad_enabled(backward):
        value = function(*tensors)
        if backward:
            torch.autograd.grad(value.sum(), tensors)
    return time.perf_counter() - started


def measure(n: int, k: int, d: int) -> dict[str, str]:
    """One row: a cell per variant."""
    tensors = draw(n, k, d)
    fits = 4 * n * k * d <= BROADCAST_BYTES
    slow = ("eager, broadcast", "torch.distributions")
    names = [name for name in VARIANTS if fits or name not in slow]
    chunks = tensors[0].double().split(256)
    mixture = [t.double() for t in tensors[1:]]
    with torch.no_grad():
        truth = torch.cat([reference.mixture_log_prob(part, *mixture) for part in chunks])
        errors = {
            name: ((VARIANTS[name](*tensors) - truth).abs() / truth.abs().clamp(min=1)).max()
            for name in names
        }
    times: dict[tuple[str, bool], list[float]] = {(s, b): [] for s in names for b in (False, True)}
    end = time.perf_counter() + SECONDS * len(names)
    while time.perf_counter() < end or len(times[names[0], True]) < 5:
        for (name, backward), found in times.items():
            found.append(seconds_of(VARIANTS[name], tensors, backward=backward))
    cells = {}
    for name in names:
        forward, both = (1e3 * statistics.median(times[name, b]) for b in (False, True))
        cells[name] = f"{forward:.3g} / {both:.3g} ({errors[name]:.0e})"
    return cells


def main() -> None:
    """Measure every size and print the table."""
    torch.manual_seed(0)
    info = ops.build_info()
    print(
        f"{info['instruction_set']}, {torch.get_num_threads()} threads, torch {torch.__version__}, "
        "float32, ms forward / forward + backward (error)\n"
    )
    print("| N, K, D | " + " | ".join(VARIANTS) + " |")
    print("|---" * (len(VARIANTS) + 1) + "|")
    for size in SIZES:
        cells = measure(*size)
        row = [", ".join(map(str, size)), *(cells.get(name, "") for name in VARIANTS)]
        print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
