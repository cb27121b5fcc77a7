# SPDX-License-Identifier: MIT
"""scvi-tools' mixture priors from the ops: the same values, gradients and states."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

import pyvae

scvi: Any = pytest.importorskip("scvi")
base: Any = pytest.importorskip("scvi.module.base")
sysvi: Any = pytest.importorskip("scvi.external.sysvi._priors")

from pyvae.integrations.scvi import MogPrior, SysVIVampPrior, VampPrior, fuse_priors  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")  # they are scvi-tools' own
N, K, L, GENES = 12, 5, 3, 7


class Encoder(nn.Module):
    """Answers as SysVI's encoder does."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(GENES, 2 * L)

    def forward(self, x: Tensor, **covariates: Any) -> dict[str, Normal]:
        mean, raw = self.network(x).chunk(2, -1)
        return {"q_dist": Normal(mean, raw.exp())}


def mog() -> nn.Module:
    return base.MogPrior(K, L)


def biased() -> nn.Module:
    return base.MogPrior(K, L, celltype_bias=True)


def vamp() -> nn.Module:
    encoder = Encoder()

    def inference(x: Tensor, **covariates: Any) -> dict[str, Normal]:
        return {"qz": encoder(x)["q_dist"]}

    given = {"x": torch.rand(K, GENES), "batch_index": torch.zeros(K, 1), "cat_covs": None}
    return base.VampPrior(K, [2], inference, encoder, {**given, "cont_covs": None})


def vamp_of_sysvi() -> nn.Module:
    batch = torch.zeros(K, 1, dtype=torch.long)
    return sysvi.VampPrior(K, Encoder(), torch.rand(K, GENES), [2], batch, [])


FUSED = {mog: MogPrior, biased: MogPrior, vamp: VampPrior, vamp_of_sysvi: SysVIVampPrior}


def divergence(prior: nn.Module) -> list[Tensor]:
    """The divergence, and gradients of the posterior and of all parameters."""
    torch.manual_seed(0)
    mean, scale = torch.randn(N, L, requires_grad=True), torch.full((N, L), 0.7).requires_grad_()
    qz = Normal(mean, scale)
    kl = prior.kl(qz=qz, z=qz.rsample(), **labels(prior))
    inputs = [mean, scale, *(p for p in prior.parameters())]
    upstream = torch.linspace(0.5, 1.5, N)
    found = torch.autograd.grad(kl, inputs, upstream, allow_unused=True)
    return [kl.detach(), *(g for g in found if g is not None)]


def labels(prior: Any) -> dict[str, Tensor]:
    biased = getattr(prior, "celltype_bias", False)
    return {"labels": torch.arange(N)[:, None] % K} if biased else {}


@pytest.mark.parametrize("make", FUSED)
def test_a_prior_in_place_of_theirs(make: Any) -> None:
    prior = make()
    state = {name: value.clone() for name, value in prior.state_dict().items()}
    expected = divergence(prior)
    assert fuse_priors(prior) == 1
    assert type(prior) is FUSED[make]
    for found, theirs in zip(divergence(prior), expected, strict=True):
        torch.testing.assert_close(found, theirs, rtol=1e-4, atol=1e-5)
    prior.load_state_dict(state)


def test_a_module_without_one_is_told() -> None:
    with pytest.raises(ValueError, match=r"pyvae.patch_torch_distributions\(\)"):
        fuse_priors(nn.Linear(1, 1))


def cells() -> Any:
    anndata = pytest.importorskip("anndata")
    found = anndata.AnnData(np.random.default_rng(0).uniform(size=(64, GENES)).astype("f"))
    found.obs["batch"] = np.array(["a", "b"] * 32)
    found.layers["scaled"] = found.X
    return found


def losses(model: Any, steps: int = 3) -> list[float]:
    module = copy.deepcopy(model.module).train()
    batch = next(iter(model._make_data_loader(model.adata, batch_size=64)))
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    found = []
    torch.manual_seed(0)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = module(batch)[2].loss
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def test_sysvi_trains_alike() -> None:
    data = cells()
    scvi.external.SysVI.setup_anndata(data, batch_key="batch")
    model = scvi.external.SysVI(data, prior="vamp", n_prior_components=K, n_hidden=8, n_latent=L)
    expected = losses(model)
    assert fuse_priors(model.module) == 1
    assert losses(model) == pytest.approx(expected, rel=3e-5)


def test_cytovi_trains_alike_within_the_patch() -> None:
    """It writes torch's mixture itself."""
    data = cells()
    scvi.external.CYTOVI.setup_anndata(data, layer="scaled")
    model = scvi.external.CYTOVI(data, prior_mixture_k=K, n_hidden=8, n_latent=L)
    expected = losses(model)
    with pyvae.patch_torch_distributions():
        assert losses(model) == pytest.approx(expected, rel=3e-5)
