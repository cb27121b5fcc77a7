# SPDX-License-Identifier: MIT
"""The CUDA kernels: a library beside the compiled module, and what is said where it is missing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from pyvae import _C
from pyvae.ops.modes import full_precision

LIBRARY = Path(_C.__file__).with_name("libpyvae_cuda.so")
REINSTALL = "install pyvae again where nvcc is, with `PYVAE_CUDA=ON pip install .`"


def load(library: Path = LIBRARY) -> str | None:
    """Give the ops their CUDA kernels; returns why there are none, and the way out, or None."""
    if not library.is_file():
        reason = _C.build_info()["cuda_missing"] or f"{library} is not there"
        return f"({reason}); {REINSTALL}"
    if torch.version.cuda is None:
        return f"(torch {torch.__version__} is built without CUDA); install a torch with CUDA"
    try:
        torch.ops.load_library(library)
    except OSError as error:  # the CPU kernels are none the worse for it
        return f"({library.name} cannot be loaded: {error.__cause__ or error}); {REINSTALL}"
    return None


MISSING = load()
# The largest D whose Cholesky factors the fused kernels take: of mixtures a block's shared memory
# holds a tile of pairs and a factor on any GPU, in double too; of divergences between as many pairs
# every factor is solved with once. Reasoned, not measured: beyond, products are what cuBLAS is for.
LARGEST_FUSED_MIXTURE, LARGEST_FUSED_PAIR = 64, 256
# Registrations last as long as this.
_registrations = torch.library.Library("pyvae", "IMPL")


def refuse_cuda(kernel: torch._ops.OpOverload, title: str) -> None:
    """Where there are no CUDA kernels, let `kernel` say so, in the name of the function `title`.

    As a kernel itself, so that it is heard from compiled code too, and costs other calls nothing.
    """
    if MISSING is None:
        return

    def refuse(*inputs: Any) -> NoReturn:
        raise RuntimeError(message(title, inputs, MISSING))

    _registrations.impl(kernel, refuse, "CUDA")


def hand_over(
    kernel: torch._ops.OpOverload,
    large: Callable[..., Any],
    position: int,
    largest: int,
    library: torch.library.Library = _registrations,
) -> None:
    """Let `large` take the place of a CUDA kernel where D exceeds `largest`.

    As a kernel itself, so that compiled code and CUDA graphs meet it too. D is the last size of the
    input at `position`.
    """
    if MISSING is not None:
        return
    fused = torch.library.get_kernel(kernel, "CUDA")

    def chosen(keys: torch._C.DispatchKeySet, *inputs: Any) -> Any:
        if inputs[position].shape[-1] > largest:
            with full_precision("cuda"):
                return large(*inputs)
        return fused.call_boxed(keys, *inputs)

    with warnings.catch_warnings():  # that a kernel stands in front of another is the purpose
        warnings.filterwarnings("ignore", "Warning only once for all operators", UserWarning)
        library.impl(kernel, chosen, "CUDA", with_keyset=True)


def message(title: str, inputs: Sequence[Any], missing: str | None) -> str:
    """Return the sentence for a call on these tensors."""
    devices = [t.device for t in inputs if isinstance(t, Tensor) and t.device.type == "cuda"]
    where = devices[0] if devices else "CUDA"
    return (
        f"{title}: the tensors are on {where}, and this installation of pyvae has no CUDA kernels "
        f"{missing}, or move the tensors to the CPU with .cpu()"
    )
