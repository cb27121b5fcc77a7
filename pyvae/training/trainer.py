# SPDX-License-Identifier: MIT
"""The trainer: one class, from settings to a history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import Dataset

from pyvae.errors import NotFound, WrongValue
from pyvae.models import GMVAE
from pyvae.settings import TrainerSettings, documented
from pyvae.training.batches import Batches
from pyvae.training.checkpoint import LAST_FILE
from pyvae.training.plan import plan
from pyvae.training.run import Run
from pyvae.training.run_folder import run_folder

if TYPE_CHECKING:
    from pyvae.data import Data
    from pyvae.models import LatentVariableModel
    from pyvae.training.history import History


@documented(TrainerSettings)
class Trainer(TrainerSettings):
    """Train a model on data: pretraining, start of the mixture, joint training.

    Parameters
    ----------
    Those of :class:`pyvae.settings.TrainerSettings`.

    Raises
    ------
    TypeError, ValueError
        If an argument is of a wrong type or out of its range.

    Examples
    --------
    >>> from pyvae.data import digits
    >>> from pyvae.models import GMVAE
    >>> model = GMVAE(64, 2, num_components=3, hidden=(8,))
    >>> trainer = Trainer(epochs=1, pretrain_epochs=1, progress="silent")
    >>> history = trainer.fit(model, digits().x[:256])
    >>> history.column("phase")
    ['pretrain', 'joint']
    """

    def fit(
        self,
        model: LatentVariableModel,
        data: Data | Tensor | Dataset,
        validation: Data | Tensor | Dataset | None = None,
        *,
        resume: bool | str | Path = False,
    ) -> History:
        """Train ``model`` in place and return what was logged.

        Parameters
        ----------
        model
            On any device; it ends on the accelerator's. One that standardises, and does not know
            its data yet, takes their location and scale from ``data``.
        data, validation
            ``pyvae.data.Data``, tensors ``(N, ...)``, or map-style torch datasets.
        resume
            True goes on with the run in ``output_dir``, ``"auto"`` does so where there is one, a
            path goes on from that checkpoint. The parameters come out as those of a run that was
            never interrupted, bit for bit on a CPU with as many threads.

        Raises
        ------
        TrainingDivergedError
            If a part of the bound or a parameter is no longer finite.
        CallbackError
            If a callback or a logger raises an exception.
        FileNotFoundError
            If there is no checkpoint to resume from.
        ValueError
            If the data are empty or do not fit the model, the output folder holds another run or
            has one going, or cannot be written to, or the checkpoint is damaged or of another run.
        """
        if self.early_stopping is not None and validation is None:
            raise WrongValue("early_stopping watches the validation bound; pass validation data")
        train = Batches(data, self.num_workers)
        settings, why = plan(self, model, train)
        _check_objective(settings, model)
        held_out = None if validation is None else Batches(validation, self.num_workers)
        checkpoint = self._checkpoint_to_resume(resume)
        devices = range(torch.cuda.device_count())
        # The run seeds torch for its own ends; the caller's random numbers go on as they were.
        with run_folder(self, resume=bool(resume)) as folder, torch.random.fork_rng(devices):
            run = Run(settings, model, train, held_out, folder)
            try:
                if checkpoint is not None:
                    run.restore(checkpoint)
                else:
                    run.begin(why)
                return run.complete()
            finally:
                run.engine.release()

    def _checkpoint_to_resume(self, resume: bool | str | Path) -> Path | None:
        if resume is False:
            return None
        if resume not in (True, "auto"):
            path = Path(str(resume)).expanduser()
            return path / LAST_FILE if path.is_dir() else path
        if self.output_dir is None:
            raise WrongValue("resume needs output_dir, the folder of the run, or a path")
        path = Path(self.output_dir).expanduser() / LAST_FILE
        if resume == "auto" and not path.exists():
            return None
        if not path.is_file():
            raise NotFound(f"{path}: no checkpoint there to resume from; start with resume=False")
        return path


def _check_objective(settings: TrainerSettings, model: LatentVariableModel) -> None:
    if settings.prior_update == "em" and not isinstance(model, GMVAE):
        raise WrongValue(
            f"prior_update 'em' moves a mixture, and a {type(model).__name__} has none that "
            "EM could move; pass a GMVAE, or take prior_update='gradient'"
        )
    if settings.objective == "elbo":
        return
    if model.beta != 1.0 or settings.warmup_epochs:
        raise WrongValue(
            f"objective {settings.objective!r} has no beta to scale; build the model with beta=1 "
            f"(it has {model.beta:g}) and set warmup_epochs=0 (it is {settings.warmup_epochs})"
        )
    if settings.objective == "reweighted-wake-sleep" and model.num_samples < 2:
        raise WrongValue(
            "objective 'reweighted-wake-sleep' weighs samples against one another, and the "
            "model has num_samples=1; build it with 2 or more (8, say)"
        )
    if "wake-sleep" in settings.objective and getattr(model, "vamp_prior", None) is not None:
        raise WrongValue(
            f"objective {settings.objective!r} trains prior and encoder apart, and a VampPrior is "
            "both; take objective='elbo' or 'iwae', or a VAE without it"
        )
    if getattr(model, "posterior", "exact") != "exact" or getattr(model, "closed_form", False):
        raise WrongValue(
            f"objective {settings.objective!r} sums z out; build the model with posterior='exact' "
            "and closed_form=False"
        )
