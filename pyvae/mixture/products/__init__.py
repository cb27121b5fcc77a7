# SPDX-License-Identifier: MIT
"""Mixtures of products: blocks of columns that are independent given the component."""
