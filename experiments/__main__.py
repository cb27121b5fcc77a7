# SPDX-License-Identifier: MIT
"""``python -m experiments``."""

import sys

from experiments.cli import run

if __name__ == "__main__":
    sys.exit(run())
