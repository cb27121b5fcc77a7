# SPDX-License-Identifier: MIT
"""What a run does that nobody has asked for: it follows from the model and the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pyvae.errors import WrongValue
from pyvae.models import GMVAE
from pyvae.settings import CLUSTERINGS, TrainerSettings

if TYPE_CHECKING:
    from pyvae.models import LatentVariableModel
    from pyvae.training.batches import Batches

Settings = TypeVar("Settings", bound=TrainerSettings)
# Images of which views tell what classes are, and of which neighbours do.
MANY, FEW = 5_000, 500


def plan(settings: Settings, model: LatentVariableModel, train: Batches) -> tuple[Settings, str]:
    """Return settings of which none is left out, and in words why the start is what it is.

    The words are empty where the start was asked for.

    Raises
    ------
    ValueError
        If settings contradict the start that was asked for, or it finds no place for so many
        components.
    """
    start, why = settings.initialization, ""
    if not isinstance(model, GMVAE):
        start = "em" if start == "auto" else start
        return settings.completed(start, len(train), clustered=False), ""
    if isinstance(start, str) and start == "auto":
        start, why = _start(settings, model, train)
    if isinstance(start, str) and start != "none" and model.num_components > len(train):
        raise WrongValue(
            f"num_components={model.num_components}: more than the {len(train):,} examples to "
            "train on; ask for fewer"
        )
    clustered = begins_at_clusters(start, model)
    return settings.completed(start, len(train), clustered=clustered), why


def begins_at_clusters(start: object, model: LatentVariableModel) -> bool:
    """Return whether the components of a model stand at clusters before it is trained."""
    named = isinstance(start, str)
    known = isinstance(model, GMVAE) and model.classifier is not None
    return not named or start in CLUSTERINGS or (start == "none" and known)


def _start(settings: TrainerSettings, model: GMVAE, train: Batches) -> tuple[str, str]:
    if model.classifier is not None:
        return "none", "the model has its clusters"
    if settings.pretrain_epochs:
        return "em", "pretraining was asked for"
    if "encoder" in model.own_modules:
        return "em", "the encoder is one of your own"
    if model.posterior != "exact":
        return "em", "the posterior of z is amortized"
    if train.image_shape is None:
        return "em", "the data are a table"
    if len(train) < FEW:
        return "em", f"there are {len(train):,} images, fewer than {FEW:,}"
    return ("graph" if len(train) < MANY else "invariant"), f"the data are {len(train):,} images"
