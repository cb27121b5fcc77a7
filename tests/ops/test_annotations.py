# SPDX-License-Identifier: MIT
"""The shape annotations of the public functions, with their checking switched on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped

from tests.ops.cases import CASES, SMALL, OpCase, each_case, each_dtype


def _checked(case: OpCase) -> Callable:
    return jaxtyped(case.op, typechecker=beartype)


@each_dtype
@each_case
def test_annotations_hold(case: OpCase, dtype: torch.dtype) -> None:
    for batch in ((), (2,), (2, 3)):
        inputs = case.draw(SMALL, dtype, batch=dict.fromkeys(case.arguments, batch))
        _checked(case)(**case.fixed, **inputs)
    for name in case.arguments:
        inputs = case.draw(SMALL, dtype, batch={name: (4,)})
        _checked(case)(**case.fixed, **inputs)


@each_case
def test_annotations_are_checked(case: OpCase) -> None:
    """Otherwise the test above would pass whatever they said."""
    for name in case.arguments:
        inputs = case.draw(SMALL, torch.float32)
        inputs[name] = torch.zeros(inputs[name].shape, dtype=torch.int64)
        with pytest.raises(TypeCheckError):
            _checked(case)(**case.fixed, **inputs)


def test_every_argument_is_annotated() -> None:
    for case in CASES:
        annotations = case.op.__annotations__
        assert {"return", *case.arguments} <= set(annotations), case.name
