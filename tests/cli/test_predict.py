# SPDX-License-Identifier: MIT
"""``pyvae predict``."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from pyvae.cli import predict
from pyvae.data import load
from pyvae.mixture import GaussianMixture
from pyvae.models import GMVAE, VAE
from tests.mixture.drawing import THEIRS, clusters

from .conftest import Cli
from .test_mistakes import is_mistake


@pytest.fixture(autouse=True)
def _parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some rows each, so that several make a file."""
    monkeypatch.setattr(predict, "_ROWS", 37)


def expected(trained: Path, digits_file: Path) -> tuple[np.ndarray, np.ndarray]:
    model, x = GMVAE.from_pretrained(trained), load(digits_file).x
    return model.predict(x).numpy(), model.predict_proba(x).detach().numpy()


@pytest.mark.parametrize(("kind", "separator"), [("csv", ","), ("tsv", "\t")])
def test_text_holds_components_and_probabilities(
    cli: Cli, tmp_path: Path, trained: Path, digits_file: Path, kind: str, separator: str
):
    target = tmp_path / "new" / f"clusters.{kind}"
    result = cli("predict", trained, "--output", target)
    assert result == (0, f"150 rows in {target}\n", "")
    lines = target.read_text().splitlines()
    header = ["component", "probability_0", "probability_1", "probability_2"]
    assert lines[0].split(separator) == header
    table = np.loadtxt(target, delimiter=separator, skiprows=1)
    components, probabilities = expected(trained, digits_file)
    np.testing.assert_array_equal(table[:, 0], components)
    # The digits of a float32, though the rows were asked for in other batches.
    np.testing.assert_allclose(table[:, 1:], probabilities, rtol=1e-5, atol=1e-7)
    single = table[:, 1:].astype(np.float32)
    assert all(f"{value:.9g}" in lines[1] for value in single[0])


def test_arrays(cli: Cli, tmp_path: Path, trained: Path, digits_file: Path):
    components, probabilities = expected(trained, digits_file)
    assert cli("predict", trained, "--output", tmp_path / "k.npy").code == 0
    found = np.load(tmp_path / "k.npy")
    np.testing.assert_array_equal(found, components)
    assert found.dtype == np.int64
    options = ("--probabilities", "--output", tmp_path / "p.npy")
    assert cli("predict", trained, digits_file, *options).code == 0
    found = np.load(tmp_path / "p.npy", mmap_mode="r")
    assert (found.dtype, found.shape) == (np.float32, (150, 3))
    np.testing.assert_allclose(found, probabilities, rtol=1e-5, atol=1e-7)


def test_csv_goes_to_stdout(cli: Cli, tmp_path: Path, trained: Path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(size=(80, 64)))
    result = cli("predict", trained, tmp_path / "x.npy")
    assert result.err == ""
    assert np.loadtxt(io.StringIO(result.out), delimiter=",", skiprows=1).shape == (80, 4)
    assert cli("predict", trained, tmp_path / "x.npy", "--output", "-") == result


@pytest.mark.parametrize("kind", [*THEIRS, "tied_spherical"])
def test_a_mixture_of_fit_mixture(cli: Cli, tmp_path: Path, kind: str):
    """Restored from its folder; without data those it was fitted to, from wherever it is asked."""
    points = clusters(100, d=2)
    np.save(tmp_path / "points.npy", points)
    folder, target = tmp_path / "mixture", tmp_path / "found.csv"
    fit = ("fit-mixture", tmp_path / "points.npy", "-k", 3, "--covariance", kind)
    assert cli(*fit, "--output", folder).code == 0
    assert cli("predict", folder, "--output", target).code == 0
    table = np.loadtxt(target, delimiter=",", skiprows=1)
    np.testing.assert_array_equal(table[:, 0], np.load(folder / "labels.npy"))
    options = {"covariance_type": kind, "max_iter": 200, "tol": 1e-4, "random_state": 0}
    fitted = GaussianMixture(3, **options).fit(points)
    np.testing.assert_allclose(table[:, 1:], fitted.predict_proba(points), rtol=1e-9, atol=1e-12)
    told = cli("predict", folder).out
    (folder / "mixture.safetensors").unlink()  # as earlier folders are
    arrays = {name: getattr(fitted, f"{name}_") for name in ("weights", "means", "covariances")}
    np.savez(folder / "mixture.npz", **arrays)
    assert cli("predict", folder).out == told
    other = "diag" if kind == "full" else "full"
    GaussianMixture(2, covariance_type=other, random_state=0).fit(points).save(
        folder / "mixture.safetensors"
    )
    is_mistake(cli("predict", folder), "they are of different fits")


