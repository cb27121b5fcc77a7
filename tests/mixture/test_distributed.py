# SPDX-License-Identifier: MIT
"""One fit over two real processes, started as torchrun starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pyvae.mixture import BayesianGaussianMixture, GaussianMixture, StudentTMixture
from tests.mixture.drawing import clusters, same_start

PROGRAM = """
import os, sys
import numpy as np
import torch
import torch.distributed as dist
from pyvae.mixture import BayesianGaussianMixture, GaussianMixture, StudentTMixture

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
given = np.load(sys.argv[1])
kind, mode = sys.argv[2:4]
x = given["x"][rank::2]
options = {"covariance_type": kind, "tol": 1e-5, "max_iter": 200, "distributed": True,
           "random_state": rank}
if kind == "low_rank":
    options |= {"rank": 2}
if mode == "same":
    options |= {name: given[name] for name in ("weights_init", "means_init", "precisions_init")}
if mode == "empty":
    means = given["means_init"].copy()
    means[1] = 1e6
    options |= {"means_init": means}
if mode == "dies" and rank == 1:
    x = x.copy()
    from pyvae.mixture import gaussian_em
    step, calls = gaussian_em.GaussianEM.e_step, []
    def e_step(self, data):
        calls.append(1)
        if len(calls) == 3:
            sys.exit("rank 1 falls over")
        return step(self, data)
    gaussian_em.GaussianEM.e_step = e_step
if mode == "narrow" and rank == 1:
    x = x[:, :2]
labels = None
if mode in ("labels", "elsewhere"):
    options |= {name: given[name] for name in ("weights_init", "means_init", "precisions_init")}
    labels = given["labels"][rank::2]
    if mode == "elsewhere" and rank == 0:
        labels = np.full(len(x), -1)
    student = StudentTMixture(3, degrees_of_freedom=5.0, **options).fit(x, labels=labels)
    np.savez(sys.argv[4] + f"/student-{rank}.npz", means=student.means_)
    options |= {"noise": "uniform"}
fitted = GaussianMixture(3, **options).fit(x, labels=labels)
np.savez(sys.argv[4] + f"/{rank}.npz", weights=fitted.weights_, means=fitted.means_,
         covariances=fitted.covariance_matrices_, bounds=fitted.lower_bounds_,
         iterations=fitted.n_iter_)
if mode == "own":
    fitted = BayesianGaussianMixture(3, **options).fit(x)
    np.savez(sys.argv[4] + f"/bayesian-{rank}.npz", means=fitted.means_,
             prior=fitted.covariance_prior_, bounds=fitted.lower_bounds_,
             evidence=fitted.evidence_lower_bound_)
