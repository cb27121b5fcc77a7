# SPDX-License-Identifier: MIT
"""Clustering by the mutual information between views, as an estimator of scikit-learn's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from pyvae.clustering.classifier import Classifier
from pyvae.clustering.classifying import ClassifyingClustering
from pyvae.clustering.examples import Scaling
from pyvae.clustering.neighbors import nearest
from pyvae.clustering.networks import small_classifier
from pyvae.clustering.recipe import PRECISIONS, Examples, Recipe, Run, members_of, run, takes_half
from pyvae.clustering.views import Views, usual_views
from pyvae.progress import FitProgress

Array = Any  # whatever numpy takes as an array, or a torch tensor
_OVER = 5  # clusters of the network for each that is asked for


@dataclass(frozen=True)
class Restart:
    """How a run went.

    Attributes
    ----------
    seed
        Of the run.
    over_information, merged_information, information
        In nats: of the clusters before they were merged, right after it, and at the end.
    """

    seed: int
    over_information: float
    merged_information: float
    information: float


class InvariantClustering(ClassifyingClustering):
    """Clusters of what stays the same under small changes, found without labels.

    A network gives an example's probabilities of many clusters, and is trained so that two views of
    an example tell as much of each other's cluster as they can, I(J; J'). These are merged to those
    asked for by the information bottleneck, which keeps most of it, and training goes on with the
    merged ones. Of several runs the one of highest I(K; K') is kept: that needs no labels.

    Images ``(N, H, W)`` or ``(N, C, H, W)`` are warped, tables ``(N, D)`` are given noise, and
    nearest neighbours count as views of either. What ``views`` change cannot tell clusters apart:
    they are what is known of the data beforehand. Information is highest for clusters of one size.

    Parameters
    ----------
    n_clusters
        K.
    n_overclusters
        M, of the network; None is five times K.
    views
        A function of examples and a ``torch.Generator``, such as :class:`ImageWarps` with other
        ranges; ``"auto"`` is ``ImageWarps()`` for images and ``TableNoise()`` for tables. Images
        come to it as ``(B, C, H, W)``, divided by the largest pixel; tables are standardised.
    n_neighbors, neighbor_share
        Nearest neighbours of an example, and how often one of them stands in for its second view;
        0 neighbours are none, and there are no more than other examples.
    network
        A function of the number of classes that gives a new module from examples to logits; None
        is a small convolutional network for images, two hidden layers for tables.
    n_steps, n_refining_steps, batch_size, learning_rate
        Of Adam, with a peak rate that is half as high while refining.
    balance
        Weight of a marginal entropy: above one for clusters of more equal size.
    n_init
        Runs.
    precision
        ``"bfloat16"`` passes through the network, or ``"float32"``; ``"auto"`` is the former where
        the device is made for it.
    random_state, verbose, verbose_interval
        As scikit-learn's.

    Attributes
    ----------
    labels_
        The cluster of every example, ``(N,)``.
    information_
        I(K; K') in nats, at most log K: it compares runs on the same data with the same views.
    merges_
        The cluster that each of the M went into, ``(M,)``.
    restarts_
        How every run went, a list of :class:`Restart`.
    classifier_
        The clustering as a frozen module, from examples to ``predict_proba``.
    n_features_in_
        Numbers an example.

    References
    ----------
    Ji, Henriques & Vedaldi (2019), "Invariant information clustering"; Slonim, Friedman & Tishby
    (2002), "Unsupervised document classification using sequential information maximization".

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.RandomState(0).randn(150, 2) + np.repeat([[0, 0], [9, 0], [0, 9]], 50, 0)
    >>> found = InvariantClustering(3, n_steps=40, n_refining_steps=20, n_init=1, random_state=0)
    >>> sorted(np.bincount(found.fit(x).labels_).tolist())
    [50, 50, 50]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_overclusters": [Interval(Integral, 1, None, closed="left"), None],
        "views": [StrOptions({"auto"}), callable],
        "n_neighbors": [Interval(Integral, 0, None, closed="left")],
        "neighbor_share": [Interval(Real, 0.0, 1.0, closed="both")],
        "network": [callable, None],
        "n_steps": [Interval(Integral, 0, None, closed="left")],
        "n_refining_steps": [Interval(Integral, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0.0, None, closed="neither")],
        "balance": [Interval(Real, 0.0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "precision": [StrOptions(PRECISIONS)],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_overclusters: int | None = None,
        views: str | Views = "auto",
        n_neighbors: int = 5,
        neighbor_share: float = 0.5,
        network: Callable[[int], nn.Module] | None = None,
        n_steps: int = 1200,
        n_refining_steps: int = 600,
        batch_size: int = 500,
        learning_rate: float = 2e-3,
        balance: float = 1.0,
        n_init: int = 3,
        precision: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        verbose_interval: int = 100,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_overclusters = n_overclusters
        self.views = views
        self.n_neighbors = n_neighbors
        self.neighbor_share = neighbor_share
        self.network = network
        self.n_steps = n_steps
        self.n_refining_steps = n_refining_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.balance = balance
        self.n_init = n_init
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def fit(self, X: Array, y: object = None) -> InvariantClustering:
        """Find clusters.

        Parameters
        ----------
        X
            Images ``(N, H, W)`` or ``(N, C, H, W)``, or a table ``(N, D)``: an array, or a tensor,
            on whose device the network is trained.
        y
            Ignored.

        Raises
        ------
        ValueError
            If X is not finite, has another shape or fewer examples than clusters, or a parameter
            is out of its range.
        """
        self._validate_params()
        given = self._given(X)
        scaling = Scaling.of(given)
        x = scaling(given)
        recipe = self._recipe(x)
        count = min(self.n_neighbors, len(x) - 1)
        examples = Examples(x, nearest(x, count) if count > 0 else None)
        random = check_random_state(self.random_state)
        seeds = [int(random.randint(2**31 - 1)) for _ in range(self.n_init)]
        runs = [self._run(recipe, examples, seed, i) for i, seed in enumerate(seeds)]
        self._keep(seeds, runs, scaling, tuple(given.shape[1:]))
        self.labels_ = self.predict(X)
        return self

    def _recipe(self, x: Tensor) -> Recipe:
        over = self._overclusters(_OVER)
        views = usual_views(x) if isinstance(self.views, str) else self.views
        half = takes_half(self.precision, x.device)
        return Recipe(
            self.n_clusters, over, views, self.neighbor_share, self.n_steps,
            self.n_refining_steps, self.batch_size, self.learning_rate, self.balance, half,
        )  # fmt: skip

    def _run(self, recipe: Recipe, examples: Examples, seed: int, number: int) -> Run:
        steps = recipe.n_steps + recipe.n_refining_steps
        name = f"run {number + 1} of {self.n_init}"
        with FitProgress(self.verbose, self.verbose_interval, steps, name, "step") as progress:
            return run(
                recipe, examples, lambda classes: self._network(examples.x, classes), seed,
                (lambda step, nats: progress.told(step, [f"I {nats:.4f} nats"]))
                if self.verbose
                else None,
            )  # fmt: skip

    def _network(self, x: Tensor, classes: int) -> nn.Module:
        return small_classifier(x, classes) if self.network is None else self.network(classes)

    def _keep(
        self, seeds: list[int], runs: list[Run], scaling: Scaling, shape: tuple[int, ...]
    ) -> None:
        best = max(runs, key=lambda each: each.information)
        self.information_, self.merges_ = best.information, best.merge.into
        self.restarts_ = [
            Restart(seed, each.over_information, each.merge.information, each.information)
            for seed, each in zip(seeds, runs, strict=True)
        ]
        members = members_of(torch.from_numpy(self.merges_), self.n_clusters)
        device = scaling.scale.device
        self.classifier_ = Classifier(best.network, members.to(device), scaling, shape)
        if min(np.bincount(self.merges_, minlength=self.n_clusters)) == 0:
            warnings.warn("a cluster is empty: ask for fewer", stacklevel=3)
