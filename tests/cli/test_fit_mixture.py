# SPDX-License-Identifier: MIT
"""``pyvae fit-mixture``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pyvae.cli.errors import UserError
from pyvae.cli.fit_mixture import numbers
from pyvae.mixture import GaussianMixture
from tests.cli.conftest import Cli
from tests.mixture.drawing import KINDS, clusters


@pytest.fixture
def points(tmp_path: Path) -> Path:
    np.save(tmp_path / "points.npy", clusters(100, d=2))
    return tmp_path / "points.npy"


@pytest.mark.parametrize("kind", KINDS)
def test_writes_what_the_estimator_finds(cli: Cli, points: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "out"
    result = cli("fit-mixture", points, "-k", 3, "--covariance", kind, "--output", folder)
    assert result.code == 0, result.err
    assert f"3 components, {kind}: " in result.out
    x = np.load(points)
    options = {"covariance_type": kind, "max_iter": 200, "tol": 1e-4, "random_state": 0}
    fitted = GaussianMixture(3, **options).fit(x)
    stored = np.load(folder / "mixture.npz")
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(stored[name], getattr(fitted, f"{name}_"), rtol=1e-10)
    np.testing.assert_array_equal(np.load(folder / "labels.npy"), fitted.predict(x))
    summary = json.loads((folder / "mixture.json").read_text())
    assert summary["bic"] == {"3": pytest.approx(fitted.bic(x))}
    assert summary["log_likelihood_per_point"] == pytest.approx(fitted.lower_bound_)
    assert (folder / "mixture.png").stat().st_size > 10_000
    assert not (folder / "bic.png").exists()


@pytest.mark.parametrize("d", [1, 5])
def test_a_range_of_numbers(cli: Cli, tmp_path: Path, d: int) -> None:
    np.savetxt(tmp_path / "x.csv", clusters(100, d=d), delimiter=",")
    folder = tmp_path / "out"
    result = cli("fit-mixture", tmp_path / "x.csv", "-k", "1-4,6", "--output", folder)
    assert result.code == 0, result.err
    lines = [line.split() for line in result.out.splitlines()]
    chosen = next(line for line in lines if line[-2:] == ["least", "BIC"])
    assert chosen[0] == "3"
    assert np.load(folder / "mixture.npz")["weights"].shape == (3,)
    assert (folder / "bic.png").exists()


def test_a_fit_that_does_not_converge_is_told(cli: Cli, points: Path, tmp_path: Path) -> None:
    result = cli("fit-mixture", points, "-k", 5, "--max-iter", 1, "--output", tmp_path / "out")
    assert result.code == 0
    assert "5 components: the best start did not converge" in result.out


def test_folders_are_not_overwritten(cli: Cli, points: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert cli("fit-mixture", points, "-k", "1-2", "--output", folder).code == 0
    again = cli("fit-mixture", points, "-k", 2, "--output", folder)
    assert again.code == 2
    assert "holds a mixture already; --overwrite replaces it" in again.err
    svg = ("--overwrite", "--picture-format", "svg")
    assert cli("fit-mixture", points, "-k", 2, "--output", folder, *svg).code == 0
    assert (folder / "mixture.svg").exists()
    assert not list(folder.glob("*.png"))
    other = cli("fit-mixture", points, "-k", 2, "--output", tmp_path)
    assert "holds other files; name a new or an empty folder" in other.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-k", "3-1"), "--components: '3-1'; expected such as 10, 2,3,5 or 1-10"),
        (("-k", "many"), "--components: 'many'"),
        (("-k", "1000"), "--components: 1000 are more than the 300 points"),
        (("--covariance", "round"), "'round' is not one of 'full', 'tied', 'diag', 'spherical', "),
    ],
)
def test_mistakes(
    cli: Cli, points: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    result = cli("fit-mixture", points, *arguments, "--output", tmp_path / "out")
    assert result.code == 2
    assert words in result.err
    assert not (tmp_path / "out").exists()


def test_numbers() -> None:
    assert numbers("3") == (3,)
    assert numbers("2,5, 3") == (2, 3, 5)
    assert numbers("1-3,2-4") == (1, 2, 3, 4)
    with pytest.raises(UserError):
        numbers("0-2")
