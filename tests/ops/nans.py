# SPDX-License-Identifier: MIT
"""NaN in every form: what a number with all exponent bits and some bit of its mantissa set is."""

from __future__ import annotations

import torch
from torch import Tensor

# (bits of the mantissa, integer of the same size) of each dtype
_FORMATS = {
    torch.float16: (10, torch.int16),
    torch.bfloat16: (7, torch.int16),
    torch.float32: (23, torch.int32),
    torch.float64: (52, torch.int64),
}


def payloads(dtype: torch.dtype) -> dict[str, int]:
    """Return the bits of NaN of either sign: what hardware makes, and what formulas stumble over.

    The GPU's own has all bits of its mantissa set, R's NA is 1954.
    """
    mantissa, kind = _FORMATS[dtype]
    sign = 1 << (torch.iinfo(kind).bits - 1)
    exponent = sign - (1 << mantissa)
    quiet = 1 << (mantissa - 1)
    found = {
        "quiet": quiet,
        "all ones": 2 * quiet - 1,
        "quiet, one low bit": quiet | 1,
        "signalling, lowest": 1,
        "signalling, highest": quiet - 1,
        "signalling, one bit": 1 << (mantissa // 3),
    }
    if mantissa > 10:
        found["NA of R"] = 1954
    positive = {name: exponent | bits for name, bits in found.items()}
    return positive | {f"negative {name}": sign | bits for name, bits in positive.items()}


def of_a_gpu(dtype: torch.dtype) -> int:
    return payloads(dtype)["all ones"]


def put(tensor: Tensor, at: tuple[int, ...], bits: int) -> Tensor:
    """Return a copy with a NaN of these bits in one place."""
    kind = _FORMATS[tensor.dtype][1]
    spoilt = tensor.clone()
    signed = bits - (1 << torch.iinfo(kind).bits if bits > torch.iinfo(kind).max else 0)
    spoilt.view(kind)[at] = signed
    return spoilt


def array(dtype: torch.dtype) -> Tensor:
    """Every NaN of ``payloads`` in one row."""
    bits = payloads(dtype).values()
    row = torch.zeros(len(bits), dtype=dtype)
    for index, value in enumerate(bits):
        row = put(row, (index,), value)
    return row
