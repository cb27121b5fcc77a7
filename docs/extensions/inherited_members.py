# SPDX-License-Identifier: MIT
"""Of what a class inherits, only pyvae's own is documented."""

from __future__ import annotations

from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Leave out what torch, scikit-learn and Python give a class."""

    def skip(
        app: Any, what: str, name: str, member: Any, skipped: bool, options: Any
    ) -> bool | None:
        owner = getattr(member, "__objclass__", member)
        module = getattr(owner, "__module__", None) or "pyvae"
        return None if module.startswith("pyvae") else True

    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
