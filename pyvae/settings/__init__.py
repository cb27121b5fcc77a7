# SPDX-License-Identifier: MIT
"""The homes of the trainer's settings and the models' options.

A leaf without torch: the command line makes its options from them before anything heavy is there.
"""

from __future__ import annotations

from pyvae.settings.documentation import documented, takes
from pyvae.settings.models import GMVAEOptions, ModelOptions, NetworkOptions, VAEOptions
from pyvae.settings.setting import NEVER, Home, Setting, earlier, recorded, settings_of
from pyvae.settings.trainer import CLUSTERINGS, TrainerSettings, changeable

__all__ = [
    "CLUSTERINGS",
    "NEVER",
    "GMVAEOptions",
    "Home",
    "ModelOptions",
    "NetworkOptions",
    "Setting",
    "TrainerSettings",
    "VAEOptions",
    "changeable",
    "documented",
    "earlier",
    "recorded",
    "settings_of",
    "takes",
]
