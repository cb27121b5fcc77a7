# SPDX-License-Identifier: MIT
"""Clustering by the mutual information between views, as an estimator of scikit-learn's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from pyvae.clustering.agreement import central, compared
from pyvae.clustering.checkpoint import Checkpoint, description, opened
from pyvae.clustering.classifier import Classifier
from pyvae.clustering.classifying import Array, ClassifyingClustering
from pyvae.clustering.examples import Scaling
from pyvae.clustering.neighbors import nearest
from pyvae.clustering.networks import built_in
from pyvae.clustering.recipe import (
    PRECISIONS,
    Examples,
    Recipe,
    members_of,
    probabilities,
    takes_half,
)
from pyvae.clustering.run import Run, run
from pyvae.clustering.saving import Found, read, write
from pyvae.clustering.views import Views, usual_views
from pyvae.errors import WrongValue
from pyvae.progress import FitProgress

_OVER = 5  # clusters of the network for each that is asked for


class InvariantClustering(ClassifyingClustering):
    """Clusters of what stays the same under small changes, found without labels.

    A network gives an example's probabilities of many clusters, and is trained so that two views of
    an example tell as much of each other's cluster as they can, I(J; J'). These are merged to those
    asked for by the information bottleneck, which keeps most of it, and training goes on with the
    merged ones. Of several runs that one is kept with which the others agree most, among those
    of about as much information: that needs no labels.

    Images ``(N, H, W)`` or ``(N, C, H, W)`` are warped, tables ``(N, D)`` are given noise, and
    nearest neighbours count as views of either. What ``views`` change cannot tell clusters apart:
    they are what is known of the data beforehand.

    Parameters
    ----------
    n_clusters
        K.
    n_overclusters
        M, of the network; None is five times K.
    views
        A function of examples and a ``torch.Generator``, such as :class:`ImageWarps` with other
        ranges; ``"auto"`` is ``ImageWarps()`` for images and ``TableNoise()`` for tables. Images
        come to it as ``(B, C, H, W)``, with pixels from 0, the smallest of all, to 1, the largest;
        tables are standardised.
    n_neighbors, neighbor_share
        Nearest neighbours of an example, and how often one of them stands in for its second view;
        0 neighbours are none, and there are no more than other examples. Among more than 100,000
        examples they are found approximately, on Linux, by ``pip install 'pyvae[neighbors]'``.
    network
        A function of the number of classes that gives a new module from examples to logits; None
        is a small convolutional network for images, two hidden layers for tables.
    n_steps, n_refining_steps, batch_size, learning_rate
        Of Adam, with a peak rate that is half as high while refining.
    balance
        b of what clusters are merged and refined by, I(K; K') + (b - 1) H(K). At one, a large
        cluster may be cut where a rare one could stand; near zero all is one cluster. None is one,
        unless views leave a merged cluster more often than 0.11; then the least of 0.5, 0.6 and so
        on to 0.9 by which the merge leaves none empty.
    n_init
        Runs. One may make a mistake that its information does not show, and three tell which.
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
        "balance": [Interval(Real, 0.0, None, closed="left"), None],
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
        balance: float | None = None,
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

    def fit(
        self, X: Array, y: object = None, *, checkpoint: str | Path | None = None
    ) -> InvariantClustering:
        """Find clusters.

        Parameters
        ----------
        X
            Images ``(N, H, W)`` or ``(N, C, H, W)``, or a table ``(N, D)``: an array, a frame, or a
            tensor, on whose device the network is trained. Or a map-style ``Dataset`` of such
            examples, or of tuples that begin with one; ``pyvae.data.Data`` of images are images.
        y
            Ignored.
        checkpoint
            A folder, made where it is missing, that keeps what was done: every run that has come to
            its end, and each minute the step of one that has not. The same fit with the same folder
            goes on there, to the same result. A network and views of your own are known by their
            names. Delete the folder when you need it no more.

        Raises
        ------
        ValueError
            If X is not finite, has another shape or fewer examples than clusters, a parameter
            is out of its range, or the checkpoint is of another fit or in use.
        """
        self._validate_params()
        given = self._given(X)
        scaling = Scaling.of(given)
        x = scaling(given)
        recipe = self._recipe(x)
        random = check_random_state(self.random_state)
        seeds = [int(random.randint(2**31 - 1)) for _ in range(self.n_init)]
        if checkpoint is None:
            runs = self._runs(recipe, x, seeds, None)
        else:
            fit = description(self.get_params(deep=False), given, recipe.half)
            drawn = self.random_state is None
            with opened(Path(checkpoint), fit, seeds, drawn) as kept:
                runs = self._runs(recipe, x, kept.seeds, kept)
        best, agreements = self._kept(runs, recipe, x)
        self.classifier_ = self._classifier(best, scaling, tuple(given.shape[1:]))
        self.information_, self.merges_ = best.restart.information, best.into
        self.restarts_ = [
            replace(each.restart, agreement=agreement)
            for each, agreement in zip(runs, agreements, strict=True)
        ]
        self.labels_ = self.predict(X)
        return self

    def save(self, path: str | Path) -> None:
        """Write the clustering and its parameters into the file ``path``, of safetensors.

        The file is replaced in one step. Of a network or views of your own the code is not saved:
        pass them to :meth:`load`.

        Raises
        ------
        TypeError
            If a network of your own keeps something other than tensors in its state, or
            ``random_state`` draws by another generator than numpy's usual one.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        labels: Any = self.labels_
        is_tensor = isinstance(labels, Tensor)
        write(Path(path), self.get_params(deep=False), Found(
            self.classifier_, labels if is_tensor else torch.from_numpy(labels), is_tensor,
            self.information_, self.restarts_, None if names is None else list(names),
        ))  # fmt: skip

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        views: Views | None = None,
        network: Callable[[int], nn.Module] | None = None,
    ) -> InvariantClustering:
        """Read what :meth:`save` wrote; nothing in the file is run.

        Parameters
        ----------
        path
            Of the file.
        views, network
            Those of the constructor, where it was given your own.

        Returns
        -------
        The estimator on the CPU; ``classifier_.to(device)`` is where its network computes.

        Raises
        ------
        FileNotFoundError
            If there is no file.
        ValueError
            If it is damaged or not of this library, or views or a network are missing, superfluous
            or of another architecture.
        """
        parameters, found = read(Path(path), views, network)
        loaded = cls(**parameters)
        try:
            loaded._set(found)
        except ValueError as error:
            raise WrongValue(f"{path}: {error}") from error
        return loaded

    def _recipe(self, x: Tensor) -> Recipe:
        over = self._overclusters(_OVER)
        views = usual_views(x) if isinstance(self.views, str) else self.views
        return Recipe(
            self.n_clusters, over, views, self.neighbor_share, self.n_steps,
            self.n_refining_steps, self.batch_size, self.learning_rate,
            None if self.balance is None else float(self.balance),
            takes_half(self.precision, x.device),
        )  # fmt: skip

    def _runs(
        self, recipe: Recipe, x: Tensor, seeds: list[int], kept: Checkpoint | None
    ) -> list[Run]:
        count = min(self.n_neighbors, len(x) - 1)
        neighbors = None
        if count > 0:
            find = partial(nearest, x, count)
            neighbors = find() if kept is None else kept.neighbors((len(x), count), find)
            neighbors = neighbors.to(x.device)
        examples = Examples(x, neighbors)
        return [self._run(recipe, examples, seed, i, kept) for i, seed in enumerate(seeds)]

    def _run(
        self, recipe: Recipe, examples: Examples, seed: int, number: int, kept: Checkpoint | None
    ) -> Run:
        make = self.network or partial(built_in, tuple(examples.x.shape[1:]))
        keeper = None if kept is None else kept.run(number, recipe)
        steps = recipe.n_steps + recipe.n_refining_steps
        name = f"run {number + 1} of {self.n_init}"
        with FitProgress(self.verbose, self.verbose_interval, steps, name, "step") as progress:

            def told(step: int, nats: float) -> None:
                progress.told(step, [f"I {nats:.4f} nats"])

            return run(recipe, examples, make, seed, told if self.verbose else None, keeper)

    def _kept(self, runs: list[Run], recipe: Recipe, x: Tensor) -> tuple[Run, list[float | None]]:
        some = x[compared(len(x))]

        def clusters(number: int) -> np.ndarray:
            members = members_of(torch.from_numpy(runs[number].into), self.n_clusters)
            network = runs[number].network
            found = probabilities(network, some, members.to(x.device), recipe.half)
            return found.argmax(1).cpu().numpy()

        best, agreements = central([each.restart for each in runs], clusters)
        return runs[best], agreements

    def _classifier(self, best: Run, scaling: Scaling, shape: tuple[int, ...]) -> Classifier:
        members = members_of(torch.from_numpy(best.into), self.n_clusters)
        self._warn_of_empty(best.into, self.balance)
        members = members.to(scaling.scale.device)
        return Classifier(best.network, members, scaling, shape, best.restart.information)

    def _set(self, found: Found) -> None:
        self._validate_params()
        self.classifier_ = found.classifier
        self.labels_ = found.labels if found.tensor else found.labels.numpy()
        self.information_, self.restarts_ = found.information, found.restarts
        self.merges_ = found.classifier.members.argmax(1).cpu().numpy()
        self.n_features_in_ = math.prod(found.classifier.shape)
        if found.feature_names is not None:
            self.feature_names_in_ = np.array(found.feature_names, dtype=object)
