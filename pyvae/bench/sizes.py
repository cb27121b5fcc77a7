# SPDX-License-Identifier: MIT
"""The sizes at which each op is measured; the tests' case table takes its benchmark sizes here."""

from __future__ import annotations

from collections.abc import Mapping

Size = Mapping[str, int]


def _sizes(letters: str, *rows: tuple[int, ...]) -> tuple[Size, ...]:
    return tuple(dict(zip(letters, row, strict=True)) for row in rows)


# From a VAE's batch to a large mixture.
SIZES: dict[str, tuple[Size, ...]] = {
    "gaussian_kl": _sizes("nd", (128, 10), (4096, 64), (65536, 128)),
    "gaussian_kl_tril": _sizes("nd", (4096, 8), (4096, 32), (512, 64), (64, 256)),
    "gaussian_kl_pairwise": _sizes("nkd", (1024, 10, 16), (4096, 256, 64)),
    "mixture_log_prob": _sizes(
        "nkd",
        (128, 10, 10),
        (1024, 10, 16),
        (8192, 64, 32),
        (65536, 64, 16),
        (16384, 512, 64),
        (65536, 256, 64),
        (8192, 1024, 256),
    ),
    "mixture_log_prob_tril": _sizes("nkd", (100000, 16, 32), (65536, 64, 16), (16384, 64, 64)),
    "mixture_posterior": _sizes("nkd", (65536, 64, 16), (16384, 512, 64)),
    "mixture_elbo_terms": _sizes("nkd", (256, 10, 10)),
    "mixture_statistics": _sizes("nkd", (65536, 256, 64)),
    "mixture_statistics_tril": _sizes("nkd", (100000, 16, 32)),
}
# Whole fits of a mixture: points, components, coordinates, iterations.
FITS: dict[str, tuple[Size, ...]] = {
    "fit_diag": _sizes("nkdi", (65536, 256, 64, 20), (65536, 256, 64, 100)),
    "fit_full": _sizes("nkdi", (100000, 16, 32, 20), (100000, 16, 32, 100)),
}
# On a GPU. The last divergences are of 10^8 numbers a tensor, and limited by memory.
GPU_SIZES: dict[str, tuple[Size, ...]] = {
    "gaussian_kl": _sizes("nd", (128, 10), (65536, 128), (781250, 128)),
    "gaussian_kl_tril": _sizes("nd", (65536, 8), (4096, 64), (512, 256), (97656, 32)),
    "gaussian_kl_pairwise": _sizes("nkd", (1024, 10, 16), (16384, 1024, 64)),
    "mixture_log_prob": _sizes(
        "nkd", (1_000_000, 1024, 128), (65536, 512, 64), (65536, 64, 16), (256, 10, 10)
    ),
    "mixture_log_prob_tril": _sizes("nkd", (100_000, 16, 32), (65536, 64, 64), (16384, 16, 256)),
    "mixture_posterior": _sizes("nkd", (65536, 512, 64), (256, 10, 10)),
    "mixture_elbo_terms": _sizes("nkd", (256, 10, 10), (65536, 10, 10)),
    "mixture_statistics": _sizes("nkd", (1_000_000, 256, 64)),
    "mixture_statistics_tril": _sizes("nkd", (100_000, 16, 32)),
}
# How the time of a density grows with the points, by two threads and by one.
GROWTH = _sizes("nkd", *((n, 64, 32) for n in (100_000, 400_000, 1_000_000, 4_000_000)))
# Where forward and backward together must take little memory.
MEMORY = _sizes("nkd", (8192, 256, 64))
# From here on a product of two matrices of 4096 x 4096 takes turns with the variants.
LARGE = 2**28
# Up to here a call is a batch's, in which a GPU waits for whoever tells it what to do.
SMALL = 2**16


def label(size: Size) -> str:
    """Write a size as in ``16384x512x64``."""
    return "x".join(str(value) for value in size.values())


def elements(size: Size, letters: str) -> int:
    """Count the elements of a tensor with these dimensions."""
    count = 1
    for letter in letters:
        count *= size[letter]
    return count
