# SPDX-License-Identifier: MIT
"""``python -m pyvae`` is the command ``pyvae``."""

from pyvae.cli import main

if __name__ == "__main__":
    main()
