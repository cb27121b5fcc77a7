# SPDX-License-Identifier: MIT
"""Values and edits that a file's reader has to expect."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor

NUMBERS = (0, -1, 1, 2, 255, 2**31 - 1, 2**32 - 1, 2**40, 2**62, 2**63, 2**64, 10**30, -(2**63))
NESTED: list[Any] = []
for _ in range(40):
    NESTED = [NESTED]
VALUES: tuple[Any, ...] = (
    *NUMBERS, None, True, False, 0.5, 1e308, float("inf"), float("nan"), "", "x", "9" * 200, [],
    {}, [1], [-1, 8], [2**40, 2**40], {"a": 1}, [[[]]], NESTED, "digits", "../..",
)  # fmt: skip


def bytes_changed(draw: random.Random, content: bytes) -> bytes:
    """Cut, flip, insert, delete or repeat some bytes, the first ones more often than others."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        end = draw.choice((16, 128, 512, len(data)))
        at = draw.randrange(max(1, min(end, len(data))))
        how = draw.randrange(6)
        if how == 0:
            del data[at:]
        elif how == 1 and data:
            data[at % len(data)] ^= 1 << draw.randrange(8)
        elif how == 2 and data:
            data[at % len(data)] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        elif how == 3:
            data[at:at] = draw.randbytes(draw.choice((1, 4, 100)))
        elif how == 4:
            del data[at : at + draw.choice((1, 4, 100))]
        else:
            data[at : at + 8] = draw.choice((b"\xff" * 8, b"\0" * 8, b"9" * 8))
    return bytes(data)


def tree_changed(draw: random.Random, tree: Any) -> Any:
    """Put another value in the place of a part, drop it, or give it another name."""
    if not isinstance(tree, dict | list | tuple) or not tree or draw.random() < 0.15:
        return tensor_changed(draw, tree) if isinstance(tree, Tensor) else draw.choice(VALUES)
    if isinstance(tree, dict):
        name = draw.choice(list(tree))
        changed = dict(tree)
        how = draw.randrange(8)
        if how == 0:
            del changed[name]
        elif how == 1:
            changed[draw.choice(("x", 7, f"{name}x"))] = changed.pop(name)
        elif how == 2:
            changed["extra"] = draw.choice(VALUES)
        else:
            changed[name] = tree_changed(draw, tree[name])
        return changed
    parts = list(tree)
    at = draw.randrange(len(parts))
    how = draw.randrange(6)
    if how == 0:
        del parts[at]
    elif how == 1:
        parts.append(parts[at])
    else:
        parts[at] = tree_changed(draw, parts[at])
    return type(tree)(parts)


def tensor_changed(draw: random.Random, value: Tensor) -> Any:
    """Give a tensor another shape, type, layout or numbers."""
    flat = value.flatten()
    choices = (
        lambda: flat,
        lambda: torch.cat([flat, flat]),
        lambda: flat[: len(flat) // 2],
        lambda: value[None],
        lambda: value.to(draw.choice((torch.float64, torch.float16, torch.bfloat16, torch.int64,
                                      torch.bool, torch.complex64, torch.float8_e5m2))),
        lambda: flat[:1].expand(2**40),
        lambda: torch.zeros((), dtype=value.dtype).expand(value.shape),
        lambda: torch.full_like(value, draw.choice((-1, 0, 1))),
        lambda: torch.full_like(value, torch.nan) if value.is_floating_point() else value + 1,
        lambda: torch.full_like(value, torch.inf) if value.is_floating_point() else -value,
        lambda: torch.empty(2**40, device="meta"),
        lambda: draw.choice(VALUES),
    )  # fmt: skip
    return draw.choice(choices)()
