# SPDX-License-Identifier: MIT
"""What the gallery does around an example: its figures are kept, and each starts alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

_kept: dict[int, Figure] = {}


def figures(block: tuple, variables: dict[str, Any], configuration: dict[str, Any]) -> str:
    """Save the figures of ``pyvae.plots`` that a block has named: pyplot knows nothing of them."""
    paths: Iterator[str] = variables["image_path_iterator"]
    saved = []
    for value in variables["example_globals"].values():
        if isinstance(value, Figure) and id(value) not in _kept:
            _kept[id(value)] = value  # and so its id stays its own
            if value.canvas.manager is None:  # pyplot's are its own scraper's
                saved.append(next(paths))
                value.savefig(saved[-1])
    return figure_rst(saved, configuration["src_dir"])


def same_start(configuration: dict[str, Any], name: str) -> None:
    """Give every example the same random numbers."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  # scikit-learn's random_state=None
