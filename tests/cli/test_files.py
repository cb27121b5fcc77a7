# SPDX-License-Identifier: MIT
"""Pictures on disk: three formats, equal bytes for equal pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from pyvae.cli.files import PICTURES, ending, write_picture

STARTS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


def _drawn() -> Figure:
    """What gets names of its own in a file: clipped marks, fonts, a raster image."""
    figure = Figure((2.0, 1.5))
    axes = figure.subplots()
    axes.scatter(*np.random.default_rng(0).normal(size=(2, 20)), label="$d$")
    axes.imshow(np.eye(3))
    axes.legend()
    return figure


@pytest.mark.parametrize("kind", PICTURES)
def test_equal_pictures_are_equal_files(tmp_path: Path, kind: str) -> None:
    written = []
    for name in (f"a.{kind}", f"b.{kind.upper()}"):
        write_picture(tmp_path / name, _drawn())
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert written[0].startswith(STARTS[kind])
    assert not any(word in written[0] for word in (b"CreationDate", b"dc:date", b"/Type3"))


@pytest.mark.parametrize("name", ["kl", "kl.jpg", "kl.svg.txt", "png", ".png", "kl."])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"--output: .* must end in \.png, \.pdf or \.svg"):
        ending(Path(name), "--output")
    with pytest.raises(ValueError, match="must end in"):
        write_picture(tmp_path / name, Figure())
    assert not list(tmp_path.iterdir())
