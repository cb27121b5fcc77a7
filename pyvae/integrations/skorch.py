# SPDX-License-Identifier: MIT
# pyright: reportMissingImports=false
"""In skorch: our models as estimators of scikit-learn's, for its pipelines and searches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.dataset import ValidSplit, unpack_data
from skorch.utils import to_tensor
from torch import Tensor, nn

from pyvae.errors import WrongValue
from pyvae.models import GMVAE, Elbo
from pyvae.training.batch_statistics import evaluating
from pyvae.training.batches import Batches
from pyvae.training.start import start_mixture

__all__ = ["BoundNet", "NegativeBound"]


class NegativeBound(nn.Module):
    """The loss of a training step, ``-bound.weighted(beta)`` averaged over a batch.

    Examples
    --------
    >>> NegativeBound()(Elbo(*torch.tensor([[-9.0], [-4.0], [-0.5], [2.5]])), beta=1.0)
    tensor(11.)
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, bound: Elbo, beta: float) -> Tensor:
        """Return the mean over examples, in nats."""
        return -bound.weighted(beta).mean()


class BoundNet(NeuralNet):  # pyright: ignore[reportGeneralTypeIssues]  # not installed
    """A latent-variable model as a ``skorch.NeuralNet``, and so as an estimator of scikit-learn's.

    It is fitted to ``X`` alone; a ``y`` is taken and not looked at. Before the first epoch the
    model gets the units of the training part, and a mixture its start from its codes.

    Parameters
    ----------
    module
        Class of the model, with its arguments as ``module__input_dim`` and so on, or a model.
    criterion
        Of the bound and the model's ``beta``.
    optimizer, train_split, mixture_start
        Adam in place of skorch's SGD; the held-out part, as of every ``NeuralNet``; and the method
        of :func:`pyvae.mixture.initial_mixture`, None for a mixture that begins as it is.
    random_state
        Seed of the noise in :meth:`score` and of the mixture's start. What is random in training is
        torch's, which ``torch.manual_seed`` fixes.
    args, kwargs
        All others of ``NeuralNet``.

    Examples
    --------
    >>> x = torch.rand(100, 16).numpy()
    >>> net = BoundNet(GMVAE, module__input_dim=16, module__latent_dim=2, module__num_components=3,
    ...                max_epochs=2, verbose=0)
    >>> net.fit(x).predict(x).shape, net.transform(x).shape
    ((100,), (100, 2))
    """

    module_: Any  # what skorch makes of module and criterion
    criterion_: Any

    def __init__(
        self,
        module: Any = GMVAE,
        *args: Any,
        criterion: Any = NegativeBound,
        optimizer: Any = torch.optim.Adam,
        train_split: Any = ValidSplit(5),  # noqa: B008  # as in skorch, which copies it
        mixture_start: str | None = "em",
        random_state: int = 0,
        **kwargs: Any,
    ) -> None:
        self.mixture_start, self.random_state = mixture_start, random_state
        given = {"criterion": criterion, "optimizer": optimizer, "train_split": train_split}
        super().__init__(module, *args, **given, **kwargs)

    def on_epoch_begin(
        self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any
    ) -> None:
        """Prepare the model for its data before the first epoch."""
        super().on_epoch_begin(net, dataset_train=dataset_train, dataset_valid=dataset_valid)
        if len(self.history) == 1:
            self._begin(Batches(dataset_train))

    def _begin(self, batches: Batches) -> None:
        model = self.module_
        if model.standardize and not model.standardization.is_fitted:
            model.fit_standardization(batches.in_order(), image=batches.image)
        if isinstance(model, GMVAE) and self.mixture_start is not None:
            with evaluating(model):
                start_mixture(
                    model, batches.in_order(), model.like.device,
                    method=self.mixture_start, seed=self.random_state,
                )  # fmt: skip

    def get_loss(self, y_pred: Elbo, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        """Return the criterion of the bound; ``y_true`` is not looked at."""
        return self.criterion_(y_pred, self.module_.beta)

    def transform(self, X: Any) -> np.ndarray:
        """Return the means of q(w | x), ``(N, latent_dim)``."""
        return self._answers(X, lambda x: self.module_.encode(x)[0])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the components, ``(N, K)``, of a GM-VAE."""
        self._check_components("predict_proba")
        return self._answers(X, self.module_.predict_proba)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable component of each example, of a GM-VAE."""
        self._check_components("predict")
        return self._answers(X, self.module_.predict)

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean bound in nats, with the same noise at every call: more is better."""
        generator = torch.Generator(self.module_.like.device).manual_seed(self.random_state)
        bounds = self._answers(X, lambda x: self.module_.elbo(x, generator=generator).total)
        return float(bounds.mean(dtype=np.float64))

    def _check_components(self, method: str) -> None:
        self.check_is_fitted(["module_"])
        if not isinstance(self.module_, GMVAE):
            raise WrongValue(
                f"{method}: a {type(self.module_).__name__} has no components; take GMVAE as the "
                "module, or transform() for codes"
            )

    @torch.no_grad()
    def _answers(self, X: Any, answer: Callable[[Tensor], Tensor]) -> np.ndarray:
        self.check_is_fitted(["module_"])
        with evaluating(self.module_):
            return torch.cat([answer(x).cpu() for x in self._batches(X)]).numpy()

    def _batches(self, X: Any) -> Iterator[Tensor]:
        for batch in self.get_iterator(self.get_dataset(X), training=False):
            x: Any = to_tensor(unpack_data(batch)[0], device=self.device)
            yield x
