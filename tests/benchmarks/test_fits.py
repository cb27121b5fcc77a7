# SPDX-License-Identifier: MIT
"""Whole fits, each beside its peers: the same model, from the start that the table names."""

from __future__ import annotations

import warnings
from dataclasses import replace
from importlib.util import find_spec

import pytest

from benchmarks import runner, suite, tables, timing
from benchmarks import variants as v
from benchmarks.fit_kinds import KINDS
from benchmarks.fit_points import CATEGORIES, UNKNOWN, families
from benchmarks.fits import FITS, Fit, fit
from benchmarks.results import FORWARD, CaseResult
from benchmarks.runner import Settings, measure

from .conftest import figure, results_of

QUICK = Settings(threads=1, quick=True)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "QUICK", timing.Effort(seconds=0.0, turns=2))
    monkeypatch.setattr(timing, "_SPIN", 0.0)


def reached(case: Fit) -> dict[str, float]:
    """The mean log-likelihood that each of the variants comes to that are installed."""
    inputs = case.draw()
    installed = [x for x in case.variants if x.package is None or find_spec(x.package)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of other libraries
        return {each.name: each.prepare(inputs, False)()[0] for each in installed}


def test_a_gpus_fits_are_pyvaes_alone() -> None:
    fits = [case for case in suite.cases("cuda") if case.op.startswith("fit_")]
    assert [case.label for case in fits] == [
        "2000000x32x64x20", "1000000x64x32x20", "1000000x16x32x20"
    ]  # fmt: skip
    for case in fits:
        assert [variant.name for variant in case.variants] == [v.PYVAE]
        small = replace(case, size={**case.size, "n": 300, "k": 3})
        assert measure(small, QUICK).figures[FORWARD][v.PYVAE].error < 1e-4


@pytest.mark.parametrize("kind", ["diag", "full", "bayesian_full"])
def test_fits_are_measured_beside_scikit_learns(kind: str) -> None:
    case = fit(f"fit_{kind}", {"n": 300, "k": 3, "d": 2, "i": 2})
    result = measure(case, QUICK)
    figures = result.figures[FORWARD]
    assert list(figures) == [v.PYVAE, "scikit-learn"]
    assert set(result.figures) == {FORWARD}
    for found in figures.values():
        assert found.skipped is None
        assert found.error is not None
    assert figures[v.PYVAE].error < 1e-4
    assert case.error([-11.0], [-10.0], False) == pytest.approx(0.1)
    assert case.error([-9.0], [-10.0], False) == 0.0


@pytest.mark.parametrize(("k", "peer"), [(1, "scikit-learn"), (3, "eager, textbook EM")])
def test_fits_of_factors_have_peers(k: int, peer: str) -> None:
    case = fit("fit_low_rank", {"n": 300, "k": k, "d": 6, "i": 10, "r": 2})
    figures = measure(case, QUICK).figures[FORWARD]
    assert list(figures) == [v.PYVAE, peer]
    assert figures[v.PYVAE].error < 1e-4
    assert figures[peer].error < 1e-2


@pytest.mark.parametrize("op", ["fit_student_t", "fit_noise", "fit_labelled"])
def test_em_of_the_papers_comes_to_the_same(op: str) -> None:
    """From one start, after as many iterations: the models and their updates are the same."""
    case = fit(op, {"n": 400, "k": 3, "d": 2, "i": 6})
    ours, textbook = (reached(case)[name] for name in (v.PYVAE, v.TEXTBOOK))
    assert textbook == pytest.approx(ours, rel=1e-5)


@pytest.mark.parametrize("op", ["fit_bernoulli", "fit_categorical", "fit_table"])
def test_peers_of_products_fit_the_same_model(op: str) -> None:
    """Of one component all starts are one; of several each finds an optimum of its own."""
    for k, apart in ((1, 1e-4), (3, 0.1)):
        found = reached(fit(op, {"n": 400, "k": k, "d": 6, "i": 4}))
        assert list(found.values()) == pytest.approx([found[v.PYVAE]] * len(found), rel=apart)


def test_a_fit_by_default_goes_on_until_it_has_converged() -> None:
    found = reached(fit("fit_default", {"n": 300, "k": 2, "d": 2}))
    assert found["scikit-learn"] == pytest.approx(found[v.PYVAE], abs=0.05)


@pytest.mark.parametrize(
    ("op", "package"),
    [
        ("fit_student_t", "studenttmixture"),
        ("fit_bernoulli", "stepmix"),
        ("fit_categorical", "stepmix"),
        ("fit_table", "stepmix"),
    ],
)
def test_a_library_that_is_missing_is_told(
    op: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v, "find_spec", lambda name: None)
    figures = measure(fit(op, {"n": 60, "k": 2, "d": 3, "i": 1}), QUICK).figures[FORWARD]
    skipped = {each.skipped for each in figures.values()}
    assert skipped == {None, f"{package} is not installed"}
    assert figures[v.PYVAE].error is not None


def test_points_are_of_their_kind() -> None:
    size = {"n": 200, "k": 3, "d": 7, "i": 1}
    drawn = {op: fit(op, size).draw() for op in FITS["cpu"]}
    assert {len(inputs["x"]) for inputs in drawn.values()} == {200}
    assert set(drawn["fit_bernoulli"]["x"].unique().tolist()) == {0.0, 1.0}
    codes = drawn["fit_categorical"]["x"].unique().tolist()
    assert codes == [float(code) for code in range(CATEGORIES)]
    assert families(7) == ["gaussian"] * 2 + ["bernoulli"] * 2 + ["categorical"] * 3
    assert set(drawn["fit_labelled"]["labels"].tolist()) == {UNKNOWN, 0, 1, 2}
    assert drawn["fit_noise"]["means"].shape == (3, 7)
    heavy, plain = (drawn[op]["x"].abs().max() for op in ("fit_student_t", "fit_full"))
    assert heavy > 1.5 * plain


@pytest.mark.parametrize("op", KINDS)
def test_a_table_names_the_start(op: str) -> None:
    case = CaseResult(op, {"n": 2, "k": 1, "d": 1}, {FORWARD: {v.PYVAE: figure(1)}})
    assert tables.times(results_of(case), op).notes == [f"start: {KINDS[op].start}"]
