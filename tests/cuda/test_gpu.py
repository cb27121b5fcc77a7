# SPDX-License-Identifier: MIT
"""What only a GPU can show: streams, graphs, its compiler, sizes past 2^31, half precision.

Values and gradients over the whole table are the op tests' business: a GPU is one of their devices.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from pyvae import ops
from tests.building import ROOT, run
from tests.ops import test_registration as registration
from tests.ops.case import as_tuple
from tests.ops.cases import DTYPES, TABLE, OpCase, each_case, each_dtype
from tests.ops.checks import gradients, upstream_of
from tests.ops.test_precision import each_half

MISSING = None if torch.cuda.is_available() else "torch finds no CUDA device"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(MISSING or ops.CUDA_MISSING), reason=str(MISSING or ops.CUDA_MISSING)),
    # Dynamo and Inductor warn about their own internals.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]
BATCH = {"n": 256, "k": 10, "d": 10}
LARGE = {"n": 3000, "k": 130, "d": 45}  # tiles for large problems, sums in parts
Inputs = dict[str, Tensor]


def moved(inputs: Inputs, device: str = "cuda") -> Inputs:
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def results_of(case: OpCase, inputs: Inputs) -> tuple[Tensor, ...]:
    """The op's results and, where it has them, its gradients."""
    outputs = as_tuple(case.op(**case.fixed, **inputs))
    if not case.differentiable:
        return outputs
    upstream = [torch.ones_like(output) for output in outputs]
    return *outputs, *gradients(lambda **i: called(case, i), inputs, upstream).values()


def called(case: OpCase, inputs: Inputs) -> tuple[Tensor, ...]:
    return as_tuple(case.op(**case.fixed, **inputs))


def assert_same_bits(got: tuple[Tensor, ...], want: tuple[Tensor, ...]) -> None:
    for index, (have, truth) in enumerate(zip(got, want, strict=True)):
        assert torch.equal(have, truth), index


each_op = pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)


def each_size(test: Callable) -> Callable:
    return pytest.mark.parametrize("size", [BATCH, LARGE], ids=lambda size: f"n{size['n']}")(test)


@each_size
@each_dtype
@each_op
def test_same_bits_twice(case: OpCase, dtype: torch.dtype, size: dict[str, int]) -> None:
    inputs = moved(case.draw(size, dtype))
    assert_same_bits(results_of(case, inputs), results_of(case, inputs))


@each_half
@each_case
def test_half_is_float32_rounded_once(case: OpCase, half: torch.dtype) -> None:
    inputs = moved(case.draw(BATCH, half))
    floats = {name: tensor.float() for name, tensor in inputs.items()}
    got, want = called(case, inputs), called(case, floats)
    assert_same_bits(got, tuple(tensor.to(half) for tensor in want))
    upstream = [tensor.cuda() for tensor in upstream_of(got)]
    have = gradients(lambda **i: called(case, i), inputs, upstream)
    truth = gradients(lambda **i: called(case, i), floats, [t.float() for t in upstream])
    for name, gradient in have.items():
        assert torch.equal(gradient, truth[name].to(half)), name


@pytest.mark.parametrize("dtype", DTYPES)
@registration.each_line
def test_opcheck(line: dict[str, Any], dtype: torch.dtype) -> None:
    forward = getattr(torch.ops.pyvae, line["name"]).default
    tensors = [t.cuda().requires_grad_() for t in registration._arguments(line, dtype)]
    torch.library.opcheck(forward, tuple(tensors), test_utils=registration.QUICK)
    if not line["differentiable"]:
        return
    backward = getattr(torch.ops.pyvae, f"{line['name']}_backward").default
    inputs = [t.detach().cuda() for t in registration._backward_inputs(line, tensors)]
    needs = (1 << len(tensors)) - 1
    torch.library.opcheck(backward, (*inputs, needs), test_utils=registration.QUICK)


def on_its_own_stream(case: OpCase, inputs: Inputs) -> tuple[Tensor, ...]:
    """Results of a stream whose inputs are written after a pause that no other stream takes."""
    stream, late = (
        torch.cuda.Stream(),
        {k: torch.full_like(v, torch.nan) for k, v in inputs.items()},
    )
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(50_000_000)
        for name, tensor in late.items():
            tensor.copy_(inputs[name])
        results = results_of(case, late)
    stream.synchronize()
    return results


@each_size
@each_op
def test_runs_on_the_current_stream(case: OpCase, size: dict[str, int]) -> None:
    inputs = moved(case.draw(size, torch.float32))
    assert_same_bits(on_its_own_stream(case, inputs), results_of(case, inputs))


