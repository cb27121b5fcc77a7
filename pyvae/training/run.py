# SPDX-License-Identifier: MIT
"""One run: what changes from epoch to epoch, and when it is logged and written."""

from __future__ import annotations

import copy
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.models import GMVAE, Elbo, LatentVariableModel
from pyvae.models.standardization import measure
from pyvae.storage.form import Integer, Place
from pyvae.training.batch_statistics import batch_statistics
from pyvae.training.callbacks import Callback, CallbackError, TrainingState
from pyvae.training.checkpoint import (
    BEST_FILE,
    as_written,
    check_same_run,
    describe_run,
    read_checkpoint,
    read_resumable,
)
from pyvae.training.checkpoint_form import State, highest_bound, run_form
from pyvae.training.clusters import find_clusters
from pyvae.training.divergence import TrainingDivergedError, about_units, check_validation
from pyvae.training.engine import Engine
from pyvae.training.history import History
from pyvae.training.hooks import Hooks
from pyvae.training.loggers import Logging
from pyvae.training.monitor import bound_figures, latent_figures, mean_bound
from pyvae.training.objective import with_capacity
from pyvae.training.plan import begins_at_clusters
from pyvae.training.progress import ProgressReport
from pyvae.training.schedules import capacity_in, learning_rate_scale, warmup_scale
from pyvae.training.start import start_mixture

if TYPE_CHECKING:
    from pyvae.settings import TrainerSettings
    from pyvae.training.batches import Batches
    from pyvae.training.run_folder import RunFolder

_MONITORED_EXAMPLES = 10_000
_STARTING_EXAMPLES = 10_000
_MOST_EPOCHS = 2**31