def test_a_mixture_of_factor_analysers(cli: Cli, tmp_path: Path):
    points = clusters(100, d=5)
    np.save(tmp_path / "points.npy", points)
    folder = tmp_path / "mixture"
    fit = ("fit-mixture", tmp_path / "points.npy", "--covariance", "low_rank", "--rank", 2)
    assert cli(*fit, "-k", 3, "--output", folder).code == 0
    result = cli("predict", folder)
    table = np.loadtxt(io.StringIO(result.out), delimiter=",", skiprows=1)
    fitted = GaussianMixture.load(folder)
    assert (fitted.covariance_type, fitted.rank) == ("low_rank", 2)
    np.testing.assert_allclose(table[:, 1:], fitted.predict_proba(points), atol=1e-12)
    every = ("fit-mixture", tmp_path / "points.npy", "--covariance", "all", "--rank", 1)
    assert "low_rank" in cli(*every, "-k", 2, "--output", tmp_path / "all").out


def test_files_are_not_overwritten(cli: Cli, tmp_path: Path, trained: Path):
    target = tmp_path / "k.csv"
    target.write_text("precious")
    is_mistake(cli("predict", trained, "--output", target), "--overwrite replaces it")
    assert target.read_text() == "precious"
    assert cli("predict", trained, "--output", target, "--overwrite").code == 0
    assert target.read_text().startswith("component,")


def test_nothing_half_written_is_left(cli: Cli, tmp_path: Path, trained: Path):
    x = np.random.default_rng(0).uniform(size=(80, 64))
    x[77, 3] = np.nan
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "k.csv").write_text("precious")
    result = cli(
        "predict", trained, tmp_path / "x.npy", "--output", tmp_path / "k.csv", "--overwrite"
    )
    is_mistake(result, "row 77, column 3")
    assert (tmp_path / "k.csv").read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["k.csv", "x.npy"]


def test_mistakes(cli: Cli, tmp_path: Path, trained: Path):
    is_mistake(cli("predict", trained, "--output", "k.txt"), "k.txt", ".csv, .tsv", ".npy")
    is_mistake(cli("predict", trained, "--output", tmp_path / "a.csv" / ".."), "must end in")
    is_mistake(cli("predict", tmp_path / "nowhere"), "nowhere: no such folder")
    np.save(tmp_path / "x.npy", np.zeros((4, 9)))
    is_mistake(cli("predict", trained, tmp_path / "x.npy"), "has 9 features an example", "takes 64")
    is_mistake(cli("predict", trained / "model"), "comes without the data of a run")
    torch.manual_seed(0)
    VAE(9, 2, hidden=(4,)).save_pretrained(tmp_path / "vae")
    is_mistake(
        cli("predict", tmp_path / "vae", tmp_path / "x.npy"), "holds a VAE, which has no components"
    )
    for name in ("run.json", "last.ckpt"):
        shutil.copy(trained / name, tmp_path / name)
    is_mistake(cli("predict", tmp_path), "has not come to its end", "--resume")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("mixture.json", b"{", "no JSON"),
        ("mixture.json", b'{"covariance": "round"}', "covariance is 'round'"),
        ("mixture.npz", b"PK", "damaged .npz"),
        ("mixture.safetensors", None, "is missing"),
        ("mixture.safetensors", b"PK", "no safetensors file"),
        ("mixture.npz", {"weights": np.ones(2)}, "no array 'means'"),
        ("mixture.npz", {"weights": np.ones(2), "means": np.ones(2), "covariances": np.ones(2)},
         "means_ has shape (2,)"),
        ("mixture.npz", {"weights": np.ones(1), "means": np.ones((1, 2)),
                         "covariances": -np.eye(2)[None]}, "holds no mixture"),
    ],
)  # fmt: skip
def test_a_damaged_mixture(cli: Cli, tmp_path: Path, name: str, change, words: str):
    summary = {"covariance": "full", "options": {"data": "digits"}}
    (tmp_path / "mixture.json").write_text(json.dumps(summary))
    if isinstance(change, bytes):
        (tmp_path / name).write_bytes(change)
    elif change is not None:
        np.savez(tmp_path / name, **change)
    is_mistake(cli("predict", tmp_path), str(tmp_path / name), words)


