# SPDX-License-Identifier: MIT
"""The estimators of mixtures of products: what they refuse, scikit-learn's checks, processes."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from pyvae.mixture import BernoulliMixture, CategoricalMixture, TableMixture
from tests.mixture.tables import K, fitted, table

WRONG = {
    "a half": (BernoulliMixture(2), [[0.5, 1.0], [0.0, 1.0]], "column 0 holds 0.5 in row 0"),
    "NaN": (BernoulliMixture(2), torch.tensor([[math.nan], [1.0]]), "column 0 holds nan in row 0"),
    "infinity": (TableMixture(1), torch.tensor([[1.0], [math.inf]]), "column 0 holds inf in row 1"),
    "no matrix": (TableMixture(1), torch.zeros(3), r"X has shape \(3,\)"),
    "few": (BernoulliMixture(4), [[0.0], [1.0]], "n_samples >= n_components"),
    "a prior": (BernoulliMixture(2, probability_prior=0.5), [[0.0], [1.0]], "'probability_prior'"),
    "none": (CategoricalMixture(0), [[0.0], [1.0]], "'n_components' parameter"),
    "constant": (TableMixture(1), [[3.0], [3.0]], "column 0 has one value in all rows"),
    "lists": (CategoricalMixture(1, categories=[[0]]), [[0, 1], [0, 0]], "has 1 lists, and X 2"),
    "another": (CategoricalMixture(1, categories=[[0]]), [[0], [1]], "column 0 holds 1 in row 1"),
    "a family": (TableMixture(1, columns={0: "poisson"}), [[0], [1]], "expected one of gaussian"),
    "a name": (TableMixture(1, columns={"a": "gaussian"}), [[0], [1]], "columns names 'a', and X"),
    "unseen": (
        BernoulliMixture(1, missing_values="marginalize"),
        [[1.0, math.nan], [0.0, math.nan]],
        r"nothing but NaN in column\(s\) 1",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused(case: str) -> None:
    mixture, x, message = WRONG[case]
    before = dict(vars(mixture))
    with pytest.raises(ValueError, match=message):
        mixture.fit(x)
    assert vars(mixture) == before
    with pytest.raises(NotFittedError):
        mixture.predict(x)


def test_fewer_points_with_a_weight_than_components() -> None:
    x = np.eye(4)
    mixture = BernoulliMixture(3, random_state=0).fit(x, sample_weight=[1.0, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(mixture.score_samples(x[:2]), np.log(0.5), atol=1e-3)


def test_attributes_set_by_hand() -> None:
    mixture = fitted(table())
    for name, value, message in (
        ("weights_", np.array([0.5, 0.5, 0.5]), "weights_ does not sum to one"),
        ("variances_", -mixture.variances_, "variances_ holds numbers that are not above zero"),
        ("means_", np.zeros((K, 3)), r"means_ has shape \(3, 3\); expected \(3, 2\)"),
        ("probabilities_", {}, r"probabilities_\[1\]"),
    ):
        other = pickle.loads(pickle.dumps(mixture))
        setattr(other, name, value)
        with pytest.raises(ValueError, match=message):
            other.predict(table())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning", "ignore::UserWarning")
@parametrize_with_checks(
    [
        BernoulliMixture(2, binarize=0.0, random_state=0),
        CategoricalMixture(missing_values="marginalize"),
        TableMixture(2, random_state=0, missing_values="marginalize"),
    ],
    expected_failed_checks=lambda estimator: {
        CategoricalMixture: {
            "check_sample_weight_equivalence_on_dense_data": "asks for categories of no weight"
        },
        TableMixture: {
            "check_sample_weight_equivalence_on_dense_data": "k-means++ draws other points"
        },
    }.get(type(estimator), {}),
)
def test_scikit_learns_own_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


PROGRAM = """
import sys
import numpy as np
import torch
import torch.distributed as dist
from pyvae.mixture import TableMixture

torch.set_num_threads(1)
dist.init_process_group("gloo")
rank = dist.get_rank()
x = np.load(sys.argv[1])[rank::2]
options = {"columns": {2: "categorical", 3: "categorical"}, "missing_values": "marginalize"}
mixture = TableMixture(3, random_state=rank, distributed=True, tol=1e-9, max_iter=2000, **options)
mixture.fit(x)
np.savez(f"{sys.argv[2]}/{rank}.npz", means=mixture.means_, weights=mixture.weights_,
         bounds=mixture.lower_bounds_)
x[:, 2][x[:, 2] == rank] = 2
try:
    mixture.fit(x)
except ValueError as error:
    assert "other families or categories than those of rank 0" in str(error)
    print("refused")
dist.destroy_process_group()
"""


def test_two_processes_fit_one_mixture(tmp_path: Path) -> None:
    x = table(missing=0.2)
    program, data = tmp_path / "program.py", tmp_path / "x.npy"
    program.write_text(PROGRAM)
    np.save(data, x)
    ran = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=0",
         "--standalone", str(program), str(data), str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert "refused" in ran.stdout, ran.stderr
    first, second = (dict(np.load(tmp_path / f"{rank}.npz")) for rank in range(2))
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
    alone = fitted(x)
    assert first["bounds"][-1] == pytest.approx(alone.lower_bound_, abs=1e-6)
