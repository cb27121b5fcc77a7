# SPDX-License-Identifier: MIT
"""Files: written whole or not at all, locked against other runs, and compared with their form."""
