# SPDX-License-Identifier: MIT
"""What torch.save wrote, read without running anything, in memory that the file itself fills."""

from __future__ import annotations

import io
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import torch

from pyvae.errors import WrongValue

# What a checkpoint is made of. torch's own list has more on it, such as bytearray, which takes as
# much memory as a number says.
_ALLOWED = {
    "collections OrderedDict",
    "collections Counter",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch Size",
    "torch device",
    "_codecs encode",
    "__builtin__ set",
    "builtins set",
}
_GLOBALS = {"GLOBAL": True, "STACK_GLOBAL": False, "INST": False, "EXT1": False, "EXT2": False,
            "EXT4": False}  # fmt: skip


def load_archive(payload: bytes, path: Path) -> Any:
    """Return what is in the archive.

    Raises
    ------
    ValueError
        If it is none of torch.save's, or holds what no checkpoint does.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            _check(archive, len(payload), path)
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except WrongValue:
        raise
    except Exception as error:  # foreign bytes in foreign hands: a damaged pickle raises almost any
        reason = " ".join(str(error).split())[:300]
        raise WrongValue(
            f"{path}: not readable by this torch ({type(error).__name__}: {reason})"
        ) from error


def _check(archive: zipfile.ZipFile, size: int, path: Path) -> None:
    members = archive.infolist()
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if packed or sum(member.file_size for member in members) > size:
        raise WrongValue(f"{path}: its archive promises more than the file holds")
    pickles = [member for member in members if member.filename.endswith(".pkl")]
    if len(pickles) != 1:
        raise WrongValue(f"{path}: its archive holds {len(pickles)} pickles; expected one")
    for opcode, argument, _ in pickletools.genops(archive.read(pickles[0])):
        readable = _GLOBALS.get(opcode.name)
        if readable is False or (readable and not _is_allowed(str(argument))):
            raise WrongValue(
                f"{path}: holds {str(argument)[:80]!r}, which is no part of a checkpoint; "
                "nothing of it was run"
            )


def _is_allowed(name: str) -> bool:
    module, _, kind = name.partition(" ")
    plain = module == "torch" and kind not in ("TypedStorage", "UntypedStorage")
    is_type = isinstance(getattr(torch, kind, None), torch.dtype)
    return name in _ALLOWED or (plain and (is_type or kind.endswith("Storage")))
