# SPDX-License-Identifier: MIT
"""The home of the trainer's settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pyvae.errors import WrongValue
from pyvae.settings.kinds import (
    ANYTHING,
    Count,
    Flag,
    Number,
    Objects,
    OneOf,
    WordOrEstimator,
    WordOrFactor,
)
from pyvae.settings.setting import Home, Needs, setting, settings_of

if TYPE_CHECKING:
    from typing_extensions import Self

CLUSTERINGS = ("invariant", "graph")  # by name; any that has predict_proba is another
_STARTS = ("auto", *CLUSTERINGS, "em", "kmeans", "kmeans++", "none")
_SCHEDULES = ("constant", "cosine", "linear")
_CALLBACK = (
    "on_fit_start", "on_epoch_start", "on_batch_end", "on_epoch_end", "on_checkpoint",
    "on_fit_end", "on_exception",
)  # fmt: skip
_LOGGER = ("log_hyperparams", "log_metrics", "finalize")
_MACHINE = "Machine"
_NOT_NEGATIVE = Number("a number >= 0", least=0)


class Lengths(NamedTuple):
    """How long a run takes, in epochs, and its steps, in examples."""

    epochs: int
    pretrain_epochs: int
    warmup_epochs: int
    batch_size: int


# What is left out of a run: from codes; and from clusters, in few examples and in many.
_FROM_CODES = Lengths(100, 100, 10, 128)
_FROM_CLUSTERS = (Lengths(100, 0, 0, 64), Lengths(40, 0, 0, 256))
_MANY = 20_000


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
    epochs: int | None = setting(
        None,
        Count(0),
        "Passes of joint training; left out, 100, or 40 from clusters in 20,000 examples or more.",
        option_kind=Count(1),
        doc="Passes over the data in joint training. None is 100, or 40 from clusters in 20,000 "
        "examples or more.",
    )
    pretrain_epochs: int | None = setting(
        None,
        Count(0),
        "Passes before the mixture is there, as a VAE; left out, 100, or none from clusters.",
        model="gmvae",
        doc="Passes before the mixture is there, as a VAE with prior N(0, I). None is 100, or none "
        "from clusters, whose components are there from the start. A ``VAE`` has none.",
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
    warmup_epochs: int | None = setting(
        None,
        Count(0),
        "Epochs over which beta rises; left out, 10, or none from clusters.",
        doc="Epochs of joint training over which beta rises to the model's. None is 10, or none "
        'from clusters and for other objectives than ``"elbo"``.',
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
    initialization: Any = setting(
        "auto",
        WordOrEstimator(_STARTS),
        "Start of the mixture: invariant or graph, at clusters of the data; em, kmeans or "
        "kmeans++, on the encoded data; none; or auto, what suits the data.",
        model="gmvae",
        doc="Start of the mixture. At clusters of the data (:meth:`pyvae.models.GMVAE.anchor`): "
        '``"invariant"`` (:class:`pyvae.clustering.InvariantClustering`), ``"graph"`` '
        "(:class:`pyvae.clustering.NeighborGraphClustering`), or an estimator that has "
        "``predict_proba``, fitted here to the training data unless it is. From the data as "
        'encoded after pretraining: ``"em"``, ``"kmeans"`` or ``"kmeans++"``. ``"none"`` leaves '
        'the components where they are. ``"auto"`` is ``"invariant"`` for 5,000 images or more, '
        '``"graph"`` for 500 or more, and ``"em"`` for tables, for models with an encoder of your '
        "own or an amortized posterior, and where pretraining is asked for.",
        option_kind=OneOf(_STARTS),
        metavar="NAME",
    )
    batch_size: int | None = setting(
        None,
        Count(1),
        "Examples a step; left out, 128, or from clusters 64, and 256 of 20,000 examples or more.",
        doc="Examples a step. None is 128, or from clusters 64, and 256 of 20,000 or more. A "
        "single one left over at an epoch's end joins the step before.",
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
    schedule: str | Callable[[float], float] = setting(
        "cosine",
        WordOrFactor(_SCHEDULES),
        "Of the learning rate.",
        option_kind=OneOf(_SCHEDULES),
        doc='Learning rate of joint training: ``"constant"``, or ``"cosine"`` or ``"linear"`` to '
        "zero; or a function from the share of joint training that is done, in [0, 1], to the "
        "factor of ``lr``. It must depend on nothing else: a resumed run calls it where it goes "
        "on, and a checkpoint keeps its name and its factors at every quarter, to tell it from "
        "others. Schedulers of torch's are no such functions: they belong to an optimizer and "
        "count its steps; of ``LambdaLR`` pass the function.",
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
    callbacks: Any = setting(
        None,
        Objects("a pyvae.training.Callback, or a list of them", _CALLBACK),
        "What a run calls as it goes.",
        doc="A :class:`pyvae.training.Callback`, or a list of them, which the run calls as it "
        "goes.",
        option=None,
        free=True,
        before=None,
    )
    logger: Any = setting(
        None,
        Objects("a logger of Lightning's interface, or a list of them", _LOGGER),
        "What the rows of the history are told.",
        doc="Any logger of Lightning's interface (``log_hyperparams``, ``log_metrics``, "
        "``finalize``), as those of ``lightning_fabric.loggers``, or a list of them: told the "
        "options of the model and the settings once, and the numbers of every row of the history, "
        "with the epoch as their step.",
        option=None,
        free=True,
        before=None,
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

    def completed(self, initialization: Any, examples: int, *, clustered: bool) -> Self:
        """Return the settings with that start, and with what was left out, which follows from it.

        Raises
        ------
        ValueError
            If a run from clusters is to be pretrained.
        """
        if clustered and self.pretrain_epochs:
            raise WrongValue(
                f"pretrain_epochs={self.pretrain_epochs}: pretraining would draw the codes from "
                "their clusters to the origin; leave it out, or take initialization='em'"
            )
        lengths = _FROM_CLUSTERS[examples >= _MANY] if clustered else _FROM_CODES
        values = lengths._asdict()
        if self.objective != "elbo":
            values["warmup_epochs"] = 0
        values = {name: value for name, value in values.items() if getattr(self, name) is None}
        return replace(self, initialization=initialization, **values)

    @property
    def lengths(self) -> Lengths:
        """Those of a run, of which none is left out."""
        return Lengths(*(getattr(self, name) for name in Lengths._fields))

    def identity(self, *, clustered: bool) -> dict[str, Any]:
        """Return the settings that a resumed run must share with the one it goes on from.

        What has no use must not differ, and runs from before there was a choice go on. Where the
        clusters of a run came from does not matter: its checkpoint has them.
        """
        free = changeable(self.schedule)
        values = self.of(TrainerSettings)
        if clustered:
            values["initialization"] = "clusters"
        return {
            name: about.kind.recorded(values[name])
            for name, about in settings_of(TrainerSettings).items()
            if name not in free
            and (about.needs is None or about.needs.met_by(values))
            and about.before != values[name]
        }


def changeable(schedule: object) -> set[str]:
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
