# SPDX-License-Identifier: MIT
"""The start of the mixture at clusters of the data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from pyvae.clustering import InvariantClustering, NeighborGraphClustering
from pyvae.clustering.classifying import ClassifyingClustering

if TYPE_CHECKING:
    from pyvae.settings import TrainerSettings
    from pyvae.training.batches import Batches

NAMED = {"invariant": InvariantClustering, "graph": NeighborGraphClustering}
CLUSTERS = "clusters"  # in a run's folder: what is kept of the search, and its result's file
_MOST_NUMBERS = 2**28  # of the examples that clusters are found in: a gibibyte


def find_clusters(
    settings: TrainerSettings,
    clusters: int,
    train: Batches,
    device: torch.device,
    told: Callable[[str], None],
) -> Any:
    """Return the estimator that the settings name or hold, fitted to the training data.

    Where the run has a folder, a search that was interrupted there goes on. ``told`` is told in
    words where not all of the data are looked at.
    """
    found = settings.initialization
    if isinstance(found, str):
        shown = settings.progress != "silent"
        found = NAMED[found](
            clusters, random_state=settings.seed, verbose=int(shown), verbose_interval=300
        )
    elif _is_fitted(found):
        return found
    x = _examples(train)
    if len(x) < len(train):
        told(f"clusters are looked for in {len(x):,} of the {len(train):,} examples")
    if not isinstance(found, ClassifyingClustering):
        return found.fit(x.flatten(1).cpu().numpy())  # rows, which it will be asked of
    if settings.output_dir is None or not isinstance(found, InvariantClustering):
        return found.fit(x.to(device))
    folder = Path(settings.output_dir).expanduser()
    found.fit(x.to(device), checkpoint=folder / CLUSTERS)
    found.save(folder / f"{CLUSTERS}.safetensors")
    return found


def _examples(train: Batches) -> Tensor:
    """Give the examples, as images if they are, spread evenly where all are too many to hold."""
    first = next(iter(train.at([0])))
    x = torch.cat(list(train.in_order(max(1, _MOST_NUMBERS // first.numel()))))
    return x if train.image_shape is None else x.reshape(len(x), *train.image_shape)


def _is_fitted(estimator: Any) -> bool:
    if not hasattr(estimator, "fit"):
        return True
    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError):
        return False
    return True
