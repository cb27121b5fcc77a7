# SPDX-License-Identifier: MIT
"""Pictures on disk: three formats, equal bytes for equal pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from pyvae import plots
from pyvae.cli.files import PICTURES, ending, write_picture

STARTS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


def _drawn() -> list[Figure]:
    rng = np.random.default_rng(0)
    w, x, z = rng.normal(size=(20, 2)), rng.uniform(size=(20, 4)), np.arange(20) % 2
    names = ["a", "b", "c", "$d$"]
    return [
        plots.latent_space(w, z, z, means=w[:2], logvars=np.zeros((2, 1))),
        plots.reconstructions(x, x, feature_names=names),
    ]


@pytest.mark.parametrize("kind", PICTURES)
def test_equal_pictures_are_equal_files(tmp_path: Path, kind: str) -> None:
    for i, pair in enumerate(zip(_drawn(), _drawn(), strict=True)):
        written = []
        for name, figure in zip("ab", pair, strict=True):
            path = tmp_path / f"{name}{i}.{kind.upper() if name == 'a' else kind}"
            write_picture(path, figure)
            written.append(path.read_bytes())
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
