# SPDX-License-Identifier: MIT
"""Mistakes of the caller: the error names the op, the argument, what was expected and what came."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pyvae import ops
from tests.ops.cases import OpCase, each_case, each_dtype

SIZE = {"n": 6, "k": 5, "d": 3}


def _expect(case: OpCase, inputs: dict, error: type[Exception], *words: object) -> None:
    """The message begins with the public op's name and holds all words."""
    with pytest.raises(error) as caught:
        case(**inputs)
    message = str(caught.value)
    assert message.startswith(f"{case.op.__name__}: "), message
    for word in words:
        assert re.search(rf"(?<![\w.]){re.escape(str(word))}(?![\w])", message), (word, message)


@each_dtype
@each_case
def test_rank_too_low(case: OpCase, dtype: torch.dtype) -> None:
    batched = not any("k" in argument.dims for argument in case.arguments.values())
    for name, argument in case.arguments.items():
        rank = len(argument.dims.split()) - batched  # without components, n is a batch dimension
        inputs = case.draw(SIZE, dtype)
        shape = inputs[name].shape[inputs[name].ndim - rank + 1 :]
        inputs[name] = torch.zeros(shape, dtype=dtype)
        _expect(case, inputs, ValueError, name, f"at least {rank}", tuple(shape))


@each_dtype
@each_case
def test_last_dimension_differs(case: OpCase, dtype: torch.dtype) -> None:
    for name in case.arguments:
        inputs = case.draw(SIZE, dtype)
        last = inputs[name].shape[-1]
        if case.arguments[name].dims == "k 1":
            last = SIZE["d"]
        inputs[name] = torch.zeros((*inputs[name].shape[:-1], last + 2), dtype=dtype)
        _expect(case, inputs, ValueError, name, last, last + 2)


@each_dtype
@each_case
def test_number_of_components_differs(case: OpCase, dtype: torch.dtype) -> None:
    for name, argument in case.arguments.items():
        if argument.dims[0] != "k":
            continue
        inputs = case.draw(SIZE, dtype)
        inputs[name] = inputs[name][:-1]
        _expect(case, inputs, ValueError, name, "components", SIZE["k"], SIZE["k"] - 1)


@each_dtype
@each_case
def test_number_of_points_differs(case: OpCase, dtype: torch.dtype) -> None:
    names = [name for name, argument in case.arguments.items() if argument.dims[0] == "n"]
    for name in names[1:]:
        inputs = case.draw(SIZE, dtype)
        inputs[name] = inputs[name][:-1]
        _expect(case, inputs, ValueError, name, SIZE["n"] - 1)


@each_dtype
@each_case
def test_leading_dimensions_do_not_broadcast(case: OpCase, dtype: torch.dtype) -> None:
    names = list(case.arguments)
    batch = {names[0]: (2,), names[1]: (3,)}
    inputs = case.draw(SIZE, dtype, batch=batch)
    _expect(case, inputs, ValueError, names[0], names[1], "broadcast")


@each_case
def test_mixed_dtypes(case: OpCase) -> None:
    for name in case.arguments:
        inputs = case.draw(SIZE, torch.float32)
        inputs[name] = inputs[name].double()
        _expect(case, inputs, TypeError, name, "torch.float32", "torch.float64")


@each_dtype
@each_case
def test_mixed_devices(case: OpCase, dtype: torch.dtype) -> None:
    for name in case.arguments:
        inputs = case.draw(SIZE, dtype)
        inputs[name] = inputs[name].to("meta")
        _expect(case, inputs, ValueError, name, "cpu", "meta")


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
@each_case
def test_not_floating_point(case: OpCase, dtype: torch.dtype) -> None:
    for name in case.arguments:
        inputs = case.draw(SIZE, torch.float32)
        inputs[name] = torch.zeros(inputs[name].shape, dtype=dtype)
        _expect(case, inputs, TypeError, name, "floating-point", dtype)


@pytest.mark.parametrize("convert", [Tensor.tolist, Tensor.numpy, lambda tensor: 0.5])
@each_dtype
@each_case
def test_not_a_tensor(case: OpCase, dtype: torch.dtype, convert: Callable) -> None:
    for name in case.arguments:
        inputs: dict = case.draw(SIZE, dtype)
        inputs[name] = convert(inputs[name])
        got = "ndarray" if isinstance(inputs[name], np.ndarray) else type(inputs[name]).__name__
        _expect(case, inputs, TypeError, name, "torch.Tensor", got)


@each_dtype
@each_case
def test_none_for_a_required_argument(case: OpCase, dtype: torch.dtype) -> None:
    optional = {"logvar_q", "logits_q", "w", "mean_q"}
    if case.op is ops.gaussian_kl:
        optional = {"mean_p", "logvar_p"}
    elif "log_weights" not in case.arguments:
        optional = set()
    for name in set(case.arguments) - optional:
        inputs: dict = case.draw(SIZE, dtype)
        inputs[name] = None
        _expect(case, inputs, TypeError, name, "torch.Tensor", "NoneType")


@each_dtype
@each_case
def test_half_of_a_pair(case: OpCase, dtype: torch.dtype) -> None:
    """mean_p without logvar_p, logvar_q without mean_q, and the other way round."""
    inputs = case.draw(SIZE, dtype)
    pair = ("mean_p", "logvar_p") if case.op is ops.gaussian_kl else ("mean_q", "logvar_q")
    if not set(pair) <= set(inputs) or {"scale_tril_q", "logvar_p"} & (set(inputs) - set(pair)):
        return  # no such pair, or one that the op requires
    for given, missing in (pair, pair[::-1]):
        partial = {name: tensor for name, tensor in inputs.items() if name != missing}
        _expect(case, partial, ValueError, given, missing, "pass both")


@each_dtype
@pytest.mark.parametrize("logits", [False, True])
def test_elbo_terms_without_a_point(dtype: torch.dtype, logits: bool) -> None:
    mixture = (
        torch.zeros(5, dtype=dtype),
        torch.zeros(5, 3, dtype=dtype),
        torch.zeros(5, 3, dtype=dtype),
    )
    logits_q = torch.zeros(6, 5, dtype=dtype) if logits else None
    with pytest.raises(ValueError, match=r"^mixture_elbo_terms: w .*mean_q") as caught:
        ops.mixture_elbo_terms(None, *mixture, logits_q=logits_q)
    assert "logvar_q" in str(caught.value)


@each_dtype
def test_the_designs_example(dtype: torch.dtype) -> None:
    """Ten means and eight weights: both numbers, both arguments, and the way out."""
    x, means = torch.zeros(4, 3, dtype=dtype), torch.zeros(10, 3, dtype=dtype)
    with pytest.raises(ValueError, match=r"^mixture_log_prob: ") as caught:
        ops.mixture_log_prob(x, torch.zeros(8, dtype=dtype), means, means)
    message = str(caught.value)
    for word in ("means", "log_weights", "10", "8", "components", "pass"):
        assert word in message


@each_dtype
@each_case
def test_errors_inside_vmap_and_grad(case: OpCase, dtype: torch.dtype) -> None:
    name = list(case.arguments)[-1]
    inputs = case.draw(SIZE, dtype, batch=dict.fromkeys(case.arguments, (2,)))
    inputs[name] = torch.cat([inputs[name]] * 5, dim=-1)

    def total(inputs: dict[str, Tensor]) -> Tensor:
        return case(**inputs)[0].sum()

    with pytest.raises(ValueError, match=f"^{case.op.__name__}: .*{name} "):
        torch.vmap(torch.func.grad(total))(inputs)
