# SPDX-License-Identifier: MIT
"""Files spoilt at random: each is read, or refused by name. ``python -m tests.fuzz`` goes on."""
