# SPDX-License-Identifier: MIT
"""The home of the trainer's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pyvae.errors import WrongValue
from pyvae.settings.kinds import ANYTHING, Count, Flag, Number, OneOf
from pyvae.settings.setting import Home, Needs, setting, settings_of

_MACHINE = "Machine"
_NOT_NEGATIVE = Number("a number >= 0", least=0)


@dataclass(kw_only=True)
class TrainerSettings(Home):
    """Base of the trainer: its arguments, checked; in the order in which the help has them."""

    PANEL: ClassVar = "Training"

    objective: str = setting(
        "elbo",
        OneOf(("elbo", "iwae", "wake-sleep", "reweighted-wake-sleep")),
        "elbo, the bound; iwae, over importance weights; wake-sleep or reweighted-wake-sleep, with "
        "the forward KL for the encoder. All but elbo are without warm-up.",
        doc='Of joint training. ``"elbo"``: the bound. ``"iwae"``: the importance-weighted bound '
        'over the model\'s ``num_samples``. ``"wake-sleep"``: decoder and prior by the bound, the '
        'encoder by the forward KL over the model\'s own (w, x). ``"reweighted-wake-sleep"``: '
        "decoder and prior by the importance-weighted bound, the encoder by the forward KL on the "
        "data, by importance weights of two samples or more. All but the first need beta = 1 "
        "without warm-up, and the exact posterior of z. What is logged is the bound.",
        metavar="NAME",
        before="elbo",
    )
    epochs: int = setting(
        100,
        Count(0),
        "Passes of joint training.",
        option_kind=Count(1),
        doc="Passes over the data in joint training.",
    )
    pretrain_epochs: int = setting(
        100,
        Count(0),
        "Passes before the mixture is there, as a VAE.",
        model="gmvae",
        doc="Passes before the mixture is there, as a VAE with prior N(0, I). A ``VAE`` has none.",
    )
    pretrain_lr: float | None = setting(
        None,
        Number("a number > 0, or None", above=0),
        "Learning rate of pretraining; that of --lr if left out.",
        model="gmvae",
        doc="Learning rate of pretraining, constant; None is ``lr``.",
        before=None,
    )
    pretrain_beta: float = setting(
        0.05,
        _NOT_NEGATIVE,
        "Pretraining's weight of all but the reconstruction.",
        model="gmvae",
        doc="Pretraining's weight of all but the reconstruction: small, so that the codes spread.",
    )
    warmup_epochs: int = setting(
        10,
        Count(0),
        "Epochs over which beta rises.",
        doc="Epochs of joint training over which beta rises to the model's.",
    )
    capacity: float | None = setting(
        None,
        Number("nats >= 0, or None", least=0),
        "Nats that beta holds the KL divergence to; free if left out.",
        doc="C of Burgess et al. (2018): what is maximised is then the reconstruction less beta "
        "times ``|KL - C|``, with C rising from zero to ``capacity`` nats over the first "
        "``capacity_epochs`` of joint training. A large beta holds the divergence at C. None is "
        "without.",
        before=None,
    )
    capacity_epochs: int = setting(
        50, Count(0), "Epochs over which the capacity rises.", needs=Needs("capacity"), before=50
    )
    initialization: str = setting(
        "em",
        OneOf(("em", "kmeans", "kmeans++", "none")),
        "Start of the mixture, on the encoded data: em, kmeans, kmeans++ or none.",
        model="gmvae",
        doc='Start of the mixture from the encoded data: ``"em"``, ``"kmeans"``, ``"kmeans++"``, '
        'or ``"none"`` to leave the components where they are.',
        metavar="NAME",
    )
    batch_size: int = setting(
        128,
        Count(1),
        "Examples a step; a single one left over at an epoch's end joins the step before.",
    )
    lr: float = setting(1e-3, Number("a number > 0, as 1e-3", above=0), "Learning rate.")
    optimizer: str = setting(
        "adam",
        OneOf(("adam", "adamw")),
        "Adam or AdamW.",
        doc="Adam or AdamW, the fused implementations.",
    )
    weight_decay: float = setting(0.0, _NOT_NEGATIVE, "Of the optimizer.")
    prior_update: str = setting(
        "gradient",
        OneOf(("gradient", "em")),
        "The mixture by gradients or by stepwise EM.",
        model="gmvae",
        doc='How the mixture moves: ``"gradient"``, with the networks, or ``"em"``, by stepwise EM '
        "(:class:`pyvae.optim.StepwiseEM`).",
        before="gradient",
    )
    prior_lr: float = setting(
        0.02,
        Number("a share in (0, 1]", above=0, most=1),
        "Share of a batch in a step of EM.",
        model="gmvae",
        doc="Share of a batch in a step of EM, constant over the run.",
        needs=Needs("prior_update", "em"),
        before=0.02,
    )
    schedule: str = setting(
        "cosine",
        OneOf(("constant", "cosine", "linear")),
        "Of the learning rate.",
        doc='Learning rate of joint training: ``"constant"``, or ``"cosine"`` or ``"linear"`` to '
        "zero.",
    )
    grad_clip: float | None = setting(
        None,
        Number("a norm > 0, or None", above=0),
        "Greatest norm of the gradient; any if left out.",
        doc="Greatest norm of the gradient; None is any.",
    )
    early_stopping: int | None = setting(
        None,
        Count(1),
        "Epochs without a better validation bound; needs --validation.",
        doc="Stop after so many epochs after the warm-up without a higher validation bound, and "
        "leave the model with the weights of the best epoch.",
    )
    seed: int = setting(
        0,
        Count(0, 2**32 - 1),  # scikit-learn's
        "Of everything random.",
        doc="Of the noise, the order of the data and the start of the mixture; not of the model's "
        "initial parameters, which are drawn when it is built.",
    )
    precision: str = setting(
        "32-true",
        ANYTHING,
        "Of the networks.",
        option_kind=OneOf(("32-true", "64-true", "bf16-mixed", "16-mixed")),
        panel=_MACHINE,
        doc="As Lightning Fabric takes it.",
    )
    compile: bool = setting(
        False,
        Flag(),
        "Use torch.compile.",
        panel=_MACHINE,
        doc="Compile the objective with ``torch.compile``.",
    )
    # The command line's --device and --output; the others are for programs alone.
    accelerator: str = setting("auto", ANYTHING, "As Lightning Fabric takes it.", option=None)
    devices: int | str = setting(
        1,
        ANYTHING,
        "As Lightning Fabric takes them. Several devices share every batch.",
        option=None,
    )
    output_dir: str | Path | None = setting(
        None,
        ANYTHING,
        "Folder of ``last.ckpt``, ``best.ckpt``, ``history.csv`` and ``history.json``; None "
        "writes nothing.",
        option=None,
        free=True,
    )
    checkpoint_seconds: float = setting(
        10.0,
        _NOT_NEGATIVE,
        "Least time between two checkpoints; 0 writes one every epoch.",
        option=None,
        free=True,
    )
    num_workers: int = setting(0, Count(0), "Processes that load data.", option=None, free=True)
    tensorboard: bool | None = setting(
        None,
        ANYTHING,
        "Log to TensorBoard; None does where it is installed.",
        option=None,
        free=True,
    )
    progress: str = setting(
        "auto",
        OneOf(("auto", "bar", "plain", "silent")),
        '``"bar"``, ``"plain"`` lines, ``"silent"``, or ``"auto"``: the bar on a terminal.',
        option=None,
        free=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.capacity is not None and self.objective != "elbo":
            raise WrongValue(f"capacity belongs to objective 'elbo', not to {self.objective!r}")
        if self.prior_update == "em" and self.capacity is not None:
            raise WrongValue(
                "below its capacity the divergence is pushed up, which no step of EM does; leave "
                "out capacity, or take prior_update='gradient'"
            )
        if self.prior_update == "em" and self.precision == "16-mixed":
            raise WrongValue(
                "prior_update 'em' reads the gradients, which precision '16-mixed' scales; take "
                "'bf16-mixed'"
            )

    def identity(self) -> dict[str, Any]:
        """Return the settings that a resumed run must share with the one it goes on from.

        What has no use must not differ, and runs from before there was a choice go on.
        """
        free = changeable(self.schedule)
        values = self.of(TrainerSettings)
        return {
            name: values[name]
            for name, about in settings_of(TrainerSettings).items()
            if name not in free
            and (about.needs is None or about.needs.met_by(values))
            and about.before != values[name]
        }


def changeable(schedule: str) -> set[str]:
    """Return names of what a resumed run may change: no number of a past epoch depends on it.

    Parameters
    ----------
    schedule
        Of the learning rate, as the setting of that name.

    Returns
    -------
    Names of settings.
    """
    free = {name for name, about in settings_of(TrainerSettings).items() if about.free}
    # Without a schedule an epoch does not depend on how many follow: a run may be prolonged.
    return free | {"epochs"} if schedule == "constant" else free
