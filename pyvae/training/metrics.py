# SPDX-License-Identifier: MIT
"""Figures that say how well a clustering fits labels, and whether a latent space has collapsed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import Tensor

from pyvae.errors import WrongValue

ACTIVE_VARIANCE = 0.01
"""Variance of the posterior mean above which a latent dimension counts as active."""


def clustering_accuracy(labels: Int[Tensor, "n"], clusters: Int[Tensor, "n"]) -> float:
    """Return the share of examples whose cluster is matched with their label.

    Clusters and labels are matched one to one so that the share is greatest (Hungarian method).
    With more clusters than labels, the clusters left over count as wrong.

    Examples
    --------
    >>> clustering_accuracy(torch.tensor([0, 0, 1, 1]), torch.tensor([5, 5, 5, 2]))
    0.75
    """
    y, c = _pair(labels, clusters)
    # By those that occur: a label may be any number, and a table of all up to it any size.
    (found, y), (also, c) = (np.unique(values, return_inverse=True) for values in (y, c))
    counts = np.zeros((len(also), len(found)), dtype=np.int64)
    np.add.at(counts, (c, y), 1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return float(counts[rows, columns].sum() / len(y))


def normalized_mutual_information(labels: Int[Tensor, "n"], clusters: Int[Tensor, "n"]) -> float:
    """Return the mutual information of labels and clusters over the mean of their entropies."""
    return float(normalized_mutual_info_score(*_pair(labels, clusters)))


def adjusted_rand_index(labels: Int[Tensor, "n"], clusters: Int[Tensor, "n"]) -> float:
    """Return the Rand index, shifted and scaled so that chance gives 0 and agreement 1."""
    return float(adjusted_rand_score(*_pair(labels, clusters)))


def clustering_metrics(labels: Int[Tensor, "n"], clusters: Int[Tensor, "n"]) -> dict[str, float]:
    """Return the three figures above by name."""
    return {
        "clustering_accuracy": clustering_accuracy(labels, clusters),
        "normalized_mutual_information": normalized_mutual_information(labels, clusters),
        "adjusted_rand_index": adjusted_rand_index(labels, clusters),
    }


def occupancy(responsibilities: Float[Tensor, "n k"]) -> dict[str, float]:
    """Return how the components of a mixture are used.

    ``effective_components`` is the exponential of the entropy of the mean responsibilities: K where
    all are used alike, 1 where one takes all. ``smallest_share`` is the least mean responsibility.
    ``posterior_entropy`` is the mean entropy of q(z | x) in nats: log K where nothing is decided.

    Examples
    --------
    >>> occupancy(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))["effective_components"]
    2.0
    """
    shares = responsibilities.double().mean(0)
    entropies = torch.special.entr(responsibilities.double()).sum(1)
    return {
        "effective_components": float(torch.special.entr(shares).sum().exp()),
        "smallest_share": float(shares.min()),
        "posterior_entropy": float(entropies.mean()),
    }


def active_units(means: Float[Tensor, "n l"]) -> int:
    """Return how many latent dimensions carry information.

    A dimension is active where the variance of the posterior mean over the data exceeds 0.01
    (Burda, Grosse & Salakhutdinov, 2016, section 3.2).
    """
    if len(means) < 2:
        return 0
    return int((means.double().var(0) > ACTIVE_VARIANCE).sum())


def _pair(labels: Tensor, clusters: Tensor) -> tuple[np.ndarray, np.ndarray]:
    if labels.shape != clusters.shape or labels.ndim != 1 or len(labels) == 0:
        raise WrongValue(
            f"labels have shape {tuple(labels.shape)} and clusters {tuple(clusters.shape)}; "
            "expected one of each per example, (N,) with N > 0"
        )
    for name, value in (("labels", labels), ("clusters", clusters)):
        if value.is_floating_point() or value.min() < 0:
            raise WrongValue(f"{name} must be integers from 0 on, got {value.dtype} and less")
    return labels.cpu().numpy(), clusters.cpu().numpy()


def as_json(figures: dict[str, Any]) -> dict[str, Any]:
    """Return figures with NaN and infinities as None: JSON has no spelling for them."""
    return {
        key: as_json(value)
        if isinstance(value, dict)
        else None
        if isinstance(value, float) and not np.isfinite(value)
        else value
        for key, value in figures.items()
    }
