# SPDX-License-Identifier: MIT
"""The ops: compiled kernels behind ordinary torch functions.

Each module says in its ``__all__`` what of it is public, here and in ``pyvae``.
"""

import torch as _torch  # noqa: F401  # loads the libraries that the compiled module leans on

from pyvae._C import build_info, op_table
from pyvae.ops import kl, mixture, mixture_tril, statistics
from pyvae.ops._cuda import MISSING as CUDA_MISSING
from pyvae.ops.kl import *
from pyvae.ops.mixture import *
from pyvae.ops.mixture_tril import *
from pyvae.ops.statistics import *

MODULES = (kl, mixture, mixture_tril, statistics)
__all__ = ["CUDA_MISSING", "build_info", "op_table"]
__all__ += kl.__all__
__all__ += mixture.__all__
__all__ += mixture_tril.__all__
__all__ += statistics.__all__
