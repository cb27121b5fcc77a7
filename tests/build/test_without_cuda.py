# SPDX-License-Identifier: MIT
"""Where there are no CUDA kernels: why, said once to whoever calls an op with tensors on a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

from pyvae import ops
from pyvae.ops import _cuda, kl, statistics
from pyvae.ops.registration import REGISTERED

CUDA = torch._C.DispatchKeySet(torch._C.DispatchKey.CUDA)
needs_refusals = pytest.mark.skipif(_cuda.MISSING is None, reason="there are CUDA kernels")


def refused_by(kernel: torch._ops.OpOverload) -> str:
    """What the kernel says to tensors on a GPU. The dispatcher is told that these are."""
    arguments = [
        torch.zeros(2) if isinstance(argument.type, torch.TensorType) else 0
        for argument in kernel._schema.arguments
    ]
    with pytest.raises(RuntimeError) as caught:
        kernel.redispatch(CUDA, *arguments)
    return str(caught.value)


def test_the_library_was_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = {"cuda_missing": "it was built with PYVAE_CUDA=OFF"}
    monkeypatch.setattr(_cuda._C, "build_info", lambda: built)
    missing = _cuda.load(tmp_path / "libpyvae_cuda.so")
    assert missing is not None
    assert missing.startswith("(it was built with PYVAE_CUDA=OFF); install pyvae again")


def test_the_library_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cuda._C, "build_info", lambda: {"cuda_missing": ""})
    library = tmp_path / "libpyvae_cuda.so"
    assert f"({library} is not there)" in str(_cuda.load(library))


def test_torch_has_no_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    library = tmp_path / "libpyvae_cuda.so"
    library.touch()
    assert "is built without CUDA); install a torch with CUDA" in str(_cuda.load(library))


def test_the_library_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    library = tmp_path / "libpyvae_cuda.so"
    library.write_text("no library")
    missing = str(_cuda.load(library))
    assert missing.startswith("(libpyvae_cuda.so cannot be loaded: ")
    assert "PYVAE_CUDA=ON pip install ." in missing


def test_the_sentence() -> None:
    with FakeTensorMode():
        inputs = (torch.empty(3, device="cuda:0"), 7)
    assert _cuda.message("gaussian_kl", inputs, "(it has none); build them") == (
        "gaussian_kl: the tensors are on cuda:0, and this installation of pyvae has no CUDA "
        "kernels (it has none); build them, or move the tensors to the CPU with .cpu()"
    )


@needs_refusals
@pytest.mark.parametrize("line", ops.op_table(), ids=lambda line: line["name"])
def test_every_op_refuses(line: dict) -> None:
    names = [line["name"], *([f"{line['name']}_backward"] if line["differentiable"] else [])]
    for name in names:
        message = refused_by(getattr(torch.ops.pyvae, name).default)
        assert "has no CUDA kernels" in message
        assert message.startswith(f"{REGISTERED[line['name']].signature.name}: ")


@needs_refusals
def test_the_public_functions_pass_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_cuda(kernel: torch._ops.OpOverload):
        return lambda *tensors: kernel.redispatch(CUDA, *tensors)

    def refused(function, *tensors: Tensor) -> None:
        with pytest.raises(RuntimeError, match="no CUDA kernels"):
            function(*tensors)

    for op in (kl._gaussian_kl, statistics._statistics):
        monkeypatch.setattr(op, "kernel", on_cuda(op.kernel))
    x = torch.zeros(2, 3)
    refused(ops.gaussian_kl, x, x)
    refused(ops.gaussian_kl, x.clone().requires_grad_(), x)
    refused(ops.gaussian_kl, x.half(), x.half())
    refused(ops.mixture_statistics, x, torch.zeros(2), x, x)
