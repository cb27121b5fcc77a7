# SPDX-License-Identifier: MIT
"""``python -m benchmarks``: what it prints and writes, and which mistakes it names."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import cli as command_line
from benchmarks import command, runner, suite, timing
from benchmarks import variants as v
from benchmarks.cases import Case
from benchmarks.results import load
from tests.cli.conftest import Cli, Result

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run the command line in this process."""

    def call(*args: object) -> Result:
        capsys.readouterr()
        code = command_line.run([str(arg) for arg in args])
        return Result(code, *capsys.readouterr())

    return call


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite of three tiny cases without what compiles."""

    def cases(_: str) -> tuple[Case, ...]:
        found = [
            suite.case_of("gaussian_kl", {"n": 5, "d": 3}),
            suite.case_of("mixture_log_prob", {"n": 5, "k": 2, "d": 3}),
            suite.case_of("gaussian_kl_tril", {"n": 4, "d": 2}),
        ]
        return tuple(
            replace(case, variants=tuple(x for x in case.variants if not x.compiles))
            for case in found
        )

    monkeypatch.setattr(suite, "cases", cases)
    monkeypatch.setattr(command, "cases", cases)
    monkeypatch.setattr(runner, "QUICK", timing.Effort(seconds=0.0, turns=2))
    monkeypatch.setattr(timing, "_SPIN", 0.0)


def is_mistake(result: Result, *words: str) -> None:
    assert result.code == 2, result
    assert result.out == ""
    assert result.err.startswith("python -m benchmarks: error: ")
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err


@pytest.mark.usefixtures("tiny")
def test_measures_prints_and_writes(cli: Cli, tmp_path: Path):
    options = ("--quick", "--threads", 1, "--output", tmp_path, "--name", "mine")
    result = cli(*options, "--document", tmp_path / "docs" / "timings.md")
    assert result.code == 0, result.err
    assert "3/3 gaussian_kl_tril 4x2" in result.err
    for words in ("torch.distributions", "5, 2, 3", "scikit-learn", "4, 2"):
        assert words in result.out
    found = load(tmp_path / "mine.json")
    assert found.threads == 1
    assert found.quick
    assert [case.op for case in found.cases] == [
        "gaussian_kl", "mixture_log_prob", "gaussian_kl_tril"
    ]  # fmt: skip
    assert found.cases[1].time("forward + backward", v.PYVAE)
    assert (tmp_path / "docs" / "timings" / "mixtures.png").exists()


@pytest.mark.usefixtures("tiny")
def test_a_part_goes_into_the_whole(cli: Cli, tmp_path: Path):
    target = tmp_path / "all.json"
    options = ("--quick", "--threads", 1, "--output", target)
    assert cli(*options).code == 0
    before = load(target)
    assert cli(*options, "--only", "mixture_log_prob:5x2x3").code == 0
    after = load(target)
    assert [case.key for case in after.cases] == [case.key for case in before.cases]
    assert after.cases[0] == before.cases[0]
    assert after.cases[1] != before.cases[1]
    result = cli("--quick", "--threads", 2, "--output", target, "--only", "gaussian_kl")
    is_mistake(result, str(target), "other conditions", "--output")


@pytest.mark.usefixtures("tiny")
def test_a_look_writes_nothing(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert cli("--quick", "--threads", 1, "--only", "gaussian_kl").code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("tiny")
def test_reads_and_compares(cli: Cli, tmp_path: Path):
    target = tmp_path / "all.json"
    assert cli("--quick", "--threads", 1, "--output", target).code == 0
    is_mistake(cli("--from", target, "--only", "nope"), "--only", "'nope'")
    shown = cli("--from", target, "--only", "gaussian_kl")
    assert shown.code == 0, shown.err
    assert "mixture_log_prob" not in shown.out
    found = load(target)
    figures = found.cases[0].figures["forward"]
    old = figures[v.PYVAE]
    figures[v.PYVAE] = replace(
        old, median=old.median / 9, low=old.median / 9, high=old.median / 9 + 1e-9
    )
    found.save(tmp_path / "old.json")
    compared = cli("--from", target, "--compare", tmp_path / "old.json")
    assert compared.code == 0, compared.err
    assert "slower" in compared.out
    assert "not the same" not in compared.out


@pytest.mark.usefixtures("tiny")
def test_an_interrupted_run_keeps_what_it_measured(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    measure = runner.measure

    def interrupted(case: Case, settings: runner.Settings) -> runner.CaseResult:
        if case.op == "mixture_log_prob":
            raise KeyboardInterrupt
        return measure(case, settings)

    monkeypatch.setattr(runner, "measure", interrupted)
    result = cli("--quick", "--threads", 1, "--output", tmp_path / "x.json")
    assert result.code == 130
    assert str(tmp_path / "x.json") in result.err
    assert [case.op for case in load(tmp_path / "x.json").cases] == ["gaussian_kl"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--only", "gaussian"], ["--only", "'gaussian'", "gaussian_kl"]),
        (["--only", "gaussian_kl:7"], ["--only", "'7'", "4096x64"]),
        (["--threads", "0"], ["--threads"]),
        (["--from", "no.json"], ["no.json", "no such file"]),
        (["--from", "bad.json"], ["bad.json", "damaged"]),
        (["--from", "other.json"], ["other.json", "schema 0"]),
        (["--compare", "no.json"], ["no.json", "no such file"]),
        (["--compare", "bad.json"], ["bad.json", "damaged"]),
        (["--from", "bad.json", "--quick"], ["--from", "--quick"]),
        (["--from", "bad.json", "--threads", "2"], ["--from", "--threads"]),
        (["--document", "x.html"], ["--document", "x.html", ".md"]),
        (["--output", "bad.txt"], ["--output", "bad.txt", ".json"]),
        (["--only", "gaussian_kl", "--output", "bad.json"], ["bad.json", "damaged"]),
        (["--name", "a/b"], ["--name", "a/b"]),
    ],
)
def test_mistakes(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], words: list[str]
):
    monkeypatch.chdir(tmp_path)
    files = {"bad.json": "{", "other.json": '{"schema": 0}', "bad.txt": ""}
    for name, content in files.items():
        Path(name).write_text(content)
    is_mistake(cli(*args), *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files)


def test_a_gpu_that_is_not_there(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = cli("--device", "cuda", "--only", "gaussian_kl")
    assert result.code == 2
    assert "--device cuda: torch finds no CUDA device" in result.err


def test_a_gpu_that_pyvae_was_not_built_for(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("pyvae.ops.CUDA_MISSING", "(for a reason); try again")
    result = cli("--device", "cuda", "--only", "gaussian_kl")
    assert result.code == 2
    assert "--device cuda: pyvae has no CUDA kernels (for a reason); try again" in result.err


def test_help_does_not_import_torch() -> None:
    code = (
        "import sys; from benchmarks.cli import run; codes = [run(['--help']), run(['--x'])]; "
        "heavy = {'torch', 'numpy'} & set(sys.modules); sys.exit(f'{codes} {heavy}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == "[0, 2] set()"


def test_sizes_are_the_devices(cli: Cli) -> None:
    result = cli("--only", "mixture_log_prob:1000000x1024x128")
    assert result.code == 2
    assert "mixture_log_prob is not measured at '1000000x1024x128'" in result.err
