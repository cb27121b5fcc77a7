# SPDX-License-Identifier: MIT
"""Which of several runs is kept."""

from __future__ import annotations

import numpy as np
import pytest

from pyvae.clustering.agreement import central
from pyvae.clustering.run import Restart

THIRDS = np.repeat([0, 1, 2], 20)
RENAMED = np.repeat([2, 0, 1], 20)  # the same clusters by other names
MISTAKEN = np.where(np.arange(60) < 8, 1, THIRDS)  # a group went into the wrong cluster


def runs(*informations: float) -> list[Restart]:
    return [Restart(0, 3.0, 2.2, nats, entropy=2.3, balance=1.0) for nats in informations]


def kept(informations: list[float], *clusters: np.ndarray) -> tuple[int, list[float | None]]:
    return central(runs(*informations), clusters.__getitem__)


def test_a_run_that_the_others_contradict_is_not_kept() -> None:
    """As little information more as that is chance."""
    number, agreements = kept([2.105, 2.1, 2.101], MISTAKEN, THIRDS, RENAMED)
    assert number == 2  # of the two that say the same the one of more information
    assert agreements[1] == agreements[2]
    assert agreements[0] < agreements[1] < 1.0  # type: ignore[operator]


def test_a_majority_of_less_information_is_not_asked() -> None:
    number, agreements = kept([2.1, 2.0, 2.0], MISTAKEN, THIRDS, THIRDS)
    assert number == 0
    assert agreements == [None, None, None]


def test_of_two_the_one_of_more_information_is_kept() -> None:
    number, agreements = kept([2.1, 2.101, 1.0], THIRDS, MISTAKEN, THIRDS)
    assert number == 1
    assert agreements[0] == agreements[1] == pytest.approx(0.765, abs=0.001)
    assert agreements[2] is None


def test_nothing_is_compared_of_one_run() -> None:
    assert central(runs(0.0), pytest.fail) == (0, [None])
    assert central(runs(1.0, 0.0), pytest.fail) == (0, [None, None])


def test_runs_that_clusters_are_cut_in_have_more_information_and_entropy() -> None:
    """The least of their balances weighs what they are compared by."""
    uncut = [Restart(0, 3.0, 2.0, 0.394, entropy, balance=0.5) for entropy in (0.395, 0.394)]
    cut = Restart(0, 3.0, 2.0, 0.443, entropy=0.949, balance=1.0)
    number, agreements = central([*uncut, cut], [THIRDS, RENAMED, MISTAKEN].__getitem__)
    assert number == 1
    assert agreements == [1.0, 1.0, None]


def test_runs_without_information_are_equal() -> None:
    """Whatever their rounding."""
    alike = np.zeros(5, int)
    assert kept([-1e-17, -1e-17], alike, alike) == (0, [1.0, 1.0])