def test_a_mixture_is_no_model(cli: Cli, tmp_path: Path):
    (tmp_path / "mixture.json").write_text("{}")
    is_mistake(cli("evaluate", tmp_path, "--data", "digits"), "`pyvae predict")
    is_mistake(cli("sample", tmp_path), "`pyvae predict")


def _table(path: Path, columns: dict[str, np.ndarray], mark: str = "") -> Path:
    names = [*columns, *(["id"] if mark else [])]
    rows = zip(*columns.values(), strict=True)
    lines = [",".join([*(repr(float(v)) for v in row), *([mark] if mark else [])]) for row in rows]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")
    return path


def test_columns_are_found_by_their_names(cli: Cli, tmp_path: Path):
    """In any order, with others beside them; without names they are taken as they stand."""
    a, b, c = (clusters(60, d=3) * [1.0, 10.0, 100.0]).T
    own = _table(tmp_path / "own.csv", {"a": a, "b": b, "c": c})
    mixture = tmp_path / "mixture"
    assert cli("fit-mixture", own, "-k", "3", "--output", mixture).code == 0
    told = cli("predict", mixture).out
    assert len(set(np.loadtxt(io.StringIO(told), delimiter=",", skiprows=1)[:, 0])) > 1
    assert cli("predict", mixture, _table(tmp_path / "r.csv", {"c": c, "a": a, "b": b})).out == told
    beside = cli("predict", mixture, _table(tmp_path / "i.csv", {"b": b, "c": c, "a": a}, "q7"))
    assert beside.out == told
    assert "left out, as the model has none of that name: column 4 (id)" in beside.err
    np.savetxt(tmp_path / "plain.csv", np.c_[a, b, c], delimiter=",", fmt="%.17g")
    assert cli("predict", mixture, tmp_path / "plain.csv").out == told
    other = _table(tmp_path / "other.csv", {"p": a, "q": b, "r": c})
    is_mistake(cli("predict", mixture, other), "has no column a, b, c, which the model takes")
    assert cli("predict", mixture, other, "--columns", "p,q,r").out == told
    is_mistake(
        cli("predict", mixture, own, "--output", own, "--overwrite"), "holds the data; name another"
    )


def test_new_pixels_are_scaled_as_the_runs_were(cli: Cli, tmp_path: Path):
    """Whatever they tell of themselves: a few dark images go no further than 0.3."""
    pixels = np.random.default_rng(0).uniform(0, 255, (40, 8, 8)).astype(np.float32)
    pixels[30:] *= 0.3
    np.save(tmp_path / "all.npy", pixels)
    np.save(tmp_path / "dark.npy", pixels[30:])
    run = tmp_path / "run"
    short = ("--epochs", "1", "--pretrain-epochs", "1", "--no-pictures", "--hidden", "8", "--quiet")
    assert cli("train", "--data", tmp_path / "all.npy", *short, "--output", run).code == 0
    every = cli("predict", run).out.splitlines()
    assert cli("predict", run, tmp_path / "dark.npy").out.splitlines()[1:] == every[31:]
    np.save(tmp_path / "wrong.npy", -pixels)
    is_mistake(cli("predict", run, tmp_path / "wrong.npy"), "takes [0, 1]")
