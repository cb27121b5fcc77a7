# SPDX-License-Identifier: MIT
"""The table of cases: an op, a size, and the variants that take turns there.

An op that this build lacks is a case nevertheless: the run says so in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pyvae import ops
from pyvae.bench import variants as v
from pyvae.bench.peers import diagonal, divergence, fits, full, optional, scikit
from pyvae.bench.sizes import (
    FITS,
    GPU_SIZES,
    GROWTH,
    LARGE,
    MEMORY,
    SIZES,
    SMALL,
    Size,
    elements,
    label,
)
from pyvae.bench.variants import Variant
from pyvae.ops import reference

OPS = tuple(SIZES)
NAMES = (*OPS, *FITS)
_TURNS = 16  # of a loop over components under torch.compile
FORWARD, BOTH = "forward", "forward + backward"


@dataclass(frozen=True)
class Case:
    """An op, or a fit, at a size.

    Attributes
    ----------
    op, size
        Which of ``pyvae.ops``, and the sizes of its dimensions.
    truth
        The same in plain torch, cheap enough to run over all points in float64.
    variants
        What takes turns; the first is pyvae's op.
    differentiable
        Whether forward + backward is measured too.
    sums
        Whether the results are sums over the points, not one row a point.
    whole
        Whether ``truth`` takes the inputs as they are, all points at once.
    error
        How far results are from the truth; None is the largest error.
    """

    op: str
    size: Size
    truth: Callable[..., Any]
    variants: tuple[Variant, ...]
    differentiable: bool = True
    sums: bool = False
    whole: bool = False
    error: Callable[..., float] | None = None

    @property
    def label(self) -> str:
        """Size as in ``16384x512x64``."""
        return label(self.size)

    @property
    def available(self) -> bool:
        """Whether this build has the op."""
        return self.op in FITS or hasattr(ops, self.op)

    @property
    def directions(self) -> tuple[str, ...]:
        """What is measured: one pass, or two."""
        return (FORWARD, BOTH) if self.differentiable else (FORWARD,)


def cases(device: str = "cpu") -> tuple[Case, ...]:
    """Give every case of the suite on a device, in the order of the tables."""
    makers = {name: globals()[f"_{name}"] for name in OPS}
    if device == "cuda":
        return tuple(_on_gpu(makers[name](s)) for name in OPS for s in GPU_SIZES[name])
    found = [_on(device, makers[name](size)) for name in OPS for size in SIZES[name]]
    whole = [_fit(name, size) for name in FITS for size in FITS[name]]
    at = next(i for i, case in enumerate(found) if case.op == "mixture_log_prob_tril")
    extra = [_mixture_log_prob(size) for size in MEMORY] + [_growth(size) for size in GROWTH]
    return tuple(found[:at] + extra + found[at:] + whole)


def _on(device: str, case: Case) -> Case:
    return replace(case, variants=tuple(x for x in case.variants if device in x.devices))


def _on_gpu(case: Case) -> Case:
    """Leave what runs there, beside the rates that limit it."""
    kept = [x for x in _on("cuda", case).variants if x.name not in (v.COPY, v.SGEMM)]
    rates = [v.RATES[name] for name in (v.COPY, v.FMA, v.SGEMM)]
    return replace(case, variants=(*kept, *rates))


def _ours(op: str, **options: Any) -> Variant:
    """Look the op up when it is called: this build may lack it."""
    return v.ours(lambda *tensors: getattr(ops, op)(*tensors), **options)


def _gaussian_kl(size: Size) -> Case:
    formula = divergence.diagonal
    return Case(
        "gaussian_kl",
        size,
        formula,
        (
            _ours("gaussian_kl"),
            v.eager("formula", formula, "nd", "nd"),
            v.eager("reference", reference.gaussian_kl, "nd", "nd"),
            v.compiled("formula", formula, "nd", "nd"),
            v.distributions(divergence.distributions_diagonal, "nd"),
            *([v.RATES[v.COPY]] if elements(size, "nd") >= 2**22 else []),
        ),
    )


def _gaussian_kl_tril(size: Size) -> Case:
    formula = divergence.full
    return Case(
        "gaussian_kl_tril",
        size,
        formula,
        (
            _ours("gaussian_kl_tril"),
            v.eager("formula", formula, "ndd", "ndd"),
            v.compiled("formula", formula, "ndd", "ndd"),
            v.distributions(divergence.distributions_full, "ndd"),
        ),
    )


def _gaussian_kl_pairwise(size: Size) -> Case:
    return Case(
        "gaussian_kl_pairwise",
        size,
        divergence.pairwise_products,
        (
            _ours("gaussian_kl_pairwise"),
            v.eager("broadcast", divergence.pairwise, "nkd", "nkd"),
            v.eager("GEMM form", divergence.pairwise_products, "nk", "nk"),
            v.compiled("broadcast", divergence.pairwise, "nk", "nkd"),
            v.compiled("GEMM form", divergence.pairwise_products, "nk", "nk"),
        ),
    )


def _mixture_log_prob(size: Size) -> Case:
    broadcast, small = reference.mixture_log_prob, elements(size, "nkd") < SMALL
    package = {"largest": ("nk", "nk"), "compiles": True}
    return Case(
        "mixture_log_prob",
        size,
        diagonal.log_prob,
        (
            _ours("mixture_log_prob"),
            v.eager("broadcast", broadcast, "nkd", "nkd"),
            v.eager("GEMM form", diagonal.log_prob, "nk", "nk"),
            v.compiled("broadcast", broadcast, "nk", "nkd"),
            v.compiled("GEMM form", diagonal.log_prob, "nk", "nk"),
            v.distributions(diagonal.distributions_log_prob, "nkd", same_gradients=False),
            v.scikit(scikit.score, largest=("nk", "nk")),
            Variant(
                "jax.jit, GEMM form",
                optional.jax_log_prob,
                runtime="jax",
                package="jax",
                devices=("cpu",),
                **package,
            ),
            Variant("KeOps", optional.keops_log_prob, package="pykeops", compiles=True),
            *(v.with_graphs(ops.mixture_log_prob, "broadcast", broadcast, "nkd") if small else []),
            *([v.RATES[v.SGEMM]] if elements(size, "nkd") >= LARGE else []),
        ),
    )


def _growth(size: Size) -> Case:
    one = _ours("mixture_log_prob", name=v.ONE_THREAD, threads=1)
    return Case("mixture_log_prob", size, diagonal.log_prob, (_ours("mixture_log_prob"), one))


def _mixture_log_prob_tril(size: Size) -> Case:
    product, solve = full.product_log_prob, full.solve_log_prob
    return Case(
        "mixture_log_prob_tril",
        size,
        product,
        (
            _ours("mixture_log_prob_tril"),
            v.eager("loop of products", product, "nk", "knd"),
            v.eager("loop of solves", solve, "nk", "knd"),
            v.compiled("loop of products", product, "nk", "knd", turns=_TURNS),
            v.distributions(full.distributions_log_prob, "nkd", same_gradients=False),
            v.scikit(scikit.score, largest=("nk", "nk")),
        ),
    )


def _mixture_posterior(size: Size) -> Case:
    density = v.ours(ops.mixture_log_prob, v.DENSITY, comparable=False)
    return Case(
        "mixture_posterior",
        size,
        diagonal.posterior,
        (
            _ours("mixture_posterior"),
            v.eager("broadcast", reference.mixture_posterior, "nkd", "nkd"),
            v.eager("GEMM form", diagonal.posterior, "nk", "nk"),
            v.compiled("GEMM form", diagonal.posterior, "nk", "nk"),
            density,
            v.RATES[v.WRITE],
        ),
    )


def _mixture_elbo_terms(size: Size) -> Case:
    formula = diagonal.elbo_terms
    return Case(
        "mixture_elbo_terms",
        size,
        formula,
        (
            _ours("mixture_elbo_terms"),
            v.eager("formula", formula, "nkd", "nkd"),
            v.eager("reference", reference.mixture_elbo_terms, "nkd", "nkd"),
            v.compiled("formula", formula, "nkd", "nkd"),
            *v.with_graphs(ops.mixture_elbo_terms, "formula", formula, "nkd"),
        ),
    )


def _statistics(op: str, size: Size, function: Callable, form: str, largest: str) -> Case:
    return Case(
        op,
        size,
        function,
        (
            _ours(op),
            v.eager(form, function, largest, largest),
            v.compiled(form, function, largest, largest, turns=_TURNS if "loop" in form else None),
            v.scikit(scikit.step, largest=("nk", "nk"), comparable=False),
        ),
        differentiable=False,
        sums=True,
    )


def _mixture_statistics(size: Size) -> Case:
    return _statistics("mixture_statistics", size, diagonal.statistics, "GEMM form", "nk")


def _mixture_statistics_tril(size: Size) -> Case:
    function = full.statistics
    return _statistics("mixture_statistics_tril", size, function, "loop of products", "nk")


def _fit(name: str, size: Size) -> Case:
    kind = name.removeprefix("fit_")
    return Case(
        name,
        size,
        fits.exact(kind, size),
        (
            Variant(v.PYVAE, fits.ours(kind, size), backward=False, devices=("cpu",)),
            v.scikit(fits.scikit(kind, size), largest=("nk", "nk")),
        ),
        differentiable=False,
        whole=True,
        error=fits.shortfall,
    )
