# SPDX-License-Identifier: MIT
"""Data to train on: embedded digits, IDX, NumPy, CSV and image files, and errors with the place."""

from pyvae.data.loading import ReadingWarning, digits, load
from pyvae.data.reading import LABEL_NAMES, RULES, listed_columns
from pyvae.data.table import Data

__all__ = ["LABEL_NAMES", "RULES", "Data", "ReadingWarning", "digits", "listed_columns", "load"]
