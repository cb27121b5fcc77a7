# SPDX-License-Identifier: MIT
"""The fitted mixture elsewhere: in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pyvae.mixture import files
from pyvae.mixture.coordinates import Coordinates

if TYPE_CHECKING:
    from typing_extensions import Self


class Exchange(Coordinates):
    """Base of the estimator: all that takes a mixture to where it is something else, and back."""

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
        sklearn.exceptions.NotFittedError
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
        return files.load(cls, Path(path).expanduser())
