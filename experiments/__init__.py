# SPDX-License-Identifier: MIT
"""The experiments behind docs/theory.md, one a file: ``make theory`` runs all and draws them."""
