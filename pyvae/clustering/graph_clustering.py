# SPDX-License-Identifier: MIT
"""Clustering by a graph of nearest neighbours, as an estimator of scikit-learn's."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor, nn

from pyvae.clustering.bottleneck import Merge, merge
from pyvae.clustering.classifier import Classifier
from pyvae.clustering.classifying import Array, ClassifyingClustering
from pyvae.clustering.examples import Scaling
from pyvae.clustering.neighbor_graph import embedding, graph, joint_of_walk, parts
from pyvae.clustering.neighbors import nearest
from pyvae.clustering.networks import built_in
from pyvae.clustering.recipe import PRECISIONS, Examples, Recipe, takes_half
from pyvae.clustering.teaching import taught
from pyvae.clustering.views import Views, usual_views
from pyvae.progress import FitProgress

_OVER = 3  # clusters of the embedding for each that is asked for
_MERGE_STARTS = 5
_REFINING = 100  # steps, of images
_NEIGHBOR_SHARE = 0.5  # as InvariantClustering's


class NeighborGraphClustering(ClassifyingClustering):
    """Clusters that a walk from neighbour to neighbour seldom leaves, for some thousand examples.

    The graph of nearest neighbours is embedded by the leading eigenvectors of its Laplacian, and
    k-means there finds many clusters. These are merged to those asked for by the information
    bottleneck: so that the cluster of an example tells as much of that of its neighbour as it can,
    I(K; K'). Of several runs the best is kept, by what was maximised: that needs no labels.

    A network then learns the clusters from ``views`` of the examples, and goes on by the
    information that these share, as that of :class:`InvariantClustering` does, which needs more
    examples to begin from nothing. The network is what tells the clusters of new examples.

    Information is highest for clusters of one size: where they differ much, a large one is parted
    and small ones are joined. Longer walks do so less, and so does a ``balance`` below one.

    Parameters
    ----------
    n_clusters
        K.
    n_overclusters
        M, of k-means, in as many dimensions; None is three times K. There are no more than
        examples.
    n_neighbors
        Nearest neighbours of an example, in the leading 50 principal components; there are no more
        than other examples.
    walk_length
        Steps between J and J'.
    n_init
        Runs of k-means and of the bottleneck.
    balance
        b of what clusters are merged and refined by, I(K; K') + (b - 1) H(K); below one where some
        are rare. Where neighbours are often of another kind a low one joins what should be apart.
    views
        As :class:`InvariantClustering`'s.
    network
        A function of the number of clusters that gives a new module from examples to logits; None
        is a small convolutional network for images, two hidden layers for tables.
    n_steps, n_refining_steps, batch_size, learning_rate
        Of Adam, with a peak rate that is half as high while refining; None are 100 refining steps
        for images, and none for tables, of which noise knows little.
    precision, random_state, verbose, verbose_interval
        As :class:`InvariantClustering`'s.

    Attributes
    ----------
    labels_
        The cluster of every example by the network, ``(N,)``, as :meth:`predict` tells it.
    graph_labels_
        By the graph alone, which the network learnt from.
    information_
        I(K; K') of the graph's, in nats, at most log K: it compares runs on one graph.
    informations_
        That of every run.
    classifier_
        The clustering as a frozen module, from examples to ``predict_proba``.
    n_features_in_
        Numbers an example.

    References
    ----------
    Ng, Jordan & Weiss (2001), "On spectral clustering: analysis and an algorithm"; Tishby & Slonim
    (2000), "Data clustering by Markovian relaxation and the information bottleneck method".

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.RandomState(0).randn(150, 2) + np.repeat([[0, 0], [9, 0], [0, 9]], 50, 0)
    >>> found = NeighborGraphClustering(3, n_steps=40, n_refining_steps=0, random_state=0)
    >>> sorted(np.bincount(found.fit(x).labels_).tolist())
    [50, 50, 50]
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "n_overclusters": [Interval(Integral, 1, None, closed="left"), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "walk_length": [Interval(Integral, 1, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "balance": [Interval(Real, 0.0, None, closed="left")],
        "views": [StrOptions({"auto"}), callable],
        "network": [callable, None],
        "n_steps": [Interval(Integral, 0, None, closed="left")],
        "n_refining_steps": [Interval(Integral, 0, None, closed="left"), None],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "learning_rate": [Interval(Real, 0.0, None, closed="neither")],
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
        n_neighbors: int = 10,
        walk_length: int = 1,
        n_init: int = 10,
        balance: float = 1.0,
        views: str | Views = "auto",
        network: Callable[[int], nn.Module] | None = None,
        n_steps: int = 100,
        n_refining_steps: int | None = None,
        batch_size: int = 250,
        learning_rate: float = 2e-3,
        precision: str = "auto",
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        verbose_interval: int = 100,
    ) -> None:
        self.n_clusters = n_clusters
        self.n_overclusters = n_overclusters
        self.n_neighbors = n_neighbors
        self.walk_length = walk_length
        self.n_init = n_init
        self.balance = balance
        self.views = views
        self.network = network
        self.n_steps = n_steps
        self.n_refining_steps = n_refining_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.precision = precision
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def fit(self, X: Array, y: object = None) -> NeighborGraphClustering:
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
        examples = Examples(x, nearest(x, min(self.n_neighbors, len(x) - 1)))
        random = check_random_state(self.random_state)
        labels = self._by_graph(examples, random)
        network = self._taught(examples, labels, int(random.randint(2**31 - 1)))
        members = torch.eye(self.n_clusters, device=x.device)
        shape = tuple(given.shape[1:])
        self.classifier_ = Classifier(network, members, scaling, shape, self.information_)
        self.graph_labels_ = labels if isinstance(X, Tensor) else labels.cpu().numpy()
        self.labels_ = self.predict(X)
        return self

    def _by_graph(self, examples: Examples, random: np.random.RandomState) -> Tensor:
        """Find the clusters of the graph, ``(N,)``."""
        assert examples.neighbors is not None
        weights = graph(examples.neighbors.cpu().numpy())
        apart = parts(weights)
        if apart > self.n_clusters:
            warnings.warn(
                f"the graph of neighbours is in {apart} parts, of which nothing tells what belongs "
                f"together in n_clusters={self.n_clusters}: raise n_neighbors",
                stacklevel=3,
            )
        over = min(self._overclusters(_OVER), len(examples.x))
        rows = embedding(weights, over)
        runs = [self._run(weights, rows, over, random) for _ in range(self.n_init)]
        best, labels = max(runs, key=lambda each: each[0].objective)
        self.informations_ = [each.information for each, _ in runs]
        self.information_ = best.information
        self._warn_of_empty(best.into, self.balance)
        return torch.from_numpy(best.into[labels]).to(examples.x.device)

    def _run(
        self, weights: Any, rows: np.ndarray, over: int, random: np.random.RandomState
    ) -> tuple[Merge, np.ndarray]:
        with warnings.catch_warnings():
            # Separate parts are points of the embedding, and may be fewer than M.
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = KMeans(over, random_state=random).fit_predict(rows)
        joint = joint_of_walk(weights, labels, over, self.walk_length)
        return merge(joint, self.n_clusters, random, _MERGE_STARTS, self.balance), labels

    def _taught(self, examples: Examples, labels: Tensor, seed: int) -> nn.Module:
        """Train a network on the graph's clusters."""
        refining = self.n_refining_steps
        if refining is None:
            refining = _REFINING if examples.x.ndim == 4 else 0
        recipe = Recipe(
            n_clusters=self.n_clusters,
            n_overclusters=self.n_clusters,
            views=usual_views(examples.x) if isinstance(self.views, str) else self.views,
            neighbor_share=_NEIGHBOR_SHARE,
            n_steps=self.n_steps,
            n_refining_steps=refining,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            balance=float(self.balance),
            half=takes_half(self.precision, examples.x.device),
        )
        steps = self.n_steps + refining
        make = self.network or partial(built_in, tuple(examples.x.shape[1:]))
        with FitProgress(self.verbose, self.verbose_interval, steps, "network", "step") as progress:
            return taught(
                recipe, examples, labels, make, seed,
                (lambda step, name, nats: progress.told(step, [f"{name} {nats:.4f} nats"]))
                if self.verbose
                else None,
            )  # fmt: skip
