# SPDX-License-Identifier: MIT
"""Results on disk, comparisons, targets, and the document."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import device, document, tables
from benchmarks import variants as v
from benchmarks.compare import compare, differences
from benchmarks.rates import COPY, FMA, SGEMM
from benchmarks.results import BOTH, FORWARD, CaseResult, Results, load
from benchmarks.targets import claims

from .conftest import figure, results_of

PNG = b"\x89PNG\r\n\x1a\n"


def test_results_return_from_disk(tmp_path: Path, results: Results) -> None:
    path = tmp_path / "new" / "folder" / "some.json"
    results.save(path)
    found = load(path)
    assert [case.key for case in found.cases] == [case.key for case in results.cases]
    assert found.cases[1] == results.cases[1]
    found.save(path)
    assert load(path) == found  # the first time rounds
    assert [p.name for p in path.parent.iterdir()] == ["some.json"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[1, 2]", "no results"),
        ('{"cases": []}', "no results"),
        ('{"schema": 999}', "schema 999"),
        ('{"schema": 1}', "damaged results"),
        ('{"schema": 1, "machine": {}, "software": {}, "threads": 2, "quick": false, '
         '"cases": [3]}', "damaged results"),
    ],
)  # fmt: skip
def test_bad_files(tmp_path: Path, content: str, words: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"bad.json: .*{words}"):
        load(path)


def test_binary_file(tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(PNG)
    with pytest.raises(ValueError, match="damaged"):
        load(path)


@pytest.mark.parametrize(
    ("harm", "value"),
    [("cases", None), ("machine", 3), ("machine", {}), ("software", {}), ("threads", "two")],
)
def test_damaged_parts(tmp_path: Path, results: Results, harm: str, value: Any) -> None:
    path = tmp_path / "bad.json"
    results.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), harm: value}))
    with pytest.raises(ValueError, match="damaged"):
        load(path)


def test_a_figure_of_nonsense(tmp_path: Path, results: Results) -> None:
    path = tmp_path / "bad.json"
    results.save(path)
    for nonsense in ('"median": "fast"', '"median": -1.0', '"median": NaN'):
        text = re.sub(r'"median": [^,]+', nonsense, path.read_text(), count=1)
        (tmp_path / "worse.json").write_text(text)
        with pytest.raises(ValueError, match="damaged"):
            load(tmp_path / "worse.json")


def test_newer_cases_take_the_place_of_older(results: Results) -> None:
    newer = results_of(
        CaseResult("mixture_posterior", {"n": 2, "k": 3, "d": 4}),
        replace(results.cases[0], figures={FORWARD: {v.PYVAE: figure(1)}}),
    )
    order = [("gaussian_kl", "65536x128"), ("mixture_posterior", "2x3x4")]
    merged = results.merged(newer, order)
    assert [case.key for case in merged.cases[:2]] == order
    assert len(merged.cases) == len(results.cases) + 1
    assert merged.cases[0].time(FORWARD, v.PYVAE) == 1e-3


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (figure(10), figure(10), "same"),
        (figure(10), figure(10.4), "same"),
        (figure(10), figure(11), "slower"),
        (figure(11), figure(10), "faster"),
        (figure(10, spread=0.3), figure(11), "same"),
        (figure(10), figure(11, spread=0.3), "same"),
        (figure(10, spread=0.3), figure(20, spread=0.3), "slower"),
    ],
)
def test_a_change_must_pass_the_noise(before: Any, after: Any, verdict: str) -> None:
    runs = [
        results_of(CaseResult("gaussian_kl", {"n": 2, "d": 3}, {FORWARD: {v.PYVAE: one}}))
        for one in (before, after)
    ]
    (change,) = compare(*runs)
    assert change.verdict == verdict
    assert change.size == "2x3"


def test_only_what_both_runs_hold_is_compared(results: Results) -> None:
    newer = results_of(*results.cases[:3], CaseResult("gaussian_kl", {"n": 9, "d": 9}))
    changes = compare(results, newer)
    assert {(c.op, c.direction) for c in changes} == {
        ("gaussian_kl", FORWARD), ("mixture_log_prob", FORWARD), ("mixture_log_prob", BOTH)
    }  # fmt: skip
    assert {c.variant for c in changes} == {v.PYVAE}


def test_other_conditions_are_told(results: Results) -> None:
    assert differences(results, results) == []
    other = replace(results, threads=1, software={**results.software, "torch": "2.10.0"})
    assert differences(other, results) == [
        "software torch: 2.10.0 before, 2.13.0 now",
        "run threads: 1 before, 2 now",
    ]


def test_targets_show_needed_and_measured(results: Results) -> None:
    rows = {(row[0], row[1], row[2], row[3]): row[4:] for row in
            tables.targets(results, claims()).rows}  # fmt: skip
    size = "16384, 512, 64"
    gemm = "speed beside compile, GEMM form"
    assert rows["mixture_log_prob", size, FORWARD, gemm] == ["≥ 4x", "4.5x", "met"]
    assert rows["mixture_log_prob", size, BOTH, gemm] == ["≥ 10x", "5x", "not met"]
    jax = rows["mixture_log_prob", size, FORWARD, "speed beside jax.jit, GEMM form"]
    assert jax == ["≥ 3x", "–", "jax.jit, GEMM form: jax is not installed"]
    own = "time beside its own forward pass"
    assert rows["mixture_log_prob", size, BOTH, own] == ["≤ 5x", "6x", "not met"]
    # 4 N K D operations in 10 ms, beside 2 x 4096^3 in 500 ms
    rate = "rate, 4NKD operations, beside sgemm"
    assert rows["mixture_log_prob", size, FORWARD, rate] == ["≥ 85 %", "78 %", "not met"]
    # 65536 x (4 x 128 + 1) floats in 6 ms, beside 2 x 256 MiB in 20 ms
    copy = rows["gaussian_kl", "65536, 128", FORWARD, "bytes a second beside a copy"]
    assert copy == ["≥ 90 %", "83 %", "not met"]
    growth = "time per N K D, largest beside smallest"
    assert rows["mixture_log_prob", "all sizes of growth", FORWARD, growth][1:] == ["1x", "met"]
    kl = rows["gaussian_kl_tril", "4096, 8", BOTH, "speed beside torch.distributions"]
    assert kl == ["≥ 8x", "–", "not in this build"]


def test_the_document(tmp_path: Path, results: Results) -> None:
    path = tmp_path / "docs" / "timings.md"
    written = document.write(results, path)
    text = path.read_text()
    assert written[0] == path
    assert {p.name for p in written[1:]} == {
        "mixtures.png", "divergences.png", "roofline.png", "growth.png"
    }  # fmt: skip
    for picture in written[1:]:
        assert picture.read_bytes().startswith(PNG)
        assert f"(timings/{picture.name})" in text
    assert "Some CPU (avx2, Linux x86_64), 2 threads" in text
    assert "| 16384, 512, 64 | forward | 10 ±1% | 45 (4.5x) | – | 500 |" in text
    assert "jax is not installed: 16384, 512, 64" in text
    assert "4096, 8: not in this build" in text
    assert str(tmp_path) not in text


def test_a_crowded_machine_is_told(results: Results) -> None:
    results.cases[0].others = 0.83
    assert tables.times(results, "gaussian_kl").notes == [
        "65536, 128: other processes kept 0.83 cores busy meanwhile; measure again"
    ]


def test_tables_of_the_document_are_whole(tmp_path: Path, results: Results) -> None:
    document.write(results, tmp_path / "x.md")
    for block in (tmp_path / "x.md").read_text().split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1, block


def test_the_document_of_a_gpu(tmp_path: Path) -> None:
    """Times as of a card of 2 TB/s and 50 TFLOP/s, on which the mixture takes twice the least."""
    size = {"n": 1_000_000, "k": 1024, "d": 128}
    rates = {
        COPY.name: figure(1e3 * 2 * 2**28 / 2e12),
        FMA.name: figure(1e3 * 2 * 2**22 * 1024 * 8 / 50e12),
        SGEMM.name: figure(1e3 * 2 * 4096**3 / 45e12),
    }
    ours = figure(1e3 * 2 * 4 * 1_000_000 * 1024 * 128 / 50e12)
    pair = {"n": 781250, "d": 128}
    moved = 4 * (4 * 781250 * 128 + 781250)
    fit = {v.PYVAE: figure(500)}
    results = results_of(
        CaseResult("gaussian_kl", pair, {FORWARD: {v.PYVAE: figure(1e3 * moved / 1e12), **rates}}),
        CaseResult("mixture_log_prob", size, {FORWARD: {v.PYVAE: ours, **rates}}),
        CaseResult("fit_full", {"n": 10**6, "k": 16, "d": 32, "i": 20}, {FORWARD: fit}),
    )
    results.machine.update(processor="Some GPU", device="cuda", instruction_set="sm_90")
    document.write(results, tmp_path / "gpu.md")
    text = (tmp_path / "gpu.md").read_text()
    assert "| mixture_log_prob | 1000000, 1024, 128 | arithmetic | 50 % |" in text
    assert "| gaussian_kl | 781250, 128 | memory | 50 % |" in text
    assert "copies move 2,000 GB/s, multiply-adds are 50 TFLOP/s, sgemm is 45 TFLOP/s" in text
    assert "rate, 4NKD operations, beside sgemm | ≥ 75 % | 56 % | not met |" in text
    assert "| fit_full | 1000000, 16, 32, 20 | forward | time | ≤ 0.3 s | 0.5 s | not met |" in text
    assert "torch's allocator" in text
    assert "8 GiB" in text


def test_a_document_of_nothing(tmp_path: Path) -> None:
    assert document.write(results_of(), tmp_path / "x.md") == [tmp_path / "x.md"]


def test_the_name_of_a_machine() -> None:
    facts = {"processor": "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz", "instruction_set": "avx512"}
    assert device.file_name(facts) == "intel-xeon-gold-6130-cpu-2-10ghz-avx512"


def test_nothing_tells_the_host_or_a_path() -> None:
    facts = json.dumps([device.machine(), device.software()])
    assert str(Path.home()) not in facts
    assert "/" not in facts
