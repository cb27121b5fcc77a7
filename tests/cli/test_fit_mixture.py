# SPDX-License-Identifier: MIT
"""``pyvae fit-mixture``."""

from __future__ import annotations

import csv
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
    stored = GaussianMixture.load(folder)
    for name in ("weights_", "means_", "covariances_"):
        np.testing.assert_allclose(getattr(stored, name), getattr(fitted, name), rtol=1e-10)
    assert stored.get_params() == fitted.get_params()
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
    assert GaussianMixture.load(folder).weights_.shape == (3,)
    assert (folder / "bic.png").exists()


def test_every_type_of_covariance(cli: Cli, points: Path, tmp_path: Path) -> None:
    """The table as CSV and JSON, its picture, and the best mixture, as predict takes it."""
    folder = tmp_path / "out"
    every = ("-k", "1-3", "--covariance", "all", "--criterion", "icl", "--threads", 1)
    result = cli("fit-mixture", points, *every, "--output", folder)
    assert result.code == 0, result.err
    lines = [line.split() for line in result.out.splitlines()]
    chosen = next(line for line in lines if line[-2:] == ["least", "ICL"])
    assert chosen[:2] == ["spherical", "3"]
    told = json.loads((folder / "selection.json").read_text())
    assert told["criterion"] == "icl"
    assert [told["fits"][told["best"]][n] for n in ("covariance_type", "n_components")] == [
        "spherical", 3
    ]  # fmt: skip
    with (folder / "selection.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(told["fits"]) == 18
    for row, fit in zip(rows, told["fits"], strict=True):
        assert float(row["icl"]) == fit["icl"]
    x = np.load(points)
    best = GaussianMixture(3, covariance_type="spherical", max_iter=200, tol=1e-4, random_state=0)
    assert best.fit(x).icl(x) == pytest.approx(told["fits"][told["best"]]["icl"])
    assert json.loads((folder / "mixture.json").read_text())["covariance"] == "spherical"
    assert (folder / "icl.png").stat().st_size > 10_000
    assert cli("predict", folder).code == 0
    again = cli("fit-mixture", points, "-k", 2, "--output", folder, "--overwrite")
    assert again.code == 0
    assert not list(folder.glob("selection.*")) + list(folder.glob("icl.*"))


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
        (("--covariance", "low_rank"), "--covariance low_rank: give --rank, the number of factors"),
        (("--covariance", "low_rank", "--rank", "2"), "rank=2 and points of 2 coordinates"),
        (("--rank", "2"), "--rank: full covariances have no factors"),
        (("--covariance", "round"), "'round' is not one of 'full', 'tied', 'diag', 'spherical', "),
        (("--criterion", "wic"), "'wic' is not one of 'bic', 'aic', 'icl'"),
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
