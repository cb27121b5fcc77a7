# SPDX-License-Identifier: MIT
"""Data to train on: embedded digits, IDX, NumPy and CSV files, with errors that name the place."""

from pyvae.data.loading import digits, load
from pyvae.data.table import Data

__all__ = ["Data", "digits", "load"]
