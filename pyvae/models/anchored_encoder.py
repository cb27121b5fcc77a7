# SPDX-License-Identifier: MIT
"""An encoder that stands at its example's component from the start."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pyvae.errors import WrongType, WrongValue
from pyvae.models.mlp import MLP

SEPARATION = 8.0  # of an anchor from the origin; two are 8 sqrt(2) apart


class AnchoredEncoder(nn.Module):
    """q(w | x) around the anchor of the cluster that a classifier finds for x.

    With e(x) the indicator of the most probable cluster, and A the anchors,

        mean(x) = e(x) A + delta(x, e(x)),   logvar(x) = v(x, e(x));

    A, delta and v are trained, the classifier is not. The generative model and the bound are those
    of any encoder. With the model's components at the same anchors (:meth:`GMVAE.set_mixture`) an
    example begins at its component, and the exact posterior q(z | w) with it.

    Parameters
    ----------
    classifier
        A module from examples to probabilities ``(N, K)``, such as ``classifier_`` of a
        :class:`pyvae.clustering.InvariantClustering`. It is frozen and stays in eval mode.
    num_features
        Numbers an example.
    num_components
        K.
    latent_dim
        L, of w.
    hidden
        Widths of the hidden layers of delta and v.
    separation
        s: anchors are s sqrt(2) apart or more.
    network
        Of delta and v: from a flattened example and the indicator behind it,
        ``(N, num_features + K)``, to ``(N, 2 latent_dim)``; None is an MLP.

    Examples
    --------
    >>> import torch
    >>> from pyvae.models import GMVAE
    >>> nearest = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Softmax(1))
    >>> encoder = AnchoredEncoder(nearest, 4, 3, latent_dim=2)
    >>> model = GMVAE(4, 2, num_components=3, encoder=encoder, likelihood="bernoulli")
    >>> model.set_mixture(None, encoder.anchors.detach(), torch.zeros(3, 1))
    >>> x = torch.rand(5, 4)
    >>> torch.equal(model.predict(x), nearest(x).argmax(1))
    True
    """

    def __init__(
        self,
        classifier: nn.Module,
        num_features: int,
        num_components: int,
        latent_dim: int,
        hidden: Sequence[int] = (256, 256),
        separation: float = SEPARATION,
        network: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.classifier = classifier.requires_grad_(False).eval()
        self.anchors = nn.Parameter(anchors(num_components, latent_dim, separation))
        if network is None:
            network = MLP(num_features + num_components, hidden, 2 * latent_dim)
        self.network = network

    def forward(self, x: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map ``(N, ...)`` to mean and log-variance, ``(N, latent_dim)`` each.

        ``given`` is what the classifier sees, where that is not ``x``: a model that standardises
        its data has them in their own units for it.
        """
        with torch.no_grad():
            shares = self.classifier(x if given is None else given)
        if shares.shape != (len(x), len(self.anchors)):
            raise WrongValue(
                f"the classifier gives {tuple(shares.shape)} for {len(x)} examples; expected "
                f"({len(x)}, {len(self.anchors)}): a probability of each component"
            )
        cluster = shares.argmax(1)
        indicator = nn.functional.one_hot(cluster, len(self.anchors)).to(x.dtype)
        found = self.network(torch.cat([x.flatten(1), indicator], 1))
        delta, logvar = found.chunk(2, 1)
        return self.anchors[cluster] + delta, logvar

    def train(self, mode: bool = True) -> AnchoredEncoder:
        """Train all but the classifier."""
        super().train(mode)
        self.classifier.eval()
        return self


