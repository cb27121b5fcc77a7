# SPDX-License-Identifier: MIT
"""The picture of a fitted mixture, of whatever family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pyvae import plots
from pyvae.cli.mixture_columns import Column, columns_of, name_of
from pyvae.data.texts import written

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pyvae.cli.mixture_options import Family
    from pyvae.data import Data

_SAMPLES = 12  # images of a component


def complete_rows(data: Data) -> np.ndarray:
    """Tell which points have all of their coordinates: others have no place in a plane."""
    return np.asarray(np.isfinite(data.x.numpy()).all(axis=1))


def picture_of(family: Family, data: Data, mixture: Any, components: np.ndarray) -> Figure | None:
    """Draw points and their mixture, or the components' columns; None where no point is complete.

    ``components`` are of the points.
    """
    if not family.has_covariances:
        return _columns(data, mixture, components)
    seen = complete_rows(data)
    if not seen.any():
        return None
    x, more = data.x.numpy()[seen], {}
    if hasattr(mixture, "degrees_of_freedom_"):
        matrices, more = _scales(mixture), {"degrees_of_freedom": mixture.degrees_of_freedom_}
    else:
        matrices = mixture.covariance_matrices_
    if hasattr(mixture, "noise_weight_"):
        more = {"noise_density": mixture.noise_weight_ * math.exp(-mixture.noise_log_volume_)}
    return plots.mixture(
        x, components[seen], mixture.weights_, mixture.means_, matrices,
        feature_names=data.columns, **more,
    )  # fmt: skip


def _scales(mixture: Any) -> np.ndarray:
    """Give the scale matrices of Student t distributions, ``(K, D, D)``."""
    import torch

    from pyvae.mixture.covariance import moments_of

    kind = moments_of(mixture.covariance_type)
    return kind.matrices(torch.from_numpy(mixture.scales_), *mixture.means_.shape).numpy()


def _columns(data: Data, mixture: Any, components: np.ndarray) -> Figure:
    columns = columns_of(mixture)
    shares = np.bincount(components, minlength=len(mixture.weights_)) / len(components)
    if data.image_shape is not None and all(c.family == "bernoulli" for c in columns):
        ones = np.stack([column.values for column in columns], 1)
        random = np.random.default_rng(0)
        samples = random.random((len(ones), _SAMPLES, ones.shape[1])) < ones[:, None]
        return plots.component_samples(
            samples, data.image_shape, means=ones, shares=shares,
            title="Samples of every component", mean_name="probability of a one",
        )  # fmt: skip
    numbers = [at for at, column in enumerate(columns) if column.family == "gaussian"]
    names, probabilities = _probabilities(columns, data.columns)
    return plots.component_profiles(
        mixture.weights_,
        means=_standard(data, columns, numbers),
        mean_names=[name_of(data.columns, at) for at in numbers],
        probabilities=probabilities,
        probability_names=names,
    )


def _standard(data: Data, columns: Sequence[Column], numbers: list[int]) -> np.ndarray | None:
    """Give means in standard deviations of all data from their mean, ``(K, G)``."""
    if not numbers:
        return None
    x = data.x.numpy()[:, numbers].astype(np.float64)
    spread = np.nanstd(x, axis=0)
    means = np.stack([columns[at].values for at in numbers], 1)
    return (means - np.nanmean(x, axis=0)) / np.where(spread > 0, spread, 1.0)


def _probabilities(
    columns: Sequence[Column], names: Sequence[str] | None
) -> tuple[list[str], np.ndarray | None]:
    """Give probabilities of ones and of all categories side by side, with what each is of."""
    called: list[str] = []
    found: list[np.ndarray] = []
    for at, column in enumerate(columns):
        name = name_of(names, at)
        if column.family == "bernoulli":
            called.append(name)
            found.append(column.values[:, None])
        elif column.categories is not None:
            called += [f"{name}: {value}" for value in written(column.categories.tolist())]
            found.append(column.values)
    return called, np.concatenate(found, 1) if found else None
