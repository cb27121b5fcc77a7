# SPDX-License-Identifier: MIT
"""Fused kernels for Gaussians and Gaussian mixtures as torch ops, and the models built on them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyvae import ops as ops
    from pyvae.ops import *

    __version__: str


def __getattr__(name: str) -> Any:
    """Import the ops, and torch with them, when one of their names is first asked for.

    Torch takes seconds, which ``pyvae --help`` and the mistakes it catches do without.
    """
    if name.startswith("_") and name not in ("__version__", "__all__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    ops = import_module("pyvae.ops")
    public = {public: getattr(ops, public) for public in ops.__all__}
    globals().update(
        public, ops=ops, __all__=sorted([*public, "ops"]), __version__=ops.build_info()["version"]
    )
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__"), "__version__"})
