# SPDX-License-Identifier: MIT
"""What a VampPrior adds to a training step, beside the pass of the encoder that it needs.

Run as ``python benchmarks/vamp_prior.py``. The steps take turns within one run. The ratio is that
of the VampPrior's step to a step with N(0, I) and one pass of the encoder, forward and backward,
over the pseudo-inputs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from pyvae.models import VAE, VampPrior

BATCH, FEATURES, LATENT, COMPONENTS, ROUNDS = 128, 784, 40, 500, 150


def stepper(model: VAE, x: torch.Tensor) -> Callable[[], None]:
    """One step of training."""
    optimizer = torch.optim.Adam(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        (-model.elbo(x).total.mean()).backward()
        optimizer.step()

    return step


def encoder_pass(model: VAE) -> Callable[[], None]:
    """Forward and backward of the encoder alone, over the pseudo-inputs."""
    assert model.vamp_prior is not None
    inputs = model.vamp_prior.pseudo_inputs

    def step() -> None:
        mean, logvar = model.encode(inputs)
        (mean.sum() + logvar.sum()).backward()

    return step


def main() -> None:
    """Measure and print."""
    print(f"batch {BATCH}, D={FEATURES}, L={LATENT}, K={COMPONENTS}, medians of {ROUNDS}")
    print("| hidden | threads | N(0, I) | encoder over u | VampPrior | ratio |")
    print("|---|---|---|---|---|---|")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for hidden in ((256, 256), (300, 300), (1024, 1024)):
            torch.manual_seed(0)
            x = torch.rand(BATCH, FEATURES)
            vamp = VAE(
                FEATURES, LATENT, hidden=hidden, prior=VampPrior(torch.rand(COMPONENTS, FEATURES))
            )
            plain = VAE(FEATURES, LATENT, hidden=hidden)
            calls = [stepper(plain, x), encoder_pass(vamp), stepper(vamp, x)]
            seconds: list[list[float]] = [[], [], []]
            for turn in range(ROUNDS + 10):
                for call, found in zip(calls, seconds, strict=True):
                    started = time.perf_counter()
                    call()
                    if turn >= 10:
                        found.append(time.perf_counter() - started)
            normal, encoder, whole = (1e3 * statistics.median(found) for found in seconds)
            print(
                f"| {hidden} | {threads} | {normal:.2f} ms | {encoder:.2f} ms | {whole:.2f} ms | "
                f"{whole / (normal + encoder):.3f} |", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
