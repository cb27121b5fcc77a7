# SPDX-License-Identifier: MIT
from __future__ import annotations

import sys

# The binaries are read with the ELF tools that come with every Linux compiler.
collect_ignore = [] if sys.platform == "linux" else ["test_binary.py"]