class EstimatorClassifier(nn.Module):
    """Probabilities of clusters by a fitted estimator of scikit-learn's conventions.

    Parameters
    ----------
    estimator
        Has ``predict_proba`` of rows, ``(N, D)``.
    """

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        self.estimator = estimator

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, ...)`` to probabilities ``(N, K)``."""
        found = self.estimator.predict_proba(x.detach().flatten(1).cpu().numpy())
        return torch.as_tensor(found, device=x.device)

    def clusters_among(self, num_features: int) -> int:
        """Return K, as the estimator tells it of a row of so many numbers.

        Raises
        ------
        ValueError
            If it is not fitted, or to rows of another length.
        """
        try:
            with torch.device("cpu"):  # also where a model is built without numbers
                return np.shape(self.estimator.predict_proba(np.zeros((1, num_features))))[-1]
        except ValueError as error:
            raise WrongValue(
                f"classifier cannot be asked of {num_features} features: {error}; fit it to rows "
                f"(N, {num_features}) first"
            ) from error


def as_classifier(given: Any) -> nn.Module:
    """Return the module that gives an example's clusters.

    Parameters
    ----------
    given
        A module from examples to probabilities ``(N, K)``; a clustering that has one as
        ``classifier_``; any other fitted estimator with ``predict_proba``; or the ``config`` of a
        built-in classifier, which is built untrained.

    Raises
    ------
    TypeError
        If it is something else.
    ValueError
        If a config is of something else.
    """
    if isinstance(given, Mapping):
        from pyvae.clustering.classifier import Classifier  # brings scikit-learn, which few need

        return Classifier.from_config(dict(given))
    found = getattr(given, "classifier_", given)
    if isinstance(found, nn.Module):
        return found if found is given else copy.deepcopy(found)
    if not isinstance(given, type) and callable(getattr(given, "predict_proba", None)):
        return EstimatorClassifier(given)
    advice = "; pass an instance, not the class" if isinstance(given, type) else ""
    raise WrongType(
        f"classifier must be a module, a fitted estimator with predict_proba, or None, got "
        f"{given!r}{advice}"
    )


def built_in_config(classifier: nn.Module) -> dict[str, Any] | None:
    """Return what builds a classifier again, ready for JSON; None where its code is not ours."""
    from pyvae.clustering.classifier import Classifier

    found = classifier.config if isinstance(classifier, Classifier) else {"network": None}
    return found if found["network"] is not None else None


def check_sizes(classifier: nn.Module, num_features: int, num_components: int) -> None:
    """Refuse a classifier of other examples, or of another number of clusters.

    What a module of the user's own takes and gives is seen where it is asked.

    Raises
    ------
    ValueError
        If it is one.
    """
    from pyvae.clustering.classifier import Classifier

    if isinstance(classifier, Classifier):
        features, clusters = math.prod(classifier.shape), classifier.num_clusters
    elif isinstance(classifier, EstimatorClassifier):
        features, clusters = num_features, classifier.clusters_among(num_features)
    else:
        return
    if features != num_features:
        raise WrongValue(
            f"the classifier is of examples of {features} numbers, and the model has "
            f"input_dim={num_features}; they must be equal"
        )
    if clusters != num_components:
        raise WrongValue(
            f"the classifier gives {clusters} clusters, and the model has "
            f"num_components={num_components}; they must be equal"
        )


def anchors(count: int, dimension: int, separation: float = SEPARATION) -> Tensor:
    """Give points that are sqrt(2) times the separation apart or more, ``(count, dimension)``.

    The separation along each axis, then against each, then farther out by sqrt(2) of it, and so on.

    Examples
    --------
    >>> anchors(3, 2, 1.0)
    tensor([[ 1.,  0.],
            [ 0.,  1.],
            [-1.,  0.]])
    >>> anchors(4, 1, 1.0).flatten()
    tensor([ 1.0000, -1.0000,  2.4142, -2.4142])
    """
    index = torch.arange(count)
    turn = index // dimension
    radius = separation * (1.0 + math.sqrt(2.0) * (turn // 2))
    found = torch.zeros(count, dimension)
    found[index, index % dimension] = torch.where(turn % 2 == 0, radius, -radius)
    return found