dist.destroy_process_group()
"""


LABELS = np.where(np.arange(900) % 9 == 0, np.repeat([0, 1, 2], 300), -1)


def run(folder: Path, kind: str, mode: str) -> subprocess.CompletedProcess[str]:
    program, given = folder / "program.py", folder / "given.npz"
    program.write_text(PROGRAM)
    x = clusters()
    start = same_start(x, "full" if kind == "low_rank" else kind)
    start = {name: value for name, value in start.items() if name.endswith("_init")}
    np.savez(given, x=x, labels=LABELS, **start)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2",
                "--master-port=0", "--standalone"]  # fmt: skip
    return subprocess.run(
        [*torchrun, str(program), str(given), kind, mode, str(folder)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def results(folder: Path, of: str = "") -> list[dict[str, np.ndarray]]:
    return [dict(np.load(folder / f"{of}{rank}.npz")) for rank in range(2)]


@pytest.mark.parametrize("kind", ["full", "spherical"])
def test_two_ranks_give_the_parameters_of_one(kind: str, tmp_path: Path) -> None:
    done = run(tmp_path, kind, "same")
    assert done.returncode == 0, done.stderr
    alone = GaussianMixture(**same_start(clusters(), kind), tol=1e-5, max_iter=200).fit(clusters())
    for found in results(tmp_path):
        assert found["iterations"] == alone.n_iter_
        for name in ("weights", "means", "covariance_matrices"):
            got = found[name.replace("covariance_matrices", "covariances")]
            np.testing.assert_allclose(got, getattr(alone, f"{name}_"), rtol=1e-6, atol=1e-8)


def test_ranks_agree_on_a_start(tmp_path: Path) -> None:
    """Each would draw another one."""
    done = run(tmp_path, "full", "own")
    assert done.returncode == 0, done.stderr
    first, second = results(tmp_path)
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value)
    first, second = results(tmp_path, "bayesian-")
    alone = BayesianGaussianMixture(3, tol=1e-5, max_iter=200, random_state=0).fit(clusters())
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value)
    np.testing.assert_allclose(first["prior"], alone.covariance_prior_, rtol=1e-12)
    assert first["evidence"] == pytest.approx(alone.evidence_lower_bound_, abs=1e-3)
    order, same = alone.means_[:, 0].argsort(), first["means"][:, 0].argsort()
    np.testing.assert_allclose(first["means"][same], alone.means_[order], atol=1e-3)


def test_ranks_agree_on_factors(tmp_path: Path) -> None:
    """Whose sums are of another form than those of the others."""
    done = run(tmp_path, "low_rank", "factors")
    assert done.returncode == 0, done.stderr
    first, second = results(tmp_path)
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value)
    options = {"covariance_type": "low_rank", "rank": 2, "tol": 1e-5, "max_iter": 200}
    alone = GaussianMixture(3, **options, random_state=0).fit(clusters())
    assert first["bounds"][-1] == pytest.approx(alone.lower_bound_, abs=1e-2)


def test_ranks_agree_on_a_component_that_starts_again(tmp_path: Path) -> None:
    done = run(tmp_path, "full", "empty")
    assert done.returncode == 0, done.stderr
    assert "components [1] had lost their points" in done.stderr
    first, second = results(tmp_path)
    np.testing.assert_array_equal(second["means"], first["means"])
    assert first["weights"].min() > 0.01


def test_a_rank_that_dies(tmp_path: Path) -> None:
    done = run(tmp_path, "full", "dies")
    assert done.returncode != 0
    assert "rank 1 falls over" in done.stderr


def test_points_of_another_dimension(tmp_path: Path) -> None:
    done = run(tmp_path, "diag", "narrow")
    assert done.returncode != 0
    assert "rank 1: X has 2 coordinates, that of rank 0 4" in done.stderr


def test_no_process_group() -> None:
    with pytest.raises(RuntimeError, match="there is no process group; start the program with"):
        GaussianMixture(2, distributed=True).fit(torch.randn(10, 2))


def test_labels_noise_and_tails_over_two_ranks(tmp_path: Path) -> None:
    """The box, the labels and all sums are those of both."""
    done = run(tmp_path, "full", "labels")
    assert done.returncode == 0, done.stderr
    x = clusters()
    options = {**same_start(x, "full"), "tol": 1e-5, "max_iter": 200}
    alone = GaussianMixture(**options, noise="uniform").fit(x, labels=LABELS)
    student = StudentTMixture(degrees_of_freedom=5.0, **options).fit(x, labels=LABELS)
    for found, of_student in zip(results(tmp_path), results(tmp_path, "student-"), strict=True):
        np.testing.assert_allclose(found["weights"], alone.weights_, rtol=1e-7)
        np.testing.assert_allclose(found["means"], alone.means_, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(found["bounds"], alone.lower_bounds_, rtol=1e-9)
        np.testing.assert_allclose(of_student["means"], student.means_, rtol=1e-6, atol=1e-9)


def test_labels_that_the_first_rank_has_none_of(tmp_path: Path) -> None:
    done = run(tmp_path, "full", "elsewhere")
    assert done.returncode != 0
    assert "has no point labelled [0, 1, 2]" in done.stderr
