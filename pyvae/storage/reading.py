# SPDX-License-Identifier: MIT
"""Small files of JSON, whoever wrote them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyvae.errors import WrongValue


def read_json(path: Path, most: int) -> Any:
    """Return the content of a file of so many bytes at most.

    Raises
    ------
    ValueError
        If it is larger, nested too deeply, or no JSON.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise WrongValue(f"{path} is damaged: it goes beyond {most} bytes")
    return parsed_json(content, path)


def parsed_json(text: str | bytes, path: Path) -> Any:
    """Return what a text of the file says, and raise as :func:`read_json` does."""
    try:
        return json.loads(text)
    except RecursionError:
        raise WrongValue(f"{path} is damaged: it is nested too deeply") from None
    except ValueError as error:
        raise WrongValue(f"{path} is damaged: it holds no JSON ({error})") from error
