# SPDX-License-Identifier: MIT
"""Settings that every test shares."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

pytest.register_assert_rewrite("tests.ops.checks")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Let torch compute on one, in the fixtures of modules too.

    Tensors are small here, and the threads of several workers would only wait for one another.
    Tests about threads set their own number.
    """
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_start() -> Iterator[None]:
    """Each test starts from one seed and leaves torch's global settings as it found them."""
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)
