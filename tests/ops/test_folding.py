# SPDX-License-Identifier: MIT
"""Batch dimensions over which no mixture changes are rows of points: the same results, for less."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyvae import ops
from tests.ops.cases import CASES, OpCase, each_dtype
from tests.ops.checks import assert_values, check_case, doubled, gradients
from tests.ops.recording import MixturesSeen

# Dynamo's tracing warns about its own internals.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SIZE = {"n": 3, "k": 5, "d": 4}
MIXTURES = [case for case in CASES if any("k" in a.dims for a in case.arguments.values())]
each_mixture = pytest.mark.parametrize("case", MIXTURES, ids=lambda case: case.name)
# Batches of the points and of the mixture, and how many mixtures a kernel must see.
BATCHES = [
    ((6,), (1,), 1),
    ((6,), (), 1),
    ((2, 6), (6,), 6),
    ((2, 6), (2, 1), 2),
    ((2, 3, 4), (2, 1, 4), 8),
    ((2, 3, 4), (3, 1), 3),
    ((2, 3, 4), (1, 1, 4), 4),
    ((1, 6), (2, 1), 2),
    ((0, 6), (6,), 6),
]
each_batch = pytest.mark.parametrize(("points", "mixture", "count"), BATCHES)


def _drawn(
    case: OpCase, dtype: torch.dtype, points: tuple[int, ...], mixture: tuple[int, ...]
) -> dict[str, Tensor]:
    batch = {n: points if "n" in a.dims else mixture for n, a in case.arguments.items()}
    return case.draw(SIZE, dtype, batch=batch)


def _of_points(case: OpCase) -> list[str]:
    return [name for name, argument in case.arguments.items() if "n" in argument.dims]


@each_batch
@each_dtype
@each_mixture
def test_values_and_gradients(
    case: OpCase,
    dtype: torch.dtype,
    points: tuple[int, ...],
    mixture: tuple[int, ...],
    count: int,
) -> None:
    inputs = _drawn(case, dtype, points, mixture)
    check_case(case, inputs, f"{points} {mixture}")
    with MixturesSeen() as seen:
        case(**inputs)
        gradients(case, inputs)
    if 0 not in points:
        assert set(seen.counts) == {count}


@each_dtype
@each_mixture
def test_expanded_mixtures(case: OpCase, dtype: torch.dtype) -> None:
    """By stride 0, wholly and partly; the points alone have gradients."""
    inputs = _drawn(case, dtype, (2, 6), (2, 1))
    wide = {
        name: tensor if name in _of_points(case) else tensor.expand(2, 6, *tensor.shape[2:])
        for name, tensor in inputs.items()
    }
    with MixturesSeen() as seen:
        got = case(**wide)
        found = gradients(case, wide, wanted=_of_points(case))
    assert set(seen.counts) == {2}
    assert_values(got, case.expected(**doubled(inputs)), case.rtol[dtype], case.name)
    for name, want in gradients(case, inputs, wanted=_of_points(case)).items():
        torch.testing.assert_close(found[name], want)


@each_mixture
def test_an_expanded_mixture_has_a_gradient_an_entry(case: OpCase) -> None:
    """Where it is asked for: it is not that of the slice that all entries are views of."""
    inputs = _drawn(case, torch.float64, (6,), (1,))
    wide = {
        name: tensor if name in _of_points(case) else tensor.expand(6, *tensor.shape[1:])
        for name, tensor in inputs.items()
    }
    copies = {name: tensor.contiguous() for name, tensor in wide.items()}
    want = gradients(case.expected, copies)
    for name, have in gradients(case, wide).items():
        torch.testing.assert_close(have, want[name])


def _score(case: OpCase, names: list[str]) -> Callable:
    def total(*tensors: Tensor, **rest: Tensor) -> Tensor:
        return sum(  # type: ignore[return-value]
            torch.cos(result).sum()
            for result in case(**dict(zip(names, tensors, strict=True)), **rest)
        )

    return torch.func.grad(total, argnums=tuple(range(len(names))))


@each_mixture
def test_points_mapped_over_one_mixture(case: OpCase) -> None:
    """``vmap``, and ``vmap`` of the points' gradients, prepare the mixture once."""
    names = _of_points(case)
    inputs = _drawn(case, torch.float64, (6,), ())
    rest = {name: tensor for name, tensor in inputs.items() if name not in names}
    tensors = [inputs[name] for name in names]
    with MixturesSeen() as seen:
        got = torch.vmap(lambda *t: case(**dict(zip(names, t, strict=True)), **rest))(*tensors)
        scores = torch.vmap(lambda *t: _score(case, names)(*t, **rest))(*tensors)
    assert set(seen.counts) == {1}
    assert_values(got, case.expected(**inputs), case.rtol[torch.float64], case.name)
    for index in range(6):
        alone = _score(case, names)(*(tensor[index] for tensor in tensors), **rest)
        for have, want in zip(scores, alone, strict=True):
            torch.testing.assert_close(have[index], want)


@pytest.mark.parametrize(("points", "mixture"), [(p, m) for p, m, _ in BATCHES[:6]])
def test_compiled(points: tuple[int, ...], mixture: tuple[int, ...]) -> None:
    case = next(case for case in MIXTURES if case.op is ops.mixture_posterior)
    inputs = _drawn(case, torch.float64, points, mixture)
    torch.compiler.reset()
    compiled = torch.compile(
        lambda **i: case(**i), fullgraph=True, dynamic=True, backend="aot_eager"
    )
    for have, want in zip(compiled(**inputs), case(**inputs), strict=True):
        torch.testing.assert_close(have, want)
    want = gradients(case, inputs)
    for name, have in gradients(compiled, inputs).items():
        torch.testing.assert_close(have, want[name])
