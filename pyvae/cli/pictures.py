# SPDX-License-Identifier: MIT
"""The pictures of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pyvae import plots
from pyvae.cli.files import every_form, write_picture
from pyvae.clustering import Classifier
from pyvae.models import GMVAE

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from pyvae.data import Data
    from pyvae.models import LatentVariableModel

_BATCH = 4096
_RECONSTRUCTED = 24
_SAMPLES_A_COMPONENT = 12
_SAMPLES_OF_ONE = 64
_TYPICAL = 3  # images of a cluster that was merged
_MOST_CONTOURS = 64
_MOST_LABELS = 100


@torch.no_grad()
def draw(
    folder: Path,
    model: LatentVariableModel,
    data: Data,
    rows: list[dict[str, Any]],
    kind: str = "png",
) -> list[str]:
    """Draw all pictures that the model and the data allow, and return their names.

    Those of an earlier call in another format go: they would show an earlier model.
    """
    w, components = _encode(model, data)
    _, means, logvars = (part.double().numpy() for part in model.prior)
    # Of a prior with hundreds of components the contours only hide the points.
    contours = {"means": means, "logvars": logvars} if len(means) <= _MOST_CONTOURS else {}
    labels = None if data.labels is None else data.labels.numpy()
    if labels is not None and len(np.unique(labels)) > _MOST_LABELS:
        labels = None  # names of examples, as it seems, and no picture has room for them
    drawn: dict[str, Figure] = {}
    if rows:
        drawn["history"] = plots.history(rows)
    drawn["latent_space"] = plots.latent_space(w, components, labels, **contours)
    drawn["reconstructions"] = _reconstructions(model, data)
    drawn["component_samples"] = _samples(model, data, components)
    if components is not None and labels is not None:
        drawn["confusion"] = plots.confusion(
            components,
            labels,
            num_components=len(model.component_means),
            class_names=data.classes,
        )
    merges = _merges(model, data)
    if merges is not None:
        drawn["merges"] = merges
    for name, figure in drawn.items():
        for earlier in every_form(name):
            (folder / earlier).unlink(missing_ok=True)
        write_picture(folder / f"{name}.{kind}", figure)
    return [f"{name}.{kind}" for name in drawn]


def _encode(model: LatentVariableModel, data: Data) -> tuple[NDArray, NDArray | None]:
    """Return the means of q(w|x) and, where there are components, the predicted ones."""
    means, components = [], []
    for start in range(0, len(data), _BATCH):
        x = data.rows(slice(start, start + _BATCH))
        means.append(model.encode(x)[0].numpy())
        if isinstance(model, GMVAE):
            components.append(model.predict(x).numpy())
    return np.concatenate(means), np.concatenate(components) if components else None


def _merges(model: LatentVariableModel, data: Data) -> Figure | None:
    """Draw the most typical images of every cluster that was merged into a component's."""
    classifier = model.classifier if isinstance(model, GMVAE) else None
    if not isinstance(classifier, Classifier) or data.image_shape is None:
        return None
    if len(classifier.members) == classifier.num_clusters:
        return None  # none was merged
    parts = [slice(start, start + _BATCH) for start in range(0, len(data), _BATCH)]
    shares = torch.cat([classifier.overclusters(data.rows(part)) for part in parts])
    found = shares.argmax(1)
    held = torch.bincount(found, minlength=shares.shape[1])
    own = shares.where(torch.arange(shares.shape[1]) == found[:, None], -1.0)
    best = own.topk(min(_TYPICAL, len(data)), dim=0)
    picked = best.indices.T.numpy()  # (M, n)
    images = data.rows(picked.ravel()).numpy().reshape(*picked.shape, -1)
    images[best.values.T.numpy() < 0] = np.nan  # it holds fewer
    into = classifier.members.argmax(1).numpy()
    return plots.merges(images, into, data.image_shape, shares=(held / len(data)).numpy())


def _reconstructions(model: LatentVariableModel, data: Data) -> Figure:
    count = _RECONSTRUCTED if data.image_shape else 1000
    picked = np.unique(np.linspace(0, len(data) - 1, count).round().astype(int))
    x = data.rows(picked)
    pair = (x.numpy(), model.reconstruct(x).numpy())
    return plots.reconstructions(*pair, data.image_shape, feature_names=data.columns)


def _samples(model: LatentVariableModel, data: Data, components: NDArray | None) -> Figure:
    generator = torch.Generator().manual_seed(0)
    if components is None:
        samples = model.sample(_SAMPLES_OF_ONE, generator=generator)[None]
        return plots.component_samples(
            samples.numpy(), data.image_shape, feature_names=data.columns
        )
    total = len(model.component_means)
    samples = [model.sample(_SAMPLES_A_COMPONENT, k, generator) for k in range(total)]
    return plots.component_samples(
        torch.stack(samples).numpy(),
        data.image_shape,
        feature_names=data.columns,
        means=model.decode(model.component_means).numpy(),
        shares=np.bincount(components, minlength=total) / len(components),
    )
