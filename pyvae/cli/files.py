# SPDX-License-Identifier: MIT
"""Pictures and arrays, written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyvae.storage.writing import write_by

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure


def write_picture(path: Path, figure: Figure) -> None:
    """Write a picture of the kind that the name ends in."""
    write_by(path, lambda file: figure.savefig(file, format=path.suffix[1:]))


def write_array(path: Path, array: np.ndarray) -> None:
    """Write a ``.npy`` file."""
    import numpy as np

    write_by(path, lambda file: np.save(file, array))


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write a ``.npz`` file."""
    import numpy as np

    write_by(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
