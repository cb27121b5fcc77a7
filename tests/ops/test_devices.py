# SPDX-License-Identifier: MIT
"""A test that is marked so does run on every device."""

from __future__ import annotations

import pytest
import torch

from pyvae.ops import kl, mixture_tril, products
from tests.ops import devices


@pytest.mark.every_device
def test_the_ops_have_the_kernels_of_the_device(request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["device"]
    assert name == devices.current()
    diagonal, full = kl._gaussian_kl, mixture_tril._log_prob_tril
    namespace = torch.ops.pyvae_emulated if name == devices.EMULATED else torch.ops.pyvae
    assert diagonal.kernel is namespace.gaussian_kl.default
    assert diagonal.backward_kernel is namespace.gaussian_kl_backward.default
    if name == devices.PRODUCTS:
        assert full.kernel is products.mixture_log_prob_tril
        assert full.backward_kernel is products.mixture_log_prob_tril_backward
    else:
        assert full.kernel is namespace.mixture_log_prob_tril.default


def test_the_cpu_is_where_the_others_run() -> None:
    assert devices.current() == devices.CPU
    assert kl._gaussian_kl.kernel is torch.ops.pyvae.gaussian_kl.default
