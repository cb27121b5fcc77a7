# SPDX-License-Identifier: MIT
"""Files of safetensors: what a header says, and the tensors once that is known to fit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes
from torch import Tensor

from pyvae.errors import WrongType, WrongValue

FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_LENGTH = 8  # bytes of the header's length
_LISTED = 3  # names in a message
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


def plain(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return copies on the CPU: the format takes no views, and no tensor under two names.

    Raises
    ------
    TypeError
        If a module's state holds something else.
    """
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise WrongType(
                f"{name} in the state of the model is a {type(value).__name__}; only tensors "
                "can be saved, so keep such things out of get_extra_state"
            )
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
    }


def content(state: dict[str, Tensor], config: str) -> bytes:
    """Return the file, of tensors on the CPU: equal bytes of equal tensors and config.

    The header has the config and a digest of the tensors. safetensors hands it on in an order that
    it draws anew each time, so the header is written again with its names in order: its length in 8
    bytes, JSON, and spaces up to a multiple of 8. Offsets of the tensors count from its end.
    """
    metadata = {"config": config, "sha256": digest(state)}
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


def header(path: Path, file: Any, writer: str) -> dict[str, str]:
    """Return what :func:`content` put beside the tensors, ``config`` and ``sha256``.

    ``writer`` is what should have written the file, for the message.
    """
    found = file.metadata() or {}
    if "config" not in found or "sha256" not in found:
        raise WrongValue(f"{path} was not written by {writer} of pyvae")
    return found


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


def unlike(
    expected: Mapping[str, Any],
    found: Mapping[str, Declared],
    allowed: Callable[[str, Tensor], tuple[torch.dtype, ...]],
) -> str | None:
    """Say what keeps tensors from being those that are expected; None where nothing does.

    What is expected and no tensor is not looked at. ``allowed`` gives the types that one may have.
    """
    for name, wanted in expected.items():
        if not isinstance(wanted, Tensor):
            continue  # what a module of one's own keeps beside tensors is its own affair
        if name not in found:
            missing = [name for name in expected if name not in found]
            return f"Missing key(s): {_listed(missing)}"
        if found[name].dtype is not None and found[name].shape != tuple(wanted.shape):
            return (
                f"size mismatch for {name}: {found[name].shape} in the file, "
                f"{tuple(wanted.shape)} in the model"
            )
        types = allowed(name, wanted)
        if found[name].dtype not in types:
            words = ", ".join(str(dtype).removeprefix("torch.") for dtype in types)
            return f"{name} holds {found[name].words}; expected {words}"
    unexpected = [name for name in found if name not in expected]
    return f"Unexpected key(s): {_listed(unexpected)}" if unexpected else None


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


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(name[:80] for name in names[:_LISTED]) + more