@each_op
def test_two_streams_at_once(case: OpCase) -> None:
    streams = [torch.cuda.Stream() for _ in range(2)]
    drawn = [moved(case.draw(LARGE, torch.float32, seed=seed)) for seed in range(2)]
    want = [results_of(case, inputs) for inputs in drawn]
    torch.cuda.synchronize()
    got: list[list[tuple[Tensor, ...]]] = [[], []]
    for _ in range(5):
        for index, stream in enumerate(streams):
            with torch.cuda.stream(stream):
                got[index].append(results_of(case, drawn[index]))
    torch.cuda.synchronize()
    for index, repeated in enumerate(got):
        for results in repeated:
            assert_same_bits(results, want[index])


@each_size
@each_op
def test_inside_a_cuda_graph(case: OpCase, size: dict[str, int]) -> None:
    """Captured once, forward and backward, and replayed on other numbers in the same place."""
    first, second = (moved(case.draw(size, torch.float32, seed=seed)) for seed in range(2))
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):  # a capture must not be the first call
        results_of(case, first)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    held = {name: tensor.clone() for name, tensor in first.items()}
    with torch.cuda.graph(graph):
        captured = results_of(case, held)
    for inputs in (first, second, first):
        for name, tensor in held.items():
            tensor.copy_(inputs[name])
        graph.replay()
        torch.cuda.synchronize()
        assert_same_bits(captured, results_of(case, inputs))


@pytest.fixture
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


