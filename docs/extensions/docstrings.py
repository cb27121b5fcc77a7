# SPDX-License-Identifier: MIT
"""How docstrings reach the reference: of what a class inherits only pyvae's own, types as we write.

numpydoc takes the first line of *Returns* for a type. Ours say what is returned, and leave dtype
and shape to the annotation, which is put there.
"""

from __future__ import annotations

import inspect
from typing import Any


def with_type(lines: list[str], annotation: str) -> list[str]:
    """Return a docstring whose section *Returns* is text under the annotation.

    >>> with_type(["Returns", "-------", "In nats.", "", "Raises", "------"], "float")
    ['Returns', '-------', '``float``', '    In nats.', '', 'Raises', '------']
    """
    start = next((i for i, line in enumerate(lines) if line.strip() == "Returns"), None)
    if start is None:
        return lines
    ruled = (i for i in range(start + 2, len(lines)) if lines[i].startswith("---"))
    end = next(ruled, len(lines) + 1) - 1
    body = lines[start + 2 : end]
    if any(line.startswith(" ") for line in body):
        return lines
    text = [f"    {line}" if line else "" for line in body]
    return [*lines[: start + 2], f"``{annotation}``", *text, *lines[end:]]


def setup(app: Any) -> dict[str, bool]:
    """Listen to autodoc."""

    def on_docstring(
        app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]
    ) -> None:
        if inspect.isfunction(value):
            returned = inspect.signature(value).return_annotation
            lines[:] = with_type(lines, returned if isinstance(returned, str) else "object")

    def skip(
        app: Any, what: str, name: str, member: Any, skipped: bool, options: Any
    ) -> bool | None:
        """Leave out what torch, scikit-learn and Python give a class."""
        owner = getattr(member, "__objclass__", member)
        module = getattr(owner, "__module__", None) or "pyvae"
        return None if module.startswith("pyvae") else True

    app.connect("autodoc-process-docstring", on_docstring, priority=400)  # before numpydoc
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
