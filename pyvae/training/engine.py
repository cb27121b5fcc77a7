# SPDX-License-Identifier: MIT
"""One step of the optimizer, on the devices and in the precision that Fabric sets up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor
from torch.nn import Parameter

from pyvae.models import GMVAE, LatentVariableModel
from pyvae.optim import StepwiseEM
from pyvae.storage.form import Fields
from pyvae.training.checkpoint_form import optimizer_form
from pyvae.training.objective import Objective, Unconverted

if TYPE_CHECKING:
    from pyvae.settings import TrainerSettings

_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Engine:
    """The model, its optimizer and Fabric.

    Attributes
    ----------
    device
        Where the model is.
    rank, world_size
        This process among those that train together.
    """

    def __init__(self, settings: TrainerSettings) -> None:
        several = str(settings.devices) != "1"
        # Pretraining leaves the mixture without a gradient, which plain DDP waits for.
        strategy = DDPStrategy(find_unused_parameters=True) if several else "auto"
        self.fabric = Fabric(
            accelerator=settings.accelerator,
            devices=settings.devices,
            precision=settings.precision,  # type: ignore[arg-type]
            strategy=strategy,
        )
        if several:
            self.fabric.launch()
        self._settings = settings
        self.device = self.fabric.device
        self.rank, self.world_size = self.fabric.global_rank, self.fabric.world_size
        self._mixture: StepwiseEM | None = None

    def set_up(self, model: LatentVariableModel) -> None:
        """Take a model, and move it to the device."""
        settings, mixture = self._settings, None
        if settings.prior_update == "em" and isinstance(model, GMVAE):
            mixture = model
        trained = model.parameters() if mixture is None else mixture.network_parameters
        parameters = [parameter for parameter in trained if parameter.requires_grad]
        optimizer = _OPTIMIZERS[settings.optimizer](
            parameters, lr=settings.lr, weight_decay=settings.weight_decay, fused=True
        )
        objective: Any = Objective(model, settings.objective)
        if settings.compile:
            objective = torch.compile(objective)
        self._objective, self._optimizer = self.fabric.setup(objective, optimizer)
        # Once the model is where it stays: a buffer is another tensor after it was moved.
        self._mixture = None if mixture is None else StepwiseEM(mixture, lr=settings.prior_lr)

    def seed(self, *key: int) -> int:
        """Seed torch from ``key`` and the settings' seed, and return the seed common to all ranks.

        Every epoch is seeded by its number, so a resumed run needs no generator's state: an epoch
        depends on the parameters and the optimizer it starts from, and on nothing before.
        """
        entropy = [self._settings.seed, *key]
        common, own = (
            int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)
            for words in (entropy, [*entropy, self.rank + 1])
        )
        torch.manual_seed(own)
        return common

    def forward(
        self, x: Tensor, beta: float, pretrain: bool, capacity: float | None = None
    ) -> tuple[Tensor, list[float]]:
        """Return the loss, and the parts of the bound as numbers."""
        x = x.to(self.device, non_blocking=True)
        scale = torch.tensor(beta, device=self.device, dtype=torch.float32)
        limit = None
        if capacity is not None:
            limit = torch.tensor(capacity, device=self.device, dtype=torch.float32)
        loss, parts = self._objective(Unconverted(x), scale, pretrain, limit)
        return loss, parts.tolist()

    def step(self, loss: Tensor, lr: float, beta: float) -> None:
        """Move the parameters down the gradient of ``loss``, whose prior's part ``beta`` weighs."""
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.zero_grad()
        if self._mixture is not None:
            self._mixture.zero_grad()
        self.fabric.backward(loss)
        if self._settings.grad_clip is not None:
            # A gradient that is not finite shows in the next loss, which names what it came from.
            self.fabric.clip_gradients(
                self._objective,
                self._optimizer,
                max_norm=self._settings.grad_clip,
                error_if_nonfinite=False,
            )
        self._optimizer.step()
        if self._mixture is not None:
            self._step_mixture(self._mixture, beta)

    def _step_mixture(self, mixture: StepwiseEM, beta: float) -> None:
        group = mixture.param_groups[0]
        group["beta"] = beta
        for tensor in group["params"]:
            # DDP has taken the mean of parameters' gradients, but not of buffers'.
            shared = self.world_size == 1 or isinstance(tensor, Parameter)
            if tensor.grad is not None and not shared:
                tensor.grad = self._reduced(tensor.grad, "mean")
        mixture.step()

    def shared(self, values: Any) -> Any:
        """Return what the first process has."""
        return values if self.world_size == 1 else self.fabric.broadcast(values)

    def release(self) -> None:
        """Leave the model as it was but for what it learnt."""
        if self._mixture is not None:
            self._mixture.release()

    def total(self, values: Tensor) -> Tensor:
        """Sum ``values`` over the processes."""
        if self.world_size == 1:
            return values
        return self._reduced(values.to(self.device), "sum").cpu()

    def _reduced(self, values: Tensor, how: str) -> Tensor:
        reduced = self.fabric.all_reduce(values, reduce_op=how)
        assert isinstance(reduced, Tensor)
        return reduced

    def optimizer_state(self) -> dict[str, Any]:
        """Return the state of the optimizer, for a checkpoint."""
        state = self._optimizer.state_dict()
        if self._mixture is not None:
            state["mixture"] = self._mixture.state_dict()
        return state

    def optimizer_form(self, most_steps: int) -> Fields:
        """Return the form of what :meth:`optimizer_state` returns after so many steps at most."""
        form = optimizer_form(self._optimizer.optimizer, most_steps)
        if self._mixture is None:
            return form
        return Fields({**form.required, "mixture": optimizer_form(self._mixture, most_steps)})

    def load_optimizer_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that has the form."""
        optimizers: dict[str, torch.optim.Optimizer] = {"": self._optimizer.optimizer}
        parts = {"": state}
        if self._mixture is not None:
            optimizers["mixture"], parts["mixture"] = self._mixture, state["mixture"]
        for name, optimizer in optimizers.items():
            # What an older torch did not write of a group is as the run has it.
            own, saved = optimizer.state_dict()["param_groups"], parts[name]["param_groups"]
            groups = [group | taken for group, taken in zip(own, saved, strict=True)]
            optimizer.load_state_dict({"state": parts[name]["state"], "param_groups": groups})