# Torch warns so while it sets its own graphs up.
@pytest.mark.filterwarnings("ignore:The CUDA Graph is empty:UserWarning")
@pytest.mark.usefixtures("_fresh_compiler")
@each_case
def test_reduce_overhead(case: OpCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch.compile with CUDA graphs: recorded on the second call, replayed on the others."""
    monkeypatch.setattr("torch._inductor.config.triton.cudagraph_or_error", True)
    compiled = torch.compile(lambda i: called(case, i), mode="reduce-overhead", fullgraph=True)
    for seed in range(4):
        inputs = moved(case.draw(BATCH, torch.float32, seed=seed))
        torch.compiler.cudagraph_mark_step_begin()
        leaves = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
        outputs = compiled(leaves)
        loss = torch.stack([output.sum() for output in outputs]).sum()
        got = [*outputs, *torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)]
        got = tuple(torch.zeros(()) if t is None else t.detach().clone() for t in got)
        want = results_of(case, moved(inputs))
        for have, truth in zip(got, want, strict=True):
            torch.testing.assert_close(have, truth.detach())


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one CUDA device")
@each_case
def test_tensors_on_another_device_than_the_current(case: OpCase) -> None:
    inputs = case.draw(BATCH, torch.float32)
    with torch.cuda.device(0):
        got = results_of(case, moved(inputs, "cuda:1"))
    assert all(tensor.device == torch.device("cuda:1") for tensor in got)
    assert_same_bits(tuple(t.to("cuda:0") for t in got), results_of(case, moved(inputs)))


def need_memory(gibibytes: float) -> None:
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    if free < gibibytes * 2**30:
        pytest.skip(f"takes {gibibytes} GiB of a GPU's memory; {free / 2**30:.0f} are free")


def last_rows(rows: int, width: int, count: int = 3) -> tuple[Tensor, Tensor]:
    """A tensor of zeros with other numbers in its last rows, and these rows."""
    numbers = torch.zeros(rows, width, device="cuda")
    generator = torch.Generator().manual_seed(0)
    tail = torch.randn(count, width, generator=generator).cuda()
    numbers[-count:] = tail
    return numbers, tail


ROWS = 2**26 + 5  # of 32 numbers or more: past 2^31


def test_a_divergence_of_more_than_two_to_the_31_numbers() -> None:
    need_memory(20)
    mean, tail = last_rows(ROWS, 33)
    one = torch.zeros(1, 1, device="cuda")
    others = (one.expand(ROWS, 33),) * 3
    want = ops.gaussian_kl(tail, *(tensor[:3] for tensor in others))
    got = ops.gaussian_kl(mean.requires_grad_(), *others)
    assert_same_bits((got[-3:], got[:3]), (want, torch.zeros_like(want)))
    (gradient,) = torch.autograd.grad(got, mean, torch.ones(1, device="cuda").expand(ROWS))
    assert torch.equal(gradient[-3:], tail)


def test_a_posterior_of_more_than_two_to_the_31_numbers() -> None:
    """The results are past it, in the large tiles' kernels."""
    need_memory(40)
    x, tail = last_rows(ROWS, 2)
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(33, 2, generator=generator).cuda()
    mixture = torch.zeros(33, device="cuda").log_softmax(0), means, torch.zeros_like(means)
    with torch.no_grad():
        got, want = ops.mixture_posterior(x, *mixture), ops.mixture_posterior(tail, *mixture)
    torch.testing.assert_close(got.log_posterior[-3:], want.log_posterior)
    torch.testing.assert_close(got.log_prob[-3:], want.log_prob)


def test_a_density_of_more_than_two_to_the_31_coordinates() -> None:
    need_memory(40)
    x, tail = last_rows(ROWS, 33)
    generator = torch.Generator().manual_seed(1)
    means = torch.randn(40, 33, generator=generator).cuda()
    mixture = torch.zeros(40, device="cuda").log_softmax(0), means, torch.zeros_like(means)
    want = torch.autograd.functional.vjp(
        lambda t: ops.mixture_log_prob(t, *mixture), tail, torch.ones(3, device="cuda")
    )
    got = ops.mixture_log_prob(x.requires_grad_(), *mixture)
    near = {"rtol": 1e-5, "atol": 5e-5}  # the tail alone is a problem of small tiles
    torch.testing.assert_close(got[-3:], want[0], **near)
    (gradient,) = torch.autograd.grad(got, x, torch.ones(1, device="cuda").expand(ROWS))
    torch.testing.assert_close(gradient[-3:], want[1], **near)


@pytest.mark.parametrize("size", [(70_000, 512, 64), (40_000, 300, 128), (30_000, 300, 190)])
def test_clusters_that_are_screened(size: tuple[int, int, int]) -> None:
    """Beside the kernels of doubles, which never are."""
    n, k, d = size
    generator = torch.Generator().manual_seed(0)
    means, spread = torch.randn(k, d, generator=generator), torch.randn(k, d, generator=generator)
    logvars, of = 0.2 * spread, torch.randint(k, (n,), generator=generator)
    noise = torch.randn(n, d, generator=generator)
    weights = torch.randn(k, generator=generator).log_softmax(0)
    inputs = means[of] + torch.exp(0.5 * logvars[of]) * noise, weights, means, logvars
    single = [tensor.cuda().requires_grad_() for tensor in inputs]
    double = [tensor.detach().double().requires_grad_() for tensor in single]
    got, want = ops.mixture_log_prob(*single), ops.mixture_log_prob(*double)
    torch.testing.assert_close(got.double(), want, rtol=2e-6, atol=2e-6)
    found = torch.autograd.grad(got.sum(), single)
    for have, truth in zip(found, torch.autograd.grad(want.sum(), double), strict=True):
        tolerance = 5e-5 * float(truth.abs().max())
        torch.testing.assert_close(have.double(), truth, rtol=0.0, atol=tolerance)
    with torch.no_grad():
        sums, exact = ops.mixture_statistics(*single), ops.mixture_statistics(*double)
        for have, truth in zip(sums, exact, strict=True):
            tolerance = 5e-5 * float(truth.abs().max())
            torch.testing.assert_close(have, truth, rtol=0.0, atol=tolerance)
        which = ops.mixture_predict(*single).component == ops.mixture_predict(*double).component
    assert which.float().mean() > 0.9999


# The op tests that each tool of compute-sanitizer watches; the second slows kernels a hundredfold.
# That cuBLAS asks the driver things which fail is no error of ours.
SIZES = f"{ROOT}/tests/ops/test_values.py::test_sizes"
WATCHED = dict.fromkeys(("memcheck", "racecheck"), (SIZES, "-k", "float32"))
OPTIONS = {"memcheck": ("--report-api-errors", "no"), "racecheck": ()}


@pytest.mark.parametrize("tool", WATCHED)
def test_compute_sanitizer(tool: str) -> None:
    """The op tests on the GPU, in a process of their own, under each of its tools."""
    program = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    if not shutil.which(program):
        pytest.skip("compute-sanitizer is not installed; it comes with the CUDA toolkit")
    done = run(
        *(program, "--tool", tool, *OPTIONS[tool], "--error-exitcode", "99"),
        *(sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:xdist", "--benchmark-disable"),
        *("-m", "gpu", *WATCHED[tool]),
        PYTORCH_NO_CUDA_MEMORY_CACHING="1",
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5000:]
    assert " passed" in done.stdout
