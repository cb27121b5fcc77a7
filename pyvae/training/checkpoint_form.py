# SPDX-License-Identifier: MIT
"""The form of a checkpoint: what the run that goes on from it would have written itself."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pyvae.errors import WrongValue
from pyvae.models.states import bad_number, misfit
from pyvae.storage.form import Exactly, Fields, Form, Integer, Maybe, Place, Plain, Real, Rows, Text
from pyvae.storage.tensors import Declared

_GROUP_NUMBERS = ("lr", "beta")  # which change from step to step
_NOT_NEGATIVE = ("exp_avg_sq", "counts")
DESCRIPTION = Fields(
    optional={part: Fields(others=Plain()) for part in ("model", "data", "trainer")}
)


@dataclass(frozen=True)
class State(Form):
    """The tensors of a model; of its own types, where a run goes on from them."""

    model: nn.Module
    same_dtype: bool = True

    def taken(self, found: Any, place: Place) -> dict[str, Any]:  # noqa: D102
        state = Fields(others=_Anything()).taken(found, place)
        declared = {name: Declared.of(value) for name, value in state.items()}
        reason = misfit(self.model, declared, same_dtype=self.same_dtype)
        reason = reason or bad_number(self.model, state)
        if reason is not None:
            raise WrongValue(f"{place.file}: the tensors do not fit the model: {reason}")
        return {name: _copied(value) for name, value in state.items()}


@dataclass(frozen=True)
class Like(Form):
    """A tensor of the shape and type of another, whose numbers its name says more of."""

    name: str
    example: Tensor
    most_steps: int

    def taken(self, found: Any, place: Place) -> Tensor:  # noqa: D102
        wanted, came = Declared.of(self.example), Declared.of(found)
        if came != wanted:
            words = f"{came.words} of shape {came.shape}" if came.dtype else came.words
            raise WrongValue(
                f"{place} is {words}; expected {wanted.words} of shape {wanted.shape}, as the "
                "optimizer writes it"
            )
        value = _copied(found)
        if self.name == "step":
            good = (
                (value >= 0) & (value.double() <= float(self.most_steps)) & (value == value.floor())
            )
        elif self.name in _NOT_NEGATIVE:
            good = value >= 0
        else:
            good = torch.isfinite(value)
        if not bool(good.all()):
            wanted_number = {"step": f"a count from 0 to {self.most_steps}"}.get(
                self.name, "numbers from 0 on" if self.name in _NOT_NEGATIVE else "finite numbers"
            )
            raise WrongValue(
                f"{place} holds other numbers than an optimizer's; expected {wanted_number}"
            )
        return value


def optimizer_form(optimizer: torch.optim.Optimizer, most_steps: int) -> Fields:
    """Return the form of an optimizer's state after at most so many steps.

    A parameter without a gradient so far, as the mixture's in pretraining, has no state.
    """
    written = _written_after_a_step(optimizer)
    entries = {
        index: Fields({name: Like(name, value.cpu(), most_steps) for name, value in entry.items()})
        for index, entry in written["state"].items()
    }
    groups = [
        Fields(
            optional={n: Real(0) if n in _GROUP_NUMBERS else Exactly(v) for n, v in group.items()}
        )
        for group in optimizer.state_dict()["param_groups"]
    ]
    return Fields({"state": Fields(optional=entries), "param_groups": _each(groups)})


def history_form(epochs: int, pretrain_epochs: int) -> Rows:
    """Return the form of the rows of a run."""
    figure = Real(finite=False)

    def row(index: int) -> Fields:
        phase = "pretrain" if index < pretrain_epochs else "joint"
        figures = {"bound": figure, "lr": Real(0), "beta": Real(0)}
        return Fields(
            {"epoch": Exactly(index + 1), "phase": Text((phase,)), **figures},
            {"val_bound": figure, "seconds": Real(0)},
            Maybe(figure),
        )

    return Rows(row, epochs)


def highest_bound(rows: list[dict[str, Any]]) -> float:
    """Return the highest bound of joint training."""
    bounds = [row.get("val_bound", row["bound"]) for row in rows if row["phase"] == "joint"]
    return max((bound for bound in bounds if not math.isnan(bound)), default=-math.inf)


def run_form(model: nn.Module, optimizer: Form, epochs: int, pretrain_epochs: int) -> Fields:
    """Return the form of the whole, of a run after so many epochs."""
    return Fields(
        {
            "run": DESCRIPTION,
            "epoch": Exactly(epochs),
            "model": State(model),
            "optimizer": optimizer,
            "history": history_form(epochs, pretrain_epochs),
            "best": Real(finite=False),
            "stale_epochs": Integer(0, epochs),
        }
    )


def _written_after_a_step(optimizer: torch.optim.Optimizer) -> Mapping[str, Any]:
    """Return what a copy of the optimizer writes once all of its parameters had a gradient."""
    trial = copy.deepcopy(optimizer)
    for group in trial.param_groups:
        group.update({name: 1.0 for name in ("beta",) if name in group})
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    trial.step()
    return trial.state_dict()


def _each(forms: list[Fields]) -> Rows:
    return Rows(lambda index: forms[index], len(forms))


@dataclass(frozen=True)
class _Anything(Form):
    """What a form of the whole looks at."""

    def taken(self, found: Any, place: Place) -> Any:
        return found


def _copied(value: Any) -> Any:
    """Return a tensor that shares its memory with no other and has no gap in it."""
    if not isinstance(value, Tensor):
        return value
    return value.detach().resolve_neg().clone(memory_format=torch.contiguous_format)
