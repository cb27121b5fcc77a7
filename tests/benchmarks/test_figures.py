# SPDX-License-Identifier: MIT
"""The plots of the results: one mark for a peer, sizes with their names."""

from __future__ import annotations

from itertools import combinations

import pytest

from benchmarks import figures
from benchmarks import variants as v
from benchmarks.marks import marks
from benchmarks.results import BOTH, FORWARD, CaseResult

from .conftest import figure, results_of

PEERS = ("eager, GEMM form", "torch.distributions", "scikit-learn", "another library, its form")


def test_every_peer_has_a_mark_of_its_own() -> None:
    found = marks(["another library, its form", v.PYVAE])
    assert v.PYVAE not in found
    for (first, one), (second, other) in combinations(found.items(), 2):
        assert one != other, (first, second)
    assert {name: found[name] for name in marks([])} == marks([])  # others change none


@pytest.mark.parametrize("order", [1, -1])
def test_a_peer_keeps_its_mark_from_figure_to_figure(order: int) -> None:
    def case(op: str, *names: str) -> CaseResult:
        timed = {v.PYVAE: figure(1)} | {name: figure(3) for name in names[::order]}
        return CaseResult(op, {"n": 4096, "k": 64, "d": 16}, {FORWARD: timed, BOTH: timed})

    drawn = figures.draw(
        results_of(
            case("mixture_log_prob", *PEERS),
            case("mixture_log_prob_tril", *PEERS[1:]),
            case("gaussian_kl_pairwise", *PEERS[::2]),
        )
    )
    looks: dict[str, set] = {}
    for name in ("mixtures", "full", "divergences"):
        axes = drawn[name].axes[0]
        assert axes.get_yticklabels()[0].get_text().endswith("  N = 4096, K = 64, D = 16")
        for line in axes.lines:
            if line.get_label() in PEERS:
                looks.setdefault(line.get_label(), set()).add((line.get_marker(), line.get_color()))
    assert set(looks) == set(PEERS)
    assert [len(found) for found in looks.values()] == [1] * len(PEERS)
    assert len(set.union(*looks.values())) == len(PEERS)
