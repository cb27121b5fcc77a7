# SPDX-License-Identifier: MIT
"""The command ``pyvae``.

This package is imported for every ``pyvae --help``: torch and the like are imported by the commands
themselves, when they run.
"""

from __future__ import annotations

from pyvae.cli.app import main

__all__ = ["main"]
