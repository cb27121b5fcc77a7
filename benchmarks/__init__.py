# SPDX-License-Identifier: MIT
"""The suite of timings: every op of the tests' case table beside its peers.

Run as ``python -m benchmarks`` from the repository's root. ``suite`` is what is measured, made of
the table in ``tests/ops/cases.py``, ``peers`` and ``fits``; ``targets`` is the table of what must
come out. ``runner`` measures, ``results`` keeps, ``compare`` and ``document`` read.
"""
