# SPDX-License-Identifier: MIT
"""The fitted mixture elsewhere: in a file, as a distribution, as scikit-learn's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn.mixture
import torch
from torch.distributions import MixtureSameFamily

from pyvae.distributions import GaussianMixture as Distribution
from pyvae.mixture import conversion, files, state
from pyvae.mixture.covariance import LowRank
from pyvae.mixture.file_layout import located
from pyvae.mixture.fitted import FittedMixture

if TYPE_CHECKING:
    from typing_extensions import Self


class Exchange(FittedMixture):
    """Base of ``GaussianMixture``: what takes it to where it is something else, and back."""

    def save(self, path: str | Path) -> None:
        """Write the mixture into a file of safetensors, with the settings and how the fit went.

        All of its state but the arrays that a fit starts from, a generator of random numbers, and
        ``distributed``; of what was computed on a GPU, what is loaded is on the CPU.

        Parameters
        ----------
        path
            The file, by its whole name; one that is there is replaced in one step.

        Raises
        ------
        NotFittedError
            If there is no mixture yet.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from pyvae.mixture import GaussianMixture
        >>> mixture = GaussianMixture(2, random_state=0).fit(np.array([[0.0], [1.0], [9.0]]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     mixture.save(f"{folder}/mixture.safetensors")
        ...     again = GaussianMixture.load(f"{folder}/mixture.safetensors")
        >>> again.means_.tolist() == mixture.means_.tolist()
        True
        """
        files.save(self, Path(path).expanduser())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Give the mixture of a file that :meth:`save` wrote, or of ``pyvae fit-mixture``'s folder.

        Nothing in the file is executed, so that it need not be trusted: what fits no mixture is
        refused.

        Raises
        ------
        FileNotFoundError
            If there is none.
        ValueError
            If it is damaged, or holds something else.
        """
        return files.load(cls, located(path))

    def to_distribution(self, dtype: torch.dtype = torch.float64) -> Distribution:
        """Give the mixture as a distribution of torch's kind, on the device of its parameters.

        Its ``to_mixture()`` is torch's own ``MixtureSameFamily``. Variances that components share
        are there repeated, so that :meth:`from_distribution` gives diag or spherical ones.

        Raises
        ------
        NotFittedError
            If there is no mixture yet.

        Examples
        --------
        >>> import numpy as np
        >>> from pyvae.mixture import GaussianMixture
        >>> X = np.array([[0.0, 1.0], [1.0, 3.0], [2.0, 5.5], [9.0, 2.0], [8.0, 1.0]])
        >>> mixture = GaussianMixture(2, covariance_type="diag", random_state=0).fit(X)
        >>> mixture.to_distribution()
        GaussianMixture(log_weights: torch.Size([2]), means: torch.Size([2, 2]),
        logvars: torch.Size([2, 2]))
        >>> torchs = mixture.to_distribution().to_mixture()
        >>> np.allclose(torchs.log_prob(torch.from_numpy(X)), mixture.score_samples(X))
        True
        """
        return conversion.as_distribution(self._kind, self._fitted_parameters(), dtype)

    @classmethod
    def from_distribution(cls, mixture: Distribution | MixtureSameFamily, **settings: Any) -> Self:
        """Give the estimator that is a distribution, in float64, as if it had been fitted.

        Parameters
        ----------
        mixture
            One of :mod:`pyvae.distributions`, or torch's of ``MultivariateNormal``,
            ``LowRankMultivariateNormal`` or ``Independent(Normal(...), 1)``. One factor of all
            components is of type tied, one variance a component is spherical (diag in one
            dimension, where it is the same).
        settings
            Of the constructor, but for the number of components and the type of covariance.

        Raises
        ------
        TypeError
            If it is of another family.
        ValueError
            If it is a batch of mixtures, or a covariance is not positive definite in float64.

        Examples
        --------
        >>> from pyvae.mixture import GaussianMixture
        >>> means = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
        >>> density = Distribution(torch.zeros(2), means, torch.zeros(2, 1))
        >>> mixture = GaussianMixture.from_distribution(density)
        >>> mixture.covariance_type, mixture.predict([[-2.0, 1.0], [3.0, 0.0]])
        ('spherical', array([0, 1]))
        """
        kind, p = conversion.read_distribution(mixture, f"{cls.__name__}.from_distribution")
        told = {"n_components": len(p.weights), "covariance_type": kind.name}
        if isinstance(kind, LowRank):
            told["rank"] = kind.rank
        new = cls(**settings | told)
        state.set_mixture(new, np.empty(0), kind, p)
        return new

    def to_sklearn(self) -> sklearn.mixture.GaussianMixture:
        """Give the mixture as scikit-learn's fitted estimator, with the settings that it has too.

        One of tied_diag or tied_spherical is there diag or spherical, with the same variances for
        each component, and one of low_rank is full, with matrices ``(K, D, D)``: densities are the
        same, and ``bic`` and ``aic`` charge for all of these.

        Raises
        ------
        NotFittedError
            If there is no mixture yet.

        Examples
        --------
        >>> import numpy as np
        >>> from pyvae.mixture import GaussianMixture
        >>> X = np.array([[0.0], [1.0], [8.0], [9.0]])
        >>> mixture = GaussianMixture(2, random_state=0).fit(X)
        >>> again = GaussianMixture.from_sklearn(mixture.to_sklearn())
        >>> again.predict(X).tolist() == mixture.predict(X).tolist()
        True
        """
        return conversion.as_sklearn(self, self._fitted_parameters())

    @classmethod
    def from_sklearn(cls, mixture: sklearn.mixture.GaussianMixture) -> Self:
        """Give the estimator that is scikit-learn's fitted one, with its settings.

        Raises
        ------
        TypeError
            If it is no ``sklearn.mixture.GaussianMixture``.
        NotFittedError
            If it is not fitted.
        """
        return conversion.of_sklearn(cls, mixture, f"{cls.__name__}.from_sklearn")
