# SPDX-License-Identifier: MIT
"""Programs by torch.export, and by torch.jit.trace, for batches of any size."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export, load, save

import pyvae
from pyvae.inference import posterior_estimate, sleep_loss
from pyvae.models import GMVAE, VAE, Elbo, LatentVariableModel, VampPrior
from tests.models.builders import (
    OPTIONS,
    ImageDecoder,
    TupleEncoder,
    data,
    option_name,
    small_gmvae,
    small_vae,
)

each_way = pytest.mark.parametrize("strict", [False, True], ids=["traced", "strict"])


class Everything(nn.Module):
    """What a model in service answers, and what is at hand on the way."""

    def __init__(self, model: LatentVariableModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> dict[str, Any]:
        model = self.model
        mean, logvar = model.encode(x)
        found: dict[str, Any] = {
            "bound": model(x),
            "code": (mean, logvar),
            "picture": model.decode(mean),
        }
        if isinstance(model, GMVAE):
            found |= {"cluster": model.predict(x), "shares": model.predict_proba(x)}
        return found


class Estimates(Everything):
    """What samples many times, in pieces where that is not in a program."""

    def forward(self, x: Tensor) -> dict[str, Any]:
        model = self.model
        return {
            "log_likelihood": model.log_likelihood(x, num_samples=2),
            "posterior": posterior_estimate(model, x, num_samples=2),
            "sleep": sleep_loss(model, x.shape[0]),
        }


def exported(module: nn.Module, x: Tensor, strict: bool = False) -> ExportedProgram:
    return export(module, (x,), dynamic_shapes=({0: Dim("n")},), strict=strict)


def check_agreement(program: Any, module: nn.Module, *batches: Tensor) -> None:
    for x in batches:
        torch.manual_seed(len(x))
        expected = module(x)
        torch.manual_seed(len(x))
        torch.testing.assert_close(program(x), expected)


def any_sizes() -> list[Tensor]:
    return [data(n) for n in (9, 2, 1, 0)]


@pytest.mark.parametrize("options", [OPTIONS[14], OPTIONS[-9]], ids=option_name)
def test_every_gmvae(options: dict[str, Any]) -> None:
    module = Everything(small_gmvae(**options))
    check_agreement(exported(module, data(6)).module(), module, *any_sizes())


@each_way
def test_the_vae(strict: bool) -> None:
    module = Everything(small_vae(likelihood="gaussian", beta=4.0, num_samples=3))
    check_agreement(exported(module, data(6), strict).module(), module, *any_sizes())


def test_a_vamp_prior() -> None:
    module = Everything(small_vae(prior=VampPrior(data(3), learn_weights=True)))
    check_agreement(exported(module, data(6)).module(), module, *any_sizes())


def test_modules_of_ones_own() -> None:
    module = Everything(VAE(16, 2, encoder=TupleEncoder(), decoder=ImageDecoder())).eval()
    images = [torch.rand(n, 1, 4, 4) for n in (6, 9, 2)]
    check_agreement(exported(module, images[0]).module(), module, *images)


def test_estimates() -> None:
    module = Estimates(small_vae())
    check_agreement(exported(module, data(6)).module(), module, *any_sizes()[:3])


def written(program: ExportedProgram) -> ExportedProgram:
    buffer = io.BytesIO()
    save(program, buffer)
    buffer.seek(0)
    return load(buffer)


def test_a_program_goes_through_a_file() -> None:
    model = small_gmvae(learn_weights=True)
    again = written(exported(model, data(6))).module()
    assert isinstance(again(data(3)), Elbo)
    check_agreement(again, model, *any_sizes())


class Ops(nn.Module):
    """Every result of several tensors."""

    def forward(self, x: Tensor) -> tuple[Any, ...]:
        prior = (x.new_zeros(3), torch.eye(3, 5, dtype=x.dtype), x.new_zeros(3, 5))
        return (
            pyvae.mixture_posterior(x, *prior),
            pyvae.mixture_predict(x, *prior),
            pyvae.mixture_elbo_terms(x, *prior),
            pyvae.mixture_statistics(x, *prior),
            pyvae.gaussian_kl_pairwise(x, x, *prior[1:]),
        )


def test_results_of_the_ops_go_through_a_file() -> None:
    again = written(exported(Ops(), data(6))).module()
    check_agreement(again, Ops(), *any_sizes())
    assert [type(part) for part in again(data(2))] == [type(part) for part in Ops()(data(2))]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [small_vae, small_gmvae])
def test_traced_by_the_older_tracer(make: Any) -> None:
    module = Everything(make().requires_grad_(False))

    def parts(x: Tensor) -> tuple[Tensor, ...]:
        return tuple(torch.utils._pytree.tree_leaves(module(x)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(parts, (data(6),), check_trace=False)
    for x in (data(9), data(2)):
        torch.manual_seed(1)
        expected = parts(x)
        torch.manual_seed(1)
        torch.testing.assert_close(traced(x), expected)
