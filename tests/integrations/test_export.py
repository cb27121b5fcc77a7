# SPDX-License-Identifier: MIT
"""Programs in plain torch: every op has its decomposition, and they run without us."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, export, save

import pyvae
from pyvae.integrations.export import ANSWERS, decompositions, plain_program
from pyvae.models import GMVAE, LatentVariableModel
from pyvae.ops import op_table
from pyvae.ops.compiled import as_tuple
from pyvae.ops.registration import REGISTERED
from tests.models.builders import data, small_gmvae, small_vae

N, K, D = 6, 3, 2
SIZES = {"n": N, "k": K, "d": D}


def drawn(name: str, core: tuple[str, ...], dtype: torch.dtype) -> Tensor:
    """An argument of an op; alternatives such as ``d|1`` are the former."""
    shape = [SIZES[dim.partition("|")[0]] for dim in core]
    if "tril" in name:
        return torch.linalg.cholesky(torch.eye(D, dtype=dtype).expand(shape) * 2.0) + torch.rand(
            shape, dtype=dtype
        ).tril(-1)
    if name == "sample_weight":
        return torch.rand(shape, dtype=dtype)
    return 0.5 * torch.randn(shape, dtype=dtype)


def arguments(name: str, dtype: torch.dtype) -> list[Tensor]:
    line = next(line for line in op_table() if line["name"] == name)
    cores = line["signature"].partition("->")[0].strip("()").split("),(")
    return [
        drawn(argument, tuple(core.split(",")), dtype)
        for argument, core in zip(line["arguments"], cores, strict=True)
    ]


def plain(graph: torch.fx.GraphModule) -> bool:
    """Whether it calls none of our ops."""
    targets = [str(node.target) for node in graph.graph.nodes if node.op == "call_function"]
    return bool(targets) and not any("pyvae" in target for target in targets)


def test_every_op_has_a_decomposition() -> None:
    table = decompositions()
    names = {line["name"] for line in op_table()}
    assert set(REGISTERED) == names
    assert {kernel._opname for kernel in table} == names


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", REGISTERED)
def test_decomposed_ops(name: str, dtype: torch.dtype) -> None:
    op, table, tensors = REGISTERED[name], decompositions(), arguments(name, dtype)
    results, found = (as_tuple(f(*tensors)) for f in (op.kernel, table[op.kernel]))
    assert len(found) == len(results) == op.results
    check_equal(found[: op.returned], results[: op.returned])
    for ours, theirs in zip(found, results, strict=True):  # with what the backward kernel is handed
        assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)


def check_equal(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


class Ops(nn.Module):
    """Every public op of several results, on a mixture of the module's own."""

    def __init__(self) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.randn(K, D))
        self.factors = nn.Parameter(torch.eye(D).expand(K, D, D).clone())

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        prior = (x.new_zeros(K), self.means, x.new_zeros(K, D))
        full = (x.new_zeros(K), self.means, self.factors)
        return (
            *pyvae.mixture_posterior(x, *prior),
            *pyvae.mixture_posterior_tril(x, *full),
            *pyvae.mixture_predict(x, *prior),
            *pyvae.mixture_elbo_terms(x, *prior),
            *pyvae.mixture_statistics(x, *prior),
            *pyvae.mixture_statistics_tril(x, *full),
            pyvae.gaussian_kl_pairwise(x, x, *prior[1:]),
        )


def test_an_exported_module_of_ops() -> None:
    module = Ops()
    program = export(module, (torch.randn(4, D),), dynamic_shapes=({0: Dim("n")},))
    assert not plain(program.graph_module)
    program = program.run_decompositions(decompositions())
    assert plain(program.graph_module)
    for x in (torch.randn(9, D), torch.randn(2, D)):
        # Sums are float64, of numbers that are float32.
        torch.testing.assert_close(program.module()(x), module(x), rtol=1e-5, atol=1e-5)
    x = torch.randn(4, D)
    found, expected = (
        torch.autograd.grad(f(x)[0].sum(), f.get_parameter("means"))[0]
        for f in (program.module(), module)
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("answer", ["decode", "predict_proba"])
def test_answers_of_models(answer: str) -> None:
    model = small_gmvae(torch.float32, likelihood="gaussian", learn_weights=True)
    program = plain_program(model, answer, inputs(model, answer, 3))
    assert plain(program.graph_module)
    for n in (9, 1):
        x = inputs(model, answer, n)
        with torch.no_grad():
            torch.testing.assert_close(program.module()(x), getattr(model, answer)(x))


def inputs(model: LatentVariableModel, answer: str, n: int) -> Tensor:
    dtype = model.like.dtype
    return torch.randn(n, 2, dtype=dtype) if answer == "decode" else data(n, dtype)


# A finder that refuses the package, so that nothing of it may be behind what runs.
ALONE = """
import sys


class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "pyvae":
            raise ImportError(name)


sys.meta_path.insert(0, Refused())
import torch

torch.set_num_threads(1)
program = torch.export.load("program.pt2").module()
x, expected = torch.load("examples.pt")
torch.testing.assert_close(program(x), expected)
assert not hasattr(torch.ops.pyvae, "mixture_posterior")
assert not any(name.partition(".")[0] == "pyvae" for name in sys.modules)
print("ran")
"""


def test_a_program_runs_where_we_are_not(tmp_path: Path) -> None:
    model = small_gmvae(torch.float32)
    x = data(7, torch.float32)
    save(plain_program(model, "predict_proba", x[:2]), tmp_path / "program.pt2")
    torch.save((x, model.predict_proba(x)), tmp_path / "examples.pt")
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ALONE],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": ""}, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.stdout == "ran\n", ran.stderr


def test_what_cannot_be_exported_is_told() -> None:
    model = small_vae()
    with pytest.raises(ValueError, match=r"a VAE has encode, decode$"):
        plain_program(model, "predict", data(3))
    with pytest.raises(ValueError, match="the example has 1 rows"):
        plain_program(model, "encode", data(1))


def test_a_trained_model_goes_to_onnx(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from pyvae.integrations.onnx import save_onnx

    model = trained()
    for answer, names in ANSWERS.items():
        save_onnx(model, answer, inputs(model, answer, 2), tmp_path / "model.onnx")
        assert os.listdir(tmp_path) == ["model.onnx"]
        session = runtime.InferenceSession(tmp_path / "model.onnx")
        assert [output.name for output in session.get_outputs()] == list(names)
        for n in (1, 9):
            x = inputs(model, answer, n)
            found = session.run(None, {"w" if answer == "decode" else "x": x.numpy()})
            with torch.no_grad():
                expected = getattr(model, answer)(x)
            for ours, theirs in zip(found, torch.utils._pytree.tree_leaves(expected), strict=True):
                torch.testing.assert_close(torch.from_numpy(ours), theirs, rtol=1e-5, atol=1e-5)


def trained() -> GMVAE:
    model = small_gmvae(torch.float32)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        (-model.elbo(data(30, torch.float32)).total.mean()).backward()
        optimizer.step()
    return model
