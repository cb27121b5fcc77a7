# SPDX-License-Identifier: MIT
"""An encoder that stands at its example's component from the start."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

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
    ) -> None:
        super().__init__()
        self.classifier = classifier.requires_grad_(False).eval()
        self.anchors = nn.Parameter(anchors(num_components, latent_dim, separation))
        self.network = MLP(num_features + num_components, hidden, 2 * latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(N, ...)`` to mean and log-variance, ``(N, latent_dim)`` each."""
        with torch.no_grad():
            cluster = self.classifier(x).argmax(1)
        indicator = nn.functional.one_hot(cluster, len(self.anchors)).to(x.dtype)
        found = self.network(torch.cat([x.flatten(1), indicator], 1))
        delta, logvar = found.chunk(2, 1)
        return self.anchors[cluster] + delta, logvar

    def train(self, mode: bool = True) -> AnchoredEncoder:
        """Train all but the classifier."""
        super().train(mode)
        self.classifier.eval()
        return self


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
