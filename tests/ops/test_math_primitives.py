# SPDX-License-Identifier: MIT
"""The bounds that csrc/math states of its primitives, on every instruction set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from pyvae import _C, ops

Array = NDArray[np.floating]
BOUNDS = {
    "exp": 2.0,
    "expm1": 4.0,
    "exp_minus_tangent": 4.0,
    "exp_of_gap": 2.0,
    "exp_without_subnormals": 2.0,
    "log": 1.0,
}


def _functions(library: Any) -> dict[str, Callable]:
    return {
        "exp": library.exp,
        "expm1": library.expm1,
        "exp_minus_tangent": lambda x: library.expm1(x) - x,
        "exp_of_gap": library.exp,
        "exp_without_subnormals": library.exp,
        "log": library.log,
    }


TRUTH, WIDE = _functions(mpmath), _functions(np)
# Where the result leaves the range: to zero below, to infinity above.
RANGES = {np.float32: (-104.0, 88.73), np.float64: (-746.0, 709.79)}
GAPS = {np.float32: (-86.5, 88.0), np.float64: (-707.6, 709.0)}  # exp_of_gap is zero below
NORMAL = {np.float32: (-86.5, 88.7228), np.float64: (-707.6, 709.782712893384)}
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_primitive = pytest.mark.parametrize("name", BOUNDS)


@pytest.fixture(params=ops.build_info()["instruction_sets_supported"], autouse=True)
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = ops.build_info()["instruction_set"]
    _C.set_instruction_set(request.param)
    yield request.param
    _C.set_instruction_set(before)


def _points(name: str, dtype: type, count: int) -> Array:
    if name == "log":
        return _positive(dtype, count)
    x = _signed(dtype, count)
    low, high = {"exp_of_gap": GAPS, "exp_without_subnormals": NORMAL}.get(name, RANGES)[dtype]
    return x[(x > low) & (x < high)]


def _signed(dtype: type, count: int) -> Array:
    """Evenly over the range, and every order of magnitude around zero, of both signs."""
    low, high = RANGES[dtype]
    generator = np.random.default_rng(0)
    even = generator.uniform(low, high, count)
    near = np.exp(generator.uniform(np.log(1e-12), np.log(2.0), count))
    halves = np.arange(-60, 60) * (np.log(2.0) / 2.0)  # where the argument reduction changes step
    return np.concatenate([even, near, -near, _neighbours(halves.astype(dtype))]).astype(dtype)


def _positive(dtype: type, count: int) -> Array:
    """Numbers of every exponent, subnormals, and those about 1 and about the reduction's steps."""
    kind, bits = np.finfo(dtype), {np.float32: np.uint32, np.float64: np.uint64}[dtype]
    generator = np.random.default_rng(0)
    any_number = generator.integers(1, dtype(np.inf).view(bits), count, dtype=bits).view(dtype)
    subnormal = generator.integers(1, kind.tiny.view(bits), count // 4, dtype=bits).view(dtype)
    size = np.exp(generator.uniform(np.log(kind.eps), np.log(0.5), count // 2))
    steps = np.arange(-8, 9)
    about_one = np.concatenate([1 + size, 1 - size, 1 + steps * kind.eps, 1 - steps * kind.epsneg])
    powers = 2.0 ** np.arange(kind.minexp, kind.maxexp, 7 if dtype == np.float32 else 31)
    powers = _neighbours(np.concatenate([powers, np.sqrt(2.0) * powers]).astype(dtype))
    limits = [kind.smallest_subnormal, kind.tiny, kind.max]
    found = np.concatenate([any_number, subnormal, about_one, powers, limits]).astype(dtype)
    return found[found != 1]  # whose logarithm, 0, has no spacing


def _neighbours(values: Array) -> Array:
    low, high = values.dtype.type(-np.inf), values.dtype.type(np.inf)
    return np.concatenate([np.nextafter(values, low), values, np.nextafter(values, high)])


def _exact(name: str, x: Array) -> list:
    with mpmath.workdps(60):
        return [TRUTH[name](mpmath.mpf(float(value))) for value in x]


def _ulps(got: Array, exact: list) -> Array:
    """The error in units of the spacing of the dtype at the exact result."""
    rounded = np.array([float(value) for value in exact])
    spacing = np.spacing(np.abs(rounded).astype(got.dtype)).astype(np.float64)
    error = [abs(mpmath.mpf(float(g)) - e) for g, e in zip(got, exact, strict=True)]
    return np.array([float(e) for e in error]) / spacing


@each_dtype
@each_primitive
def test_error_in_ulps(name: str, dtype: type) -> None:
    x = _points(name, dtype, 1500)
    got = _C.evaluate(name, x)
    assert got.dtype == dtype
    errors = _ulps(got, _exact(name, x))
    worst = int(np.nanargmax(errors))
    assert errors[worst] <= BOUNDS[name], f"{name}({x[worst]!r}): {errors[worst]:.2f} ulp"


@each_primitive
def test_error_in_ulps_of_a_million_floats(name: str) -> None:
    """NumPy in float64 is exact enough to judge float32."""
    x = np.random.default_rng(1).uniform(-20.0, 20.0, 1_000_000).astype(np.float32)
    if name == "exp_minus_tangent":
        x = x[np.abs(x) > 1e-2]
    if name == "log":  # every float of an eighth of the mantissas, at two exponents and more
        steps = np.arange(0x3F000000, 0x40000000, 8, dtype=np.uint32).view(np.float32)
        x = np.concatenate([steps[steps != 1], _positive(np.float32, 1_000_000)])
    truth = WIDE[name](x.astype(np.float64))
    error = np.abs(_C.evaluate(name, x) - truth) / np.spacing(np.abs(truth).astype(np.float32))
    assert error.max() <= BOUNDS[name], f"{name}({x[error.argmax()]!r}): {error.max():.2f} ulp"


@each_dtype
def test_special_values(dtype: type) -> None:
    low, high = RANGES[dtype]
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, low - 1, high + 1, -1e30, 1e30], dtype=dtype)
    inf = np.inf
    want = {
        "exp": [np.nan, inf, 0.0, 1.0, 1.0, 0.0, inf, 0.0, inf],
        "expm1": [np.nan, inf, -1.0, 0.0, 0.0, -1.0, inf, -1.0, inf],
        "exp_minus_tangent": [np.nan, inf, inf, 0.0, 0.0, -low, inf, 1e30, inf],
        "exp_without_subnormals": [np.nan, inf, 0.0, 1.0, 1.0, 0.0, inf, 0.0, inf],
        "log": [np.nan, inf, np.nan, -inf, -inf, np.nan, np.log(high + 1), np.nan, np.log(1e30)],
    }
    for name, values in want.items():
        np.testing.assert_allclose(_C.evaluate(name, x), values, rtol=1e-6, atol=0.0, err_msg=name)


@each_dtype
def test_exp_of_gap_below_the_normal_range(dtype: type) -> None:
    """Nothing at all, exactly, and never what is left of a wrapped exponent."""
    low, _ = GAPS[dtype]
    x = np.array([np.nan, 0.0, -0.0, low - 1, low - 100, -1e4, -1e30, -np.inf], dtype=dtype)
    want = [np.nan, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    for name in ("exp_of_gap", "exp_without_subnormals"):
        np.testing.assert_array_equal(_C.evaluate(name, x), want, err_msg=name)


@each_dtype
def test_log_at_its_fixed_points(dtype: type) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    assert _C.evaluate("log", np.ones(1, dtype)).tolist() == [0.0]
    assert np.isnan(_C.evaluate("log", np.array([-tiny], dtype))).all()
    assert np.isfinite(_C.evaluate("log", np.array([tiny, np.finfo(dtype).max], dtype))).all()


@each_dtype
def test_exp_minus_tangent_is_never_negative(dtype: type) -> None:
    x = _signed(dtype, 100_000)
    assert (_C.evaluate("exp_minus_tangent", x) >= 0).all()


@each_dtype
@each_primitive
def test_every_tail_gives_the_same_bits(name: str, dtype: type) -> None:
    """Vector lanes and the scalars after them compute one formula."""
    x = _points(name, dtype, 70)
    whole = _C.evaluate(name, x)
    for count in (1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65):
        np.testing.assert_array_equal(_C.evaluate(name, x[:count]), whole[:count])


def test_unknown_primitive() -> None:
    with pytest.raises(ValueError, match="sinh"):
        _C.evaluate("sinh", np.zeros(3))