class Run:
    """One call of fit: what changes from epoch to epoch."""

    def __init__(
        self,
        settings: TrainerSettings,
        model: LatentVariableModel,
        train: Batches,
        validation: Batches | None,
        folder: RunFolder | None,
    ) -> None:
        self.settings, self.model = settings, model
        self.train, self.validation, self.folder = train, validation, folder
        self.lengths = settings.lengths
        self.pretrain_epochs = self.lengths.pretrain_epochs if isinstance(model, GMVAE) else 0
        self.total_epochs = self.pretrain_epochs + self.lengths.epochs
        self.clustered = begins_at_clusters(settings.initialization, model)
        self.engine = Engine(settings)
        self.state = TrainingState(settings, model, self.total_epochs)
        self.hooks = Hooks(self.state, self._callbacks(), self.engine.device)
        self.best, self.stale_epochs = -math.inf, 0
        self.best_weights: dict[str, Tensor] | None = None
        self.best_is_new = False
        self.unfitted: dict[str, Any] | None = None  # the model, until units of this run are kept

    @property
    def history(self) -> History:
        """What was logged."""
        return self.state.history

    def _callbacks(self) -> list[Callback]:
        if self.engine.rank != 0:
            return []
        loggers = (*(self.settings.logger or ()), *(self.folder.loggers if self.folder else ()))
        return [*(self.settings.callbacks or ()), *map(Logging, loggers)]

    def begin(self, why: str) -> None:
        """Start anew, and tell why the mixture starts as it does."""
        start = self.settings.initialization
        report = ProgressReport(self.settings.progress, self.total_epochs, 0)
        if why and self.engine.rank == 0:
            report.say(f"start  {start}: {why}")
        if self.clustered and start != "none" and isinstance(self.model, GMVAE):
            found = None
            if self.engine.rank == 0:
                clusters, device = self.model.num_components, self.engine.device
                found = find_clusters(self.settings, clusters, self.train, device, report.say)
            self.model.anchor(self.engine.shared(found))
        self._set_up()

    def _set_up(self) -> None:
        identity = self.settings.identity(clustered=self.clustered)
        self.description = describe_run(self.model, self.train.fingerprint(), identity)
        self.engine.set_up(self.model)

    def restore(self, path: Path) -> None:
        """Go on from the end of the epoch that a checkpoint holds."""
        state = read_resumable(path)
        with as_written(self.model, state, path, self.settings.initialization):
            self._set_up()
            check_same_run(path, state["run"], self.description)
            state = self._checked(state, path)
            best = path.with_name(BEST_FILE)
            if best.is_file() and state["best"] > -math.inf:
                self.best_weights = self._best_weights(best)
        # All of it is known to fit: from here on nothing is refused, and nothing half-restored.
        self.model.load_state_dict(state["model"])
        self.engine.load_optimizer_state(state["optimizer"])
        self.state.history = History(state["history"])
        self.best, self.stale_epochs = state["best"], state["stale_epochs"]

    def _checked(self, state: dict[str, Any], path: Path) -> dict[str, Any]:
        """Compare a checkpoint with what this run would have written."""
        place = Place(path)
        epochs = Integer(0, _MOST_EPOCHS).taken(state["epoch"], place.of("epoch"))
        steps = epochs * math.ceil(len(self.train) / self.lengths.batch_size)
        optimizer = self.engine.optimizer_form(steps)
        form = run_form(self.model, optimizer, epochs, self.pretrain_epochs)
        state = form.taken(state, place)
        # With scaled gradients a run may have passed over every step so far.
        if epochs and not state["optimizer"]["state"] and self.settings.precision != "16-mixed":
            place.of("optimizer").of("state").refuse({}, f"that of {epochs} epochs")
        highest = highest_bound(state["history"])
        if state["best"] != highest:
            place.of("best").refuse(state["best"], f"{highest}, the highest bound of its history")
        return state

    def _best_weights(self, path: Path) -> dict[str, Tensor]:
        state = read_checkpoint(path)
        check_same_run(path, state.get("run"), self.description)
        return State(self.model).taken(state["model"], Place(path, ("model",)))

    def complete(self) -> History:
        """Run the epochs that are left."""
        try:
            self._run_epochs()
            self._save()
            self.model.eval()
            if self.settings.early_stopping is not None and self.best_weights is not None:
                self.model.load_state_dict(self.best_weights)
            self.hooks.call("on_fit_end")
        except BaseException as error:
            if self.unfitted is not None:
                self.model.load_state_dict(self.unfitted)
            self.hooks.failed(error)
            raise
        return self.history

    def _run_epochs(self) -> None:
        with ProgressReport(self.settings.progress, self.total_epochs, len(self.history)) as report:
            self._fit_standardization()
            self._call("on_fit_start")
            while len(self.history) < self.total_epochs and not self._stops_early():
                self._call("on_epoch_start")
                row = self._epoch(len(self.history))
                if self.engine.rank == 0:
                    report.epoch(row)

    def _call(self, hook: str, *args: Any) -> None:
        """Call a hook between epochs: where it fails, what was trained so far is kept."""
        try:
            self.hooks.call(hook, *args)
        except CallbackError:
            if self.history:
                self._write()
            raise

    def _fit_standardization(self) -> None:
        """Take the units of the data from those that are trained on, unless they are known."""
        units = self.model.standardization
        if units is None or units.is_fitted:
            return
        self.unfitted = copy.deepcopy(dict(self.model.state_dict()))
        self.engine.seed(_MOST_EPOCHS)  # a data set may draw its examples
        batches = self.train.in_order()
        image = self.model.image_shape is not None or self.train.image
        found = measure(batches, self.model.input_dim, image=image)
        self.model.set_standardization(*self.engine.shared(found))

    def _epoch(self, epoch: int) -> dict[str, Any]:
        started = time.perf_counter()
        order = self.engine.seed(epoch)
        joint = epoch - self.pretrain_epochs
        if joint == 0:
            self._start_mixture()
        scale = warmup_scale(joint, self.lengths.warmup_epochs)
        beta = self.settings.pretrain_beta if joint < 0 else self.model.beta * scale
        capacity = None
        if self.settings.capacity is not None and joint >= 0:
            most, epochs = self.settings.capacity, self.settings.capacity_epochs
            capacity = capacity_in(joint, most, epochs)
        self.model.train()
        lr, parts = self._pass(epoch, beta, capacity, order)
        self._check_parameters(epoch)
        self.model.eval()
        figures = bound_figures(parts)
        bound = Elbo(*(parts[i] for i in range(len(parts))))
        row = {
            "epoch": epoch + 1,
            "phase": "pretrain" if joint < 0 else "joint",
            "lr": lr,
            "beta": beta,
            **({} if self.settings.capacity is None else {"capacity": capacity}),
            "objective": float(
                bound.weighted(beta) if capacity is None else with_capacity(bound, beta, capacity)
            ),
            **figures,
            **self._evaluation(pretrain=joint < 0),
            "seconds": round(time.perf_counter() - started, 4),
        }
        self._finish(row, warm=scale == 1.0 and joint >= 0)
        return row

    def _pass(
        self, epoch: int, beta: float, capacity: float | None, order: int
    ) -> tuple[float, Tensor]:
        """One pass over the data; return the first learning rate and the parts' means."""
        engine, pretrain = self.engine, epoch < self.pretrain_epochs
        loader = self.train.shuffled(self.lengths.batch_size, order, engine.rank, engine.world_size)
        sums = torch.zeros(len(Elbo._fields) + 1, dtype=torch.float64)
        for index, batch in enumerate(loader):
            where = f"epoch {epoch + 1}, batch {index + 1} of {len(loader)}"
            with batch_statistics(self.model, len(batch), where):
                loss, parts = engine.forward(batch, beta, pretrain, capacity)
            self._check_parts(parts, epoch, index, len(loader))
            lr = self._learning_rate(epoch, index / len(loader))
            engine.step(loss, lr, beta)
            if self.hooks.heard("on_batch_end"):
                figures = {**bound_figures(torch.tensor(parts, dtype=torch.float64)), "lr": lr}
                self.hooks.call("on_batch_end", index, figures)
            sums += len(batch) * torch.tensor([*parts, 1.0], dtype=torch.float64)
        sums = engine.total(sums)
        return self._learning_rate(epoch, 0.0), sums[:-1] / sums[-1]

    def _learning_rate(self, epoch: int, done: float) -> float:
        if epoch < self.pretrain_epochs:
            own = self.settings.pretrain_lr
            return self.settings.lr if own is None else own
        progress = (epoch - self.pretrain_epochs + done) / self.lengths.epochs
        return self.settings.lr * learning_rate_scale(self.settings.schedule, progress)

    def _start_mixture(self) -> None:
        unknown = not self.clustered and self.settings.initialization != "none"
        if isinstance(self.model, GMVAE) and unknown:
            try:
                start_mixture(
                    self.model.eval(),
                    self.train.in_order(_STARTING_EXAMPLES),
                    self.engine.device,
                    method=self.settings.initialization,
                    seed=self.settings.seed,
                )
            except WrongValue as error:
                if not self._about_units():
                    raise
                raise TrainingDivergedError(
                    f"the mixture has no start in the codes of the data: {error}. {self._way_out()}"
                ) from error

    def _evaluation(self, *, pretrain: bool) -> dict[str, Any]:
        device = self.engine.device
        batches = self.train.in_order(_MONITORED_EXAMPLES)
        figures = latent_figures(self.model, batches, device, pretrain=pretrain)
        if self.validation is not None:
            held_out = mean_bound(self.model, self.validation.in_order(), device, pretrain=pretrain)
            check_validation(held_out, self.validation.in_order())
            figures |= {f"val_{name}": value for name, value in held_out.items()}
        return figures

    def _finish(self, row: dict[str, Any], *, warm: bool) -> None:
        """Log the epoch, keep the weights if they are the best, and write what is due."""
        self.history.append(row)
        self.unfitted = None
        bound = row.get("val_bound", row["bound"])
        if row["phase"] == "joint" and bound > self.best:
            self.best, self.stale_epochs, self.best_is_new = bound, 0, True
            self.best_weights = {n: v.detach().clone() for n, v in self._weights().items()}
        elif warm:
            self.stale_epochs += 1
        self._call("on_epoch_end", dict(row))
        if self.folder is not None and self.folder.due():
            self._save()

    def _save(self) -> None:
        if self.folder is not None and self.engine.rank == 0:
            self._write()
            self.hooks.call("on_checkpoint", self.folder.last)

    def _write(self) -> None:
        if self.folder is None:
            return
        state = {
            "run": self.description,
            "epoch": len(self.history),
            "model": self._weights(),
            "optimizer": self.engine.optimizer_state(),
            "history": self.history.rows,
            "best": self.best,
            "stale_epochs": self.stale_epochs,
        }
        best = None
        if self.best_is_new and self.best_weights is not None:
            best = {"run": self.description, "model": self.best_weights, "bound": self.best}
        self.folder.write(state, best, self.history)
        self.best_is_new = False

    def _weights(self) -> dict[str, Tensor]:
        return dict(self.model.state_dict())

    def _stops_early(self) -> bool:
        patience = self.settings.early_stopping
        stale = patience is not None and self.stale_epochs >= patience
        return stale or self.engine.shared(self.state.should_stop)

    def _check_parts(self, parts: list[float], epoch: int, batch: int, batches: int) -> None:
        if all(math.isfinite(part) for part in parts):
            return
        named = dict(zip(Elbo._fields, parts, strict=True))
        bad = ", ".join(f"{n} is {v}" for n, v in named.items() if not math.isfinite(v))
        good = ", ".join(f"{n} {v:.4g}" for n, v in named.items() if math.isfinite(v))
        raise TrainingDivergedError(
            f"epoch {epoch + 1}, batch {batch + 1} of {batches}: {bad} ({good or 'no part is'} "
            f"finite). {self._way_out()}"
        )

    def _check_parameters(self, epoch: int) -> None:
        for name, value in self.model.named_parameters():
            # A component may have come to a weight of zero.
            none = value == -math.inf if name == "weight_logits" else False
            if not (torch.isfinite(value) | none).all():
                raise TrainingDivergedError(
                    f"epoch {epoch + 1}, last batch: the gradient made {name} NaN or infinite. "
                    f"{self._way_out()}"
                )

    def _way_out(self) -> str:
        last = self.folder.last if self.folder is not None else None
        kept = f"The last good checkpoint is {last}. " if last and last.exists() else ""
        return (
            f"{kept}{self._about_units()}Lower lr, set grad_clip, or look for outliers in the data."
        )

    def _about_units(self) -> str:
        rows = next(iter(self.train.in_order(_STARTING_EXAMPLES)))
        return about_units(self.model, rows.to(self.engine.device))
