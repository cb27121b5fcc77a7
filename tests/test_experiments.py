# SPDX-License-Identifier: MIT
"""The claims of docs/theory.md, on smaller runs of the experiments that show them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from experiments import beta, directions, em, forward_kl, gradients
from experiments.cli import OUTPUT, run
from experiments.command import NAMES
from pyvae.cli.fit_kl import APART, mixture
from pyvae.data import digits
from pyvae.inference import fit_gaussian

DOCS = Path(__file__).parent.parent / "docs"


def test_em_climbs_one_free_energy() -> None:
    free_energy, log_p = em.steps(em.points(), iterations=20).T
    assert (np.diff(free_energy) > -1e-12).all()
    np.testing.assert_allclose(free_energy[::2], log_p[::2], rtol=1e-12)
    assert (log_p[1:20:2] > free_energy[1:20:2] + 1e-6).all()


def test_an_exclusive_fit_covers_one_mode_and_an_inclusive_one_both() -> None:
    _, *target = APART
    for direction, least, most in (("exclusive", 0.4, 0.6), ("inclusive", 0.95, 1.0)):
        q = fit_gaussian(mixture(*target), direction).distribution
        ends = (q.mean - 2 * q.stddev).item(), (q.mean + 2 * q.stddev).item()
        assert least < directions.covered(target, *ends) < most


def test_the_gradient_reaches_the_encoder_through_the_sample_alone() -> None:
    x = digits().x[:64]
    model, _ = gradients.trained(gradients.reparameterised, x, epochs=0)
    norms = gradients.paths(model, x)
    assert norms["through w"] > 0.01
    assert norms["w taken as given"] == 0.0


def test_a_large_beta_makes_latents_less_dependent() -> None:
    x = digits().x[:600]
    small, large = (beta.measure(value, 0, x, epochs=30) for value in (1 / 16, 2.0))
    for name in ("mean", "largest", "aggregate", "gaussian"):
        assert large[name] < 0.7 * small[name], name


@pytest.mark.parametrize("rounded", [False, True])
def test_the_forward_kl_covers_what_the_bound_does_not(rounded: bool) -> None:
    by_bound = forward_kl.figures(forward_kl.trained("elbo", 8, rounded, steps=600))
    by_sleep = forward_kl.figures(forward_kl.trained("sleep", 1, rounded, steps=600))
    assert by_sleep["covered"] > 0.95
    assert by_sleep["inclusive"] < by_bound["inclusive"]
    assert by_sleep["bound"] < by_bound["bound"]  # it is no bound's optimum
    if not rounded:
        assert by_bound["covered"] < 0.6
        assert by_bound["missed"] == pytest.approx(-math.log(2.0), abs=0.1)
        assert abs(by_sleep["missed"]) < 0.2


def test_the_wake_phase_is_biased_to_its_proposal() -> None:
    biases = [forward_kl.bias(samples, repeats=4000) for samples in (1, 16, 256)]
    assert biases[0] == pytest.approx(1.0, abs=0.1)
    assert biases[0] > biases[1] > biases[2] > 0.0
    shares = [forward_kl.share_of_samples(d) for d in (1, 4, 16)]
    assert shares[0] > 5 * shares[1] > 25 * shares[2]


def test_an_experiment_is_drawn_and_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--only", "em", "--output", str(tmp_path), "--picture-format", "svg"]) == 0
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["em.svg"]  # and no document
    said = capsys.readouterr().out
    assert "![EM is coordinate ascent on one free energy](experiments/em.svg)" in said
    assert "| largest fall of F over a step | 0.0e+00 |" in said


def test_the_experiments_write_where_git_does_not_look() -> None:
    ignored = (DOCS.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert f"/{OUTPUT.split('/')[0]}/" in ignored
    assert "-m experiments --output docs\n" in (DOCS.parent / "Makefile").read_text()


def test_the_experiments_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(NAMES)
    assert listed[0].endswith("  EM is coordinate ascent on one free energy.")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "none"], f"--only: no experiment 'none'; there are {', '.join(NAMES)}"),
        (["--output", "a_file"], "--output: a_file is a file; name a folder"),
        (["em"], "see `python -m experiments --help`"),
        (["--picture-format", "gif"], "png"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a_file").write_text("")
    assert run(arguments) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]


@pytest.mark.parametrize("name", NAMES)
def test_the_document_has_every_experiment(name: str) -> None:
    assert (DOCS / "experiments" / f"{name}.png").is_file()
    assert f"(experiments/{name}.png)" in (DOCS / "experiments.md").read_text(encoding="utf-8")
