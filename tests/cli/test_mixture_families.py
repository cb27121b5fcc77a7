# SPDX-License-Identifier: MIT
"""``pyvae fit-mixture --family``, noise, and points of known components; ``predict`` of each."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from pyvae import mixture as mixtures
from pyvae.cli.mixture_options import FAMILIES
from tests.mixture.drawing import clusters

from .conftest import Cli, Result
from .test_mistakes import is_mistake

PEOPLE = [
    "age,smokes,town",
    *(f"{20 + i},{int(i % 4 > 0)},{'Ely' if i % 3 else 'York'}" for i in range(12)),
    *(f"{70 + i},{int(i % 4 == 0)},{'Bath' if i % 3 else 'Ely'}" for i in range(12)),
]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    (tmp_path / "people.csv").write_text("\n".join(PEOPLE) + "\n")
    return tmp_path / "people.csv"


def predicted(result: Result) -> np.ndarray:
    assert result.code == 0, result.err
    return np.loadtxt(io.StringIO(result.out), delimiter=",", skiprows=1)


def kind_of(family: str) -> Any:
    return getattr(mixtures, FAMILIES[family].estimator)


def zeros_and_ones(count: int = 60) -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.random((count, 5)) < np.repeat([[0.1], [0.8]], count // 2, 0)).astype(np.uint8)


ARRAYS: dict[str, tuple[np.ndarray, tuple[object, ...], dict[str, Any]]] = {
    "student-t": (clusters(40, d=2), ("--degrees-of-freedom", "tied"),
                  {"degrees_of_freedom": "tied"}),
    "bernoulli": (zeros_and_ones(), (), {}),
    "categorical": (zeros_and_ones() + 3, ("--initialization", "random"),
                    {"init_params": "random"}),
    "table": (np.c_[clusters(20, d=1), zeros_and_ones()], (), {}),
}  # fmt: skip


@pytest.mark.parametrize("family", ARRAYS)
def test_writes_what_the_estimator_finds(cli: Cli, tmp_path: Path, family: str) -> None:
    x, told, options = ARRAYS[family]
    np.save(tmp_path / "x.npy", x)
    folder = tmp_path / "out"
    result = cli("fit-mixture", tmp_path / "x.npy", "-k", 2, "--family", family, *told,
                 "--output", folder)  # fmt: skip
    assert result.code == 0, result.err
    kind = kind_of(family)
    fitted = kind(2, max_iter=200, tol=1e-4, random_state=0, **options).fit(x)
    stored = kind.load(folder)
    assert stored.get_params() == fitted.get_params()
    np.testing.assert_allclose(stored.weights_, fitted.weights_, rtol=1e-10)
    np.testing.assert_array_equal(np.load(folder / "labels.npy"), fitted.predict(x))
    summary = json.loads((folder / "mixture.json").read_text())
    assert (summary["family"], summary["components"], summary["dimensions"]) == (
        family, 2, x.shape[1]
    )  # fmt: skip
    assert summary["bic"] == {"2": pytest.approx(fitted.bic(x))}
    assert summary["log_likelihood_per_point"] == pytest.approx(fitted.score(x), abs=1e-3)
    assert (folder / "mixture.png").stat().st_size > 5_000
    np.testing.assert_allclose(predicted(cli("predict", folder))[:, 1:], fitted.predict_proba(x))
    is_mistake(cli("evaluate", folder), "`pyvae predict")
    other = json.loads((folder / "mixture.json").read_text()) | {"family": "gaussian"}
    (folder / "mixture.json").write_text(json.dumps(other | {"covariance": "full"}))
    is_mistake(cli("predict", folder), "format is", "expected 'pyvae.mixture'")


def test_images_are_binarised(cli: Cli, tmp_path: Path) -> None:
    pixels, _ = load_digits(return_X_y=True)
    np.save(tmp_path / "x.npy", pixels[:60].reshape(-1, 8, 8) / 16)
    fit = ("fit-mixture", tmp_path / "x.npy", "-k", 3, "--family", "bernoulli")
    is_mistake(cli(*fit, "--output", tmp_path / "out"), "expected zeros and ones", "--binarize")
    for threshold in (-3, 1e6):
        thresholded = cli(*fit, "--binarize", threshold, "--output", tmp_path / "out")
        is_mistake(thresholded, "every value would be", "take a threshold between")
    result = cli(*fit, "--binarize", 0.5, "--output", tmp_path / "out")
    assert result.code == 0, result.err
    assert kind_of("bernoulli").load(tmp_path / "out").binarize == 0.5
    assert (tmp_path / "out" / "mixture.png").exists()


def test_a_table_of_numbers_and_text(cli: Cli, tmp_path: Path, people: Path) -> None:
    folder = tmp_path / "out"
    fit = ("fit-mixture", people, "-k", 2, "--family", "table", "--output", folder)
    result = cli(*fit)
    assert result.code == 0, result.err
    assert "columns age gaussian, smokes bernoulli, town categorical (3)" in result.out
    assert {"York", "Bath"} & set(result.out.split())
    fitted = kind_of("table").load(folder)
    assert fitted.categories_[2].tolist() == ["Bath", "Ely", "York"]
    table = predicted(cli("predict", folder))
    np.testing.assert_array_equal(table[:, 0], np.load(folder / "labels.npy"))
    assert len(set(table[:12, 0])) == len(set(table[12:, 0])) == 1
    (tmp_path / "new.csv").write_text("town,smokes,age,id\nYork,1,25,a\nBath,0,75,b\n")
    new = predicted(cli("predict", folder, tmp_path / "new.csv"))
    assert new[:, 0].tolist() == [table[0, 0], table[-1, 0]]
    (tmp_path / "new.csv").write_text("town,smokes,age\nPisa,1,25\nBath,0,75\n")
    is_mistake(cli("predict", folder, tmp_path / "new.csv"), "column town holds 'Pisa'", "'York'")
    (tmp_path / "new.csv").write_text("town,smokes,age\nYork,1,old\nBath,0,old\n")
    is_mistake(cli("predict", folder, tmp_path / "new.csv"), "column age holds 'old'", "numbers")


def test_what_is_missing_of_a_table_is_integrated_out(
    cli: Cli, tmp_path: Path, people: Path
) -> None:
    people.write_text(people.read_text() + ",NA,York\n71,0,\n")
    fit = ("fit-mixture", people, "-k", 2, "--family", "table", "--output", tmp_path / "out")
    is_mistake(cli(*fit), "column 1 (age) is missing", "--missing marginalize")
    assert cli(*fit, "--missing", "marginalize").code == 0
    assert len(predicted(cli("predict", tmp_path / "out"))) == 26


def test_numbers_may_be_categories(cli: Cli, tmp_path: Path, people: Path) -> None:
    """Those that are told, and in --family categorical whatever there is."""
    lines = people.read_text().splitlines()
    lines = [f"{line},{'grade' if not at else at % 3}" for at, line in enumerate(lines)]
    people.write_text("\n".join(lines))
    fit = ("fit-mixture", people, "-k", 2, "--family", "table", "--output", tmp_path / "out")
    result = cli(*fit, "--categorical", "grade")
    assert "town categorical (3), grade categorical (3)" in result.out
    assert kind_of("table").load(tmp_path / "out").categories_[3].tolist() == ["0", "1", "2"]
    assert len(predicted(cli("predict", tmp_path / "out", people))) == 24
    people.write_text(people.read_text().replace("Ely,1", "Ely,?").replace("York,1", "York,A", 1))
    mixed = (*fit, "--overwrite", "--missing", "marginalize")
    is_mistake(cli(*mixed), "column 4 (grade) holds numbers, and 'A'", "--categorical grade")
    every = ("--family", "categorical", "--drop", "age", "--overwrite", "--missing", "marginalize")
    assert cli(*fit, *every).code == 0
    names = [names.tolist() for names in kind_of("categorical").load(tmp_path / "out").categories_]
    assert names == [[0, 1], ["Bath", "Ely", "York"], ["0", "1", "2", "A"]]


def test_noise_is_told_from_clusters(cli: Cli, tmp_path: Path) -> None:
    x = clusters(60, d=2)
    x = np.concatenate([x, np.random.default_rng(1).uniform(-60, 60, (20, 2))])
    np.save(tmp_path / "x.npy", x)
    folder = tmp_path / "out"
    fit = ("fit-mixture", tmp_path / "x.npy", "--noise", "uniform", "--output", folder)
    result = cli(*fit, "-k", 3)
    assert result.code == 0, result.err
    labels = np.load(folder / "labels.npy")
    lines = (line.split() for line in result.out.splitlines())
    (line,) = (line for line in lines if line[:1] == ["noise"])
    assert line[2] == str((labels == -1).sum())
    assert (labels[-20:] == -1).mean() > 0.8
    told = cli("predict", folder)
    np.testing.assert_array_equal(predicted(told)[:, 0], labels)
    assert told.out.splitlines()[0].endswith("probability_2,probability_noise")
    summary = json.loads((folder / "mixture.json").read_text())
    assert summary["noise_weight"] == pytest.approx(float(line[1]), abs=1e-4)
    several = cli(*fit, "-k", "2-3", "--overwrite")
    assert several.code == 0, several.err
    assert mixtures.GaussianMixture.load(folder).noise == "uniform"
    with pytest.raises(ValueError, match=r"format is 'pyvae.mixture'; expected 'pyvae.mixture.pr"):
        mixtures.TableMixture.load(folder)


def _flowers(path: Path, names: list[str]) -> np.ndarray:
    x = clusters(30, d=2)
    rows = [f"{a:.4f},{b:.4f},{name}" for (a, b), name in zip(x, names, strict=True)]
    path.write_text("\n".join(["a,b,species", *rows]) + "\n")
    return x


def test_components_are_the_labels_where_they_are_known(cli: Cli, tmp_path: Path) -> None:
    """By names or by numbers, in a column or a file; what is missing, or -1, is unknown."""
    names = ["", "-1", "NA"] * 30
    names[:2], names[30:32], names[60:62] = ["rose", "rose"], ["lily", "lily"], ["iris", "iris"]
    x = _flowers(tmp_path / "x.csv", names)
    folder = tmp_path / "out"
    fit = ("fit-mixture", tmp_path / "x.csv", "--output", folder)
    result = cli(*fit, "-k", 3, "--label-column", "species")
    assert result.code == 0, result.err
    told = "labels 6 of 90 points are of known components; components 0 to 2 are iris, lily, rose"
    assert told in result.out
    known = np.full(90, -1)
    known[:2], known[30:32], known[60:62] = 2, 1, 0
    options = {"max_iter": 200, "tol": 1e-4, "random_state": 0}
    fitted = mixtures.GaussianMixture(3, **options).fit(x.round(4), labels=known)
    np.testing.assert_allclose(
        mixtures.GaussianMixture.load(folder).means_, fitted.means_, rtol=1e-6
    )
    summary = json.loads((folder / "mixture.json").read_text())
    assert summary["classes"] == ["iris", "lily", "rose"]
    assert summary["labelled"]["points"] == 6
    labels = predicted(cli("predict", folder))[:, 0]
    np.savetxt(tmp_path / "new.csv", x, "%.4f", delimiter=",", header="a,b", comments="")
    np.testing.assert_array_equal(predicted(cli("predict", folder, tmp_path / "new.csv"))[:, 0],
                                  labels)  # fmt: skip
    is_mistake(cli(*fit, "-k", 2, "--label-column", "species", "--overwrite"),
               "2 are fewer than the 3 classes of column 3 (species)", "-k 3")  # fmt: skip
    np.savetxt(tmp_path / "x2.csv", x.round(4), delimiter=",", fmt="%.4f")
    np.save(tmp_path / "labels_of.npy", known)
    file = ("--labels", tmp_path / "labels_of.npy", "--output", tmp_path / "file")
    assert cli("fit-mixture", tmp_path / "x2.csv", "-k", 3, *file).code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "file" / "labels.npy"), labels)
    assert cli("predict", tmp_path / "file").code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--family", "bernoulli", "--covariance", "full"),
         "--covariance has no use with --family bernoulli; leave it out, or take --family gaussian "
         "or student-t"),
        (("--family", "student-t", "--rank", "2"), "--rank has no use with --family student-t"),
        (("--family", "table", "--noise", "uniform"), "--noise has no use with --family table"),
        (("--family", "categorical", "--labels", "l.npy"), "--labels has no use with --family"),
        (("--degrees-of-freedom", "4"), "has no use with --family gaussian"),
        (("--family", "student-t", "--degrees-of-freedom", "-1"),
         "'-1'; expected free, tied or a number above 0"),
        (("--family", "student-t", "--missing", "marginalize"), "--missing has no use"),
        (("--family", "student-t", "--covariance", "low_rank"), "--covariance low_rank has no"),
        (("--family", "bernoulli", "-k", "1-3"), "--components 1-3: only fits of --family gauss"),
        (("--family", "student-t", "--covariance", "all"), "--covariance all: only fits of"),
        (("--label-column", "2", "-k", "1-3"), "--components 1-3: fits are compared without"),
        (("--family", "bernoulli", "--initialization", "k-means++"), "expected kmeans or random"),
        (("--noise", "uniform", "--initialization", "k-means++"), "starts at single points"),
        (("--noise", "gaussian"), "'gaussian' is not one of 'uniform'"),
        (("--family", "weibull"), "'weibull' is not one of 'gaussian', 'student-t', 'bernoulli'"),
        (("--binarize", "0.5"), "--binarize has no use with --family gaussian; leave it out, or"),
    ],
)  # fmt: skip
def test_mistakes(cli: Cli, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    np.save(tmp_path / "x.npy", clusters(20, d=2))
    is_mistake(
        cli("fit-mixture", tmp_path / "x.npy", *arguments, "--output", tmp_path / "out"), words
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full(60, -1), "no label of", ),
        (np.arange(60) % 4, "has the label 3, and 3 components are 0 to 2; take -k 4"),
        (np.arange(60) - 7, "label of row 0 (counted from 0) is -7"),
        (np.arange(60) / 2, "label of row 1 (counted from 0) is 0.5"),
        (np.arange(6), "labels of shape (6,) for the 60 examples"),
    ],
)  # fmt: skip
def test_labels_that_are_none(cli: Cli, tmp_path: Path, labels: np.ndarray, words: str) -> None:
    np.save(tmp_path / "x.npy", clusters(20, d=2))
    np.save(tmp_path / "l.npy", labels)
    told = ("-k", 3, "--labels", tmp_path / "l.npy", "--output", tmp_path / "out")
    is_mistake(cli("fit-mixture", tmp_path / "x.npy", *told), words)
