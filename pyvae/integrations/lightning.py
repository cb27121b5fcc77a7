# SPDX-License-Identifier: MIT
# pyright: reportMissingImports=false
"""In Lightning: our models as a LightningModule, for its Trainer with all that belongs to it."""

from __future__ import annotations

from typing import Any

import torch
from lightning import LightningModule
from torch import Generator, Tensor
from torch.utils.data import Dataset

from pyvae.models import GMVAE, Elbo, LatentVariableModel
from pyvae.training.batch_statistics import evaluating
from pyvae.training.batches import Batches
from pyvae.training.schedules import warmup_scale
from pyvae.training.start import start_mixture

__all__ = ["GMVAEModule"]


class GMVAEModule(LightningModule):  # pyright: ignore[reportGeneralTypeIssues]  # not installed
    """Any of our models for ``lightning.Trainer``: steps, figures, an optimizer and a start.

    Batches are tensors ``(N, ...)``, or tuples or lists that begin with one. Logged are
    ``train_loss``, and the bound in nats with its parts as ``val_bound``, ``val_reconstruction``
    and so on, with the same noise in every epoch.

    Parameters
    ----------
    model
        A :class:`pyvae.models.VAE`, :class:`pyvae.models.GMVAE` or one of your own.
    start
        Training data, from which the model takes its units where it standardises, and a GM-VAE the
        start of its mixture, from their codes. None leaves both as they are.
    lr
        Of Adam.
    pretrain_epochs
        Epochs before the mixture's start, in which the networks are trained under N(0, I). The
        mixture's parameters get no gradient meanwhile: with several processes take the strategy
        ``"ddp_find_unused_parameters_true"``.
    warmup_epochs
        Epochs after the start in which beta rises linearly.
    initialization
        Method of :func:`pyvae.mixture.initial_mixture`; None leaves the mixture as it is.
    seed
        Of the mixture's start, and of the noise of validation and test.

    Notes
    -----
    The start is in the fit's first epoch, or the first after pretraining: a fit that goes on from a
    checkpoint goes on after it. Checkpoints hold the model's state; to load one, pass the model:
    ``GMVAEModule.load_from_checkpoint(path, model=model)``.

    Examples
    --------
    >>> import lightning
    >>> from torch.utils.data import DataLoader
    >>> x = torch.rand(64, 16)
    >>> module = GMVAEModule(GMVAE(16, 2, num_components=3, hidden=(8,)), x, pretrain_epochs=1)
    >>> quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
    ...          "enable_model_summary": False, "accelerator": "cpu"}
    >>> trainer = lightning.Trainer(max_epochs=2, **quiet)
    >>> trainer.fit(module, DataLoader(x, batch_size=32))
    """

    def __init__(
        self,
        model: LatentVariableModel,
        start: Tensor | Dataset | None = None,
        *,
        lr: float = 1e-3,
        pretrain_epochs: int = 0,
        warmup_epochs: int = 0,
        initialization: str | None = "em",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.model = model
        self.batches = None if start is None else Batches(start)
        self.lr, self.seed, self.initialization = lr, seed, initialization
        self.pretrain_epochs, self.warmup_epochs = pretrain_epochs, warmup_epochs
        self.noise: Generator | None = None

    def forward(self, x: Tensor) -> Elbo:
        """Return the bound of each example."""
        return self.model(x)

    def setup(self, stage: str) -> None:
        """Give the model its units, before its state goes to the other processes."""
        units = self.model.standardization
        if self.batches is not None and units is not None and not units.is_fitted:
            self.model.fit_standardization(self.batches.in_order(), image=self.batches.image)

    def on_train_epoch_start(self) -> None:
        """Start the mixture, once the codes have a place in the latent space."""
        starts = self.current_epoch == self.pretrain_epochs and self.initialization is not None
        if starts and self.batches is not None and isinstance(self.model, GMVAE):
            with evaluating(self.model):
                start_mixture(
                    self.model, self.batches.in_order(), self.device,
                    method=str(self.initialization), seed=self.seed,
                )  # fmt: skip

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss: the bound's negative under the beta of this epoch, or pretraining's."""
        x = examples(batch)
        if self.current_epoch < self.pretrain_epochs:
            bound, beta = self.model.pretraining_elbo(x), self.model.beta
        else:
            epoch = self.current_epoch - self.pretrain_epochs
            bound, beta = self.model(x), self.model.beta * warmup_scale(epoch, self.warmup_epochs)
        loss = -bound.weighted(beta).mean()
        self.log("train_loss", loss, batch_size=len(x))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Begin the noise anew."""
        self.noise = Generator(self.device).manual_seed(self.seed)

    on_test_epoch_start = on_validation_epoch_start

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log the bound and its parts."""
        self._log_bound(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Log the bound and its parts."""
        self._log_bound(batch, "test")

    def _log_bound(self, batch: Any, prefix: str) -> None:
        x = examples(batch)
        bound = self.model.elbo(x, generator=self.noise)
        figures = {"bound": bound.total, **bound._asdict()}
        self.log_dict(
            {f"{prefix}_{name}": values.double().mean() for name, values in figures.items()},
            batch_size=len(x), on_epoch=True, sync_dist=True,
        )  # fmt: skip

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the probabilities of a GM-VAE's components, and the codes of another model."""
        x = examples(batch)
        if isinstance(self.model, GMVAE):
            return self.model.predict_proba(x)
        return self.model.encode(x)[0]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam of all parameters; override it for another."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def examples(batch: Any) -> Tensor:
    """Return the examples of a batch: itself, or the first of its parts."""
    return batch if isinstance(batch, Tensor) else batch[0]
