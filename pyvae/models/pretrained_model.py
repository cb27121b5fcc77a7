# SPDX-License-Identifier: MIT
"""Saving to a folder and loading from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from pyvae.models import files

if TYPE_CHECKING:
    from typing_extensions import Self


class PretrainedModel(nn.Module, ABC):
    """A module that is built from its ``config`` and has ``save_pretrained``, ``from_pretrained``.

    Attributes
    ----------
    own_modules
        Names of the constructor's arguments that were given a module: part of the state, and no
        part of the config.
    """

    own_modules: tuple[str, ...] = ()

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The constructor's arguments, except modules of your own, ready for JSON."""

    def save_pretrained(self, path: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors`` into the folder ``path``.

        Each file is replaced in one step, and the folder is made where it is missing. Of modules
        of your own the weights are saved and not the code: pass them to :meth:`from_pretrained`.

        Raises
        ------
        TypeError
            If a module of your own keeps something other than tensors in its state.
        """
        files.save(self, self.config, self.own_modules, Path(path))

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        classifier: Any = None,
    ) -> Self:
        """Read the model that :meth:`save_pretrained` wrote into the folder ``path``.

        Parameters
        ----------
        path
            The folder that :meth:`save_pretrained` wrote, or that of a finished run, which holds
            it as ``model``.
        encoder, decoder
            Modules of the same architecture, where the model was saved with modules of your own.
            They get the saved weights.
        classifier
            The clustering that a GM-VAE began at, where that was one of your own.

        Returns
        -------
        The model on the CPU, in the dtype it was saved in, in evaluation mode.

        Raises
        ------
        FileNotFoundError
            If the folder or one of its files is missing.
        ValueError
            If a file is damaged or not of this library, the model is of another class, or a
            module of your own is missing, superfluous or of another architecture.
        """
        return files.load(
            cls, Path(path), {"encoder": encoder, "decoder": decoder, "classifier": classifier}
        )
