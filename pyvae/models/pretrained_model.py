# SPDX-License-Identifier: MIT
"""Saving to a folder and loading from it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from pyvae.models import files, hub

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

    def push_to_hub(
        self,
        name: str,
        *,
        private: bool = False,
        revision: str | None = None,
        message: str = "Save a pyvae model",
        token: str | None = None,
    ) -> str:
        """Upload what :meth:`save_pretrained` writes to the Hugging Face Hub.

        By ``pip install 'pyvae[hub]'``. The repository is made where it is missing, with a card.

        Parameters
        ----------
        name
            ``"user/model"``, as :meth:`from_pretrained` takes it.
        private
            Whether a new repository is.
        revision
            The branch; None is the main one.
        message
            Of the commit.
        token
            Of the Hub; None is that of ``hf auth login``.

        Returns
        -------
        The address of the commit.

        Raises
        ------
        ValueError
            If the name is none, or huggingface_hub is not installed.
        """
        return hub.push(
            self, name, private=private, revision=revision, message=message, token=token
        )

    @classmethod
    def from_pretrained(
        cls,
        path: str | Path,
        *,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
        classifier: Any = None,
        revision: str | None = None,
    ) -> Self:
        """Read the model that :meth:`save_pretrained` wrote into the folder ``path``.

        Parameters
        ----------
        path
            The folder that :meth:`save_pretrained` wrote, or that of a finished run, which holds
            it as ``model``; or ``"user/model"`` of the Hugging Face Hub, where there is no such
            folder and huggingface_hub is installed.
        encoder, decoder
            Modules of the same architecture, where the model was saved with modules of your own.
            They get the saved weights.
        classifier
            The clustering that a GM-VAE began at, where that was one of your own.
        revision
            Branch, tag or commit on the Hub; None is its main branch.

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
        own = {"encoder": encoder, "decoder": decoder, "classifier": classifier}
        return files.load(cls, hub.local(path, revision), own)
