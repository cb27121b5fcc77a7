# SPDX-License-Identifier: MIT
"""Fused kernels for Gaussians and Gaussian mixtures as torch ops, and the models built on them."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyvae import ops as ops
    from pyvae.integrations.torch_distributions import (
        patch_torch_distributions as patch_torch_distributions,
    )
    from pyvae.ops.kl import *
    from pyvae.ops.mixture import *
    from pyvae.ops.mixture_tril import *
    from pyvae.ops.statistics import *

    __version__: str


# Public names that only those need who ask for them, and where they are.
_ELSEWHERE = {"patch_torch_distributions": "pyvae.integrations.torch_distributions"}


def __getattr__(name: str) -> Any:
    """Import the ops, and torch with them, when one of their names is first asked for.

    Torch takes seconds, which ``pyvae --help``, the mistakes it catches and the parts that need no
    torch do without.
    """
    other = name.startswith("_") and name not in ("__version__", "__all__")
    # `from pyvae import plots` asks for an attribute, and imports the part where there is none.
    if other or (name != "ops" and find_spec(f"{__name__}.{name}") is not None):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _ELSEWHERE:
        globals()[name] = getattr(import_module(_ELSEWHERE[name]), name)
        return globals()[name]
    ops = import_module("pyvae.ops")
    public = {name: getattr(ops, name) for module in ops.MODULES for name in module.__all__}
    globals().update(
        public,
        ops=ops,
        __all__=sorted([*public, *_ELSEWHERE, "ops"]),
        __version__=ops.build_info()["version"],
    )
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__"), "__version__"})
