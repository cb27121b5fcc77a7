# SPDX-License-Identifier: MIT
"""A trained model in figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pyvae.data import Data
from pyvae.errors import WrongValue
from pyvae.models import GMVAE, LatentVariableModel
from pyvae.training.baselines import baselines, sample_size
from pyvae.training.batch_statistics import evaluating
from pyvae.training.batches import Batches
from pyvae.training.metrics import as_json, clustering_metrics
from pyvae.training.monitor import latent_figures, mean_bound


@torch.no_grad()
def evaluate(
    model: LatentVariableModel,
    data: Data | Tensor | Dataset,
    labels: Tensor | np.ndarray | Sequence[int] | Sequence[str] | None = None,
    *,
    num_samples: int = 128,
    likelihood_examples: int | None = 1000,
    compare: bool = True,
    compare_examples: int | None = None,
    seed: int = 0,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Return what a model makes of data, ready for JSON.

    Parameters
    ----------
    model, data
        The model, and what :meth:`pyvae.training.Trainer.fit` takes.
    labels
        ``(N,)``, integers from 0 on in a tensor, an array or a list, or names of classes; None
        takes those of a ``pyvae.data.Data`` that has any.
    num_samples
        Samples an example of the importance-weighted log-likelihood.
    likelihood_examples
        Examples, spread evenly, that it is averaged over; None takes all. It costs ``num_samples``
        times as much as the bound.
    compare
        Put scikit-learn's k-means and GaussianMixture on the same data beside a clustering; in
        standard units where the model standardises.
    compare_examples
        Examples, drawn at random, that those two are fitted to; None takes as many as take a
        quarter of a minute or so, told from the data's size.
    seed
        Of the noise and of the baselines. The global random numbers are left alone.
    told
        Is told in words what takes time.

    Returns
    -------
    ``examples``; ``bound`` and its parts in nats per example, and ``log_likelihood``;
    ``effective_components``, ``smallest_share``, ``posterior_entropy``, ``active_units``;
    ``information``, I(K; K') in nats of the clusters that the model began at, where they are of
    :mod:`pyvae.clustering`; and where there are labels and components,
    ``clustering`` and ``baselines``, each with ``clustering_accuracy``,
    ``normalized_mutual_information`` and ``adjusted_rand_index``, all over all examples;
    ``baseline_examples`` says how many the baselines were fitted to. A figure that is not finite is
    None.

    Raises
    ------
    ValueError
        If there is another number of labels than of examples, or the data do not fit the model.
    """
    batches = Batches(data)
    if labels is None and isinstance(data, Data):
        labels = data.labels
    if labels is not None and not isinstance(labels, Tensor):
        labels = _integers(np.asarray(labels))
    if labels is not None and labels.shape != (len(batches),):
        raise WrongValue(
            f"labels have shape {tuple(labels.shape)}; expected one for each of the "
            f"{len(batches)} examples"
        )
    device = model.like.device
    with evaluating(model):
        told(f"scoring the {type(model).__name__} on {len(batches):,} rows")
        figures: dict[str, Any] = {
            "examples": len(batches),
            **mean_bound(model, batches.in_order(), device, seed),
            **_log_likelihood(model, batches.in_order(likelihood_examples), num_samples, seed),
            **latent_figures(model, batches.in_order(), device),
        }
        information = getattr(getattr(model, "classifier", None), "information", None)
        if isinstance(information, Tensor):
            figures["information"] = float(information)
        if labels is not None and isinstance(model, GMVAE):
            clusters = torch.cat([model.predict(x.to(device)).cpu() for x in batches.in_order()])
            figures["clustering"] = clustering_metrics(labels, clusters)
            if compare:
                k = model.num_components
                count = compare_examples or sample_size(batches, k)
                figures["baseline_examples"] = min(count, len(batches))
                seen = partial(_as_seen_by, model)
                figures["baselines"] = baselines(
                    data, labels, k, seed, examples=count, seen=seen, told=told
                )
    return as_json(figures)


def _as_seen_by(model: LatentVariableModel, x: Tensor) -> Tensor:
    """Give data in the units of the model's networks."""
    units = model.standardization
    return x if units is None else units.standardized(x.to(model.like.device), torch.float64)


def _integers(labels: np.ndarray) -> Tensor:
    """Give labels as a tensor; names of classes get numbers, in their order."""
    if labels.dtype.kind in "OSU":
        labels = np.unique(labels.astype(str), return_inverse=True)[1].reshape(labels.shape)
    wanted = np.int64 if labels.dtype.kind in "biu" else np.float64
    return torch.from_numpy(np.array(labels, dtype=wanted))


def _log_likelihood(
    model: LatentVariableModel, batches: Any, num_samples: int, seed: int
) -> dict[str, Any]:
    device = model.like.device
    generator = torch.Generator(device).manual_seed(seed)
    values = [
        model.log_likelihood(x.to(device), num_samples, generator=generator).cpu() for x in batches
    ]
    estimates = torch.cat(values).double()
    return {
        "log_likelihood": float(estimates.mean()),
        "log_likelihood_samples": num_samples,
        "log_likelihood_examples": len(estimates),
    }
