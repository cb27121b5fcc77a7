# SPDX-License-Identifier: MIT
"""The benchmark suite: every op beside its peers, behind ``pyvae bench``.

``cases`` is the table of what is measured, ``targets`` the table of what must come out; ``runner``
measures, ``results`` keeps, ``compare`` and ``document`` read.
"""
