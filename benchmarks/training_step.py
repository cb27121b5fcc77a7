# SPDX-License-Identifier: MIT
"""What share of a GM-VAE's training step the mixture terms take: our op, and the eager formula.

Run as ``python benchmarks/training_step.py``. Both variants alternate within one run, so that the
machine's noise meets them alike; the step is that of the default model on digits.
"""

from __future__ import annotations

import statistics
import time
from unittest import mock

import torch

from pyvae import ops
from pyvae.models import GMVAE, gmvae
from pyvae.ops import reference

BATCH, FEATURES, LATENT, COMPONENTS, STEPS = 128, 64, 10, 10, 200


def timed(function, seconds: list[float]):
    """Append how long each call of ``function`` takes."""

    def call(*args, **kwargs):
        started = time.perf_counter()
        result = function(*args, **kwargs)
        seconds.append(time.perf_counter() - started)
        return result

    return call


def step(model: GMVAE, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> None:
    """One step of training."""
    optimizer.zero_grad()
    (-model.elbo(x).weighted(1.0).mean()).backward()
    optimizer.step()


def terms(function, model: GMVAE, w: torch.Tensor) -> None:
    """The mixture terms alone, forward and backward, at the model's shapes."""
    mixture = (model.component_means, model.component_logvars)
    result = function(w, model.log_weights, *mixture)
    (result[0] - result[1]).sum().backward()


def main() -> None:
    """Measure and print."""
    torch.manual_seed(0)
    x = torch.rand(BATCH, FEATURES)
    w = torch.randn(BATCH, LATENT, requires_grad=True)
    variants = {"pyvae": ops.mixture_elbo_terms, "eager": reference.mixture_elbo_terms}
    steps: dict[str, list[float]] = {name: [] for name in variants}
    parts: dict[str, list[float]] = {name: [] for name in variants}
    models = {name: GMVAE(FEATURES, LATENT, num_components=COMPONENTS) for name in variants}
    optimizers = {n: torch.optim.Adam(m.parameters(), fused=True) for n, m in models.items()}
    for _ in range(STEPS):
        for name, function in variants.items():
            with mock.patch.object(gmvae, "mixture_elbo_terms", function):
                timed(step, steps[name])(models[name], optimizers[name], x)
            timed(terms, parts[name])(function, models[name], w)
    print(f"batch {BATCH}, D={LATENT}, K={COMPONENTS}, {torch.get_num_threads()} threads, medians")
    for name in variants:
        whole, part = statistics.median(steps[name]), statistics.median(parts[name])
        print(f"{name}: step {1e3 * whole:.2f} ms, terms {1e3 * part:.2f} ms, {part / whole:.0%}")


if __name__ == "__main__":
    main()
