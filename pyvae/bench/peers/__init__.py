# SPDX-License-Identifier: MIT
"""The same computations as people write them without pyvae, by library."""
