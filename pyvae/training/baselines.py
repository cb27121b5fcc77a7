# SPDX-License-Identifier: MIT
"""scikit-learn's clusterings of the same data, for comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Int
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.utils.data import Dataset

from pyvae.training.batches import Batches
from pyvae.training.metrics import clustering_metrics

if TYPE_CHECKING:
    from pyvae.data import Data

_STARTS = 10
# Operations of both fits for one number of one row and one component: a thousand from the ten
# starts of k-means, each of about fifty passes, and as many from EM.
_OPERATIONS = 2_000
_BESIDE = 10  # numbers more a row, for what does not grow with its length
_LEAST_WORK, _MOST_WORK = 2e9, 1.6e11  # operations; a second at most, and a quarter of a minute
# An operation of training is one of large matrix products: those of the fits take up to four times
# as long, and what else there is of training is a reserve.
_DEARER = 6


def baselines(
    source: Data | Tensor | Dataset,
    labels: Int[Tensor, "n"],
    num_components: int,
    seed: int = 0,
    *,
    examples: int | None = None,
    seen: Callable[[Tensor], Tensor] = lambda x: x,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, dict[str, float]]:
    """Return the clustering metrics of scikit-learn's k-means and GaussianMixture on data.

    Both are on as many threads as torch has. The mixture has diagonal
    covariances, since a full one is singular where features are constant.

    Parameters
    ----------
    source, labels, num_components, seed
        Data as :class:`~pyvae.training.batches.Batches` takes them, and labels ``(N,)``.
    examples
        How many, drawn at random, the two are fitted to; None is :func:`sample_size`. The metrics
        are of all of the data.
    seen
        Gives a batch in the units that both are to see it in.
    told
        Is told in words what comes next.
    """
    batches = Batches(source)
    if examples is None:
        examples = sample_size(batches, num_components)
    x = _array(_sample(batches, min(examples, len(batches)), seed), seen)
    rows = f"{len(batches):,} rows"
    if len(x) < len(batches):
        rows = f"{len(x):,} of {rows}"
    kmeans = KMeans(num_components, n_init=_STARTS, random_state=seed)  # type: ignore[arg-type]
    mixture = GaussianMixture(
        num_components, covariance_type="diag", reg_covar=1e-3, random_state=seed
    )
    found = {}
    with threadpool_limits(limits=torch.get_num_threads()):
        for name, title, estimator in (
            ("kmeans", "k-means", kmeans),
            ("gaussian_mixture", "GaussianMixture", mixture),
        ):
            told(f"scikit-learn's {title} on {rows}")
            estimator.fit(x)
            parts = [estimator.predict(_array(batch, seen)) for batch in batches.in_order()]
            found[name] = clustering_metrics(labels, torch.from_numpy(np.concatenate(parts)))
    return found


def sample_size(source: Batches, num_components: int, training: float | None = None) -> int:
    """Return how many examples the baselines are fitted to.

    All of them where that takes a quarter of a minute at most, and no longer than training did. It
    is told from sizes and not from a clock, so that it is the same at every call.

    Parameters
    ----------
    source, num_components
        The data, and K.
    training
        Operations that training took, if it is known: about six an example, an epoch and a
        parameter.
    """
    numbers = next(iter(source.in_order(1)))[0].numel()
    most = _MOST_WORK if training is None else min(_MOST_WORK, training / _DEARER)
    one = _OPERATIONS * num_components * (numbers + _BESIDE)
    count = max(int(max(most, _LEAST_WORK) / one), 10 * num_components)
    return min(_rounded(count), len(source))


def _rounded(count: int) -> int:
    """Round down to two digits, which are easier to read."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return count // unit * unit


def _sample(batches: Batches, count: int, seed: int) -> Tensor:
    """Return examples drawn at random, in the order of the data."""
    if count == len(batches):
        return torch.cat(list(batches.in_order()))
    order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(seed))
    picked = order[:count].sort().values.tolist()
    return torch.cat(list(batches.at(picked)))


def _array(x: Tensor, seen: Callable[[Tensor], Tensor]) -> np.ndarray:
    return seen(x.detach()).flatten(1).cpu().double().numpy()
