# SPDX-License-Identifier: MIT
"""Files of safetensors: what a header says, and its tensors once that is known to fit.

The one module here that knows of torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from pyvae.errors import WrongValue

_LENGTH = 8  # bytes of the header's length
# The types of the format that a model may have; integers are for buffers of modules of one's own.
_TYPES = {
    "F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64,
    "BOOL": torch.bool, "U8": torch.uint8, "I8": torch.int8, "I16": torch.int16,
    "I32": torch.int32, "I64": torch.int64, "C64": torch.complex64,
}  # fmt: skip


class Declared(NamedTuple):
    """What a file says of a tensor, before its numbers are read."""

    shape: tuple[int, ...]
    dtype: torch.dtype | None  # None where torch or a model has no such type
    words: str

    @classmethod
    def of(cls, value: Any) -> Declared:
        """Describe a tensor that is there; anything else has no dtype."""
        plain = type(value) is Tensor and value.layout is torch.strided and not value.is_meta
        if not plain:
            return cls((), None, f"a {type(value).__name__}")
        return cls(tuple(value.shape), value.dtype, str(value.dtype).removeprefix("torch."))


def content(state: dict[str, Tensor], metadata: dict[str, str]) -> bytes:
    """Return the file: equal bytes of equal tensors and metadata.

    safetensors hands on the metadata in an order that it draws anew each time, so the header is
    written again with its names in order: its length in 8 bytes, JSON, and spaces up to a multiple
    of 8. Offsets of the tensors count from its end.
    """
    drawn = safetensors_bytes(state, metadata=metadata)
    end = _LENGTH + int.from_bytes(drawn[:_LENGTH], "little")
    parts = json.loads(drawn[_LENGTH:end])
    parts["__metadata__"] = dict(sorted(parts["__metadata__"].items()))
    text = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(_LENGTH, "little") + text + drawn[end:]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open the file; whatever its reader objects to names it."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise WrongValue(f"{path} is damaged or no safetensors file ({error})") from error


def declared(file: Any) -> dict[str, Declared]:
    """Return shapes and types of the tensors, of which none is read."""
    found = {}
    for name in file.keys():  # noqa: SIM118
        part = file.get_slice(name)
        kind = str(part.get_dtype())
        dtype = _TYPES.get(kind)
        words = kind if dtype is None else str(dtype).removeprefix("torch.")
        found[name] = Declared(tuple(part.get_shape()), dtype, words)
    return found


def read(path: Path, file: Any, sha256: str, expected: dict[str, Declared]) -> dict[str, Tensor]:
    """Return the tensors, checked against their digest."""
    state = {name: file.get_tensor(name) for name in expected}
    if sha256 != digest(state):
        raise WrongValue(f"{path} is damaged: its tensors do not match their digest")
    return state


def digest(state: dict[str, Tensor]) -> str:
    """Return the digest of names, types, shapes and bytes."""
    found = hashlib.sha256()
    for name, value in sorted(state.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
