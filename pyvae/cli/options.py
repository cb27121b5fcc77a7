# SPDX-License-Identifier: MIT
"""The options of ``pyvae train``: names, help, panels, choices."""

from enum import Enum
from typing import Annotated, Any

import typer

_DATA, _MODEL, _TRAINING = "Data", "Model", "Training"
_MACHINE, _RUN = "Machine", "Run folder and output"


class ModelName(str, Enum):
    """``--model``."""

    gmvae = "gmvae"
    vae = "vae"


class Part(str, Enum):
    """``--split``."""

    train = "train"
    test = "test"
    all = "all"


class Covariance(str, Enum):
    """``--covariance``."""

    isotropic = "isotropic"
    diagonal = "diagonal"


class Posterior(str, Enum):
    """``--posterior``."""

    exact = "exact"
    amortized = "amortized"


class Likelihood(str, Enum):
    """``--likelihood``."""

    auto = "auto"
    bernoulli = "bernoulli"
    gaussian = "gaussian"


class ObjectiveName(str, Enum):
    """``--objective``."""

    elbo = "elbo"
    iwae = "iwae"
    wake_sleep = "wake-sleep"
    reweighted_wake_sleep = "reweighted-wake-sleep"


class Optimizer(str, Enum):
    """``--optimizer``."""

    adam = "adam"
    adamw = "adamw"


class PriorUpdate(str, Enum):
    """``--prior-update``."""

    gradient = "gradient"
    em = "em"


class MixtureCovariance(str, Enum):
    """``--covariance`` of ``fit-mixture``."""

    full = "full"
    tied = "tied"
    diag = "diag"
    spherical = "spherical"


class BenchDevice(str, Enum):
    """``--device`` of ``bench``."""

    cpu = "cpu"
    cuda = "cuda"


class Schedule(str, Enum):
    """``--schedule``."""

    constant = "constant"
    cosine = "cosine"
    linear = "linear"


class Initialization(str, Enum):
    """``--initialization``."""

    em = "em"
    kmeans = "kmeans"
    kmeans_plus_plus = "kmeans++"
    none = "none"


class Device(str, Enum):
    """``--device``."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


class Precision(str, Enum):
    """``--precision``, as Lightning Fabric calls them."""

    full = "32-true"
    double = "64-true"
    bfloat16 = "bf16-mixed"
    half = "16-mixed"


def _option(flag: str, help_text: str, panel: str, **more: Any) -> Any:
    return typer.Option(flag, help=help_text, rich_help_panel=panel, **more)


def _flag(flag: str, help_text: str, panel: str) -> Any:
    return _option(flag, help_text, panel, metavar="")  # it would say <bool>, and takes no value


def _number(flag: str, help_text: str, panel: str, **more: Any) -> Any:
    return _option(flag, help_text, panel, metavar="N", **more)


DataPath = Annotated[
    str,
    _option(
        "--data",
        "'digits' (1,797 real 8x8 images), a folder of IDX files (MNIST's), or one IDX, .npy, "
        ".npz or .csv file.",
        _DATA,
        metavar="PATH",
    ),
]
LabelsPath = Annotated[
    str | None,
    _option(
        "--labels",
        "One integer an example, where PATH holds none. Never used in training.",
        _DATA,
        metavar="PATH",
    ),
]
Split = Annotated[Part, _option("--split", "Part of data that come in parts.", _DATA)]
Validation = Annotated[
    float,
    _number("--validation", "Share of the examples held out to watch the bound.", _DATA, max=0.9),
]

Model = Annotated[ModelName, _option("--model", "Gaussian-mixture or plain VAE.", _MODEL)]
Components = Annotated[
    int, _number("--components", "K, components of the mixture (gmvae).", _MODEL, min=1)
]
LatentDim = Annotated[int, _number("--latent-dim", "Dimensions of w.", _MODEL, min=1)]
Hidden = Annotated[
    str, _option("--hidden", "Widths of the encoder's hidden layers.", _MODEL, metavar="W,W,...")
]
CovarianceOption = Annotated[
    Covariance, _option("--covariance", "Of the components (gmvae).", _MODEL)
]
PosteriorOption = Annotated[
    Posterior,
    _option("--posterior", "q(z|w,x): p(z|w) itself, or a network (gmvae).", _MODEL),
]
ClosedForm = Annotated[
    bool,
    _flag(
        "--closed-form",
        "Expect log p(w|z) in closed form, as VaDE does (gmvae).",
        _MODEL,
    ),
]
LearnWeights = Annotated[
    bool, _flag("--learn-weights", "Train the components' weights (gmvae).", _MODEL)
]
LikelihoodOption = Annotated[
    Likelihood,
    _option("--likelihood", "Of x; auto is bernoulli for data in [0, 1], else gaussian.", _MODEL),
]
Beta = Annotated[float, _number("--beta", "Weight of all but the reconstruction.", _MODEL)]
NumSamples = Annotated[
    int, _number("--num-samples", "Monte Carlo samples of w an example.", _MODEL, min=1)
]
PseudoInputs = Annotated[
    int,
    _number(
        "--pseudo-inputs",
        "VampPrior of so many, in place of N(0, I) (vae).",
        _MODEL,
        min=0,
    ),
]

ObjectiveOption = Annotated[
    ObjectiveName,
    _option(
        "--objective",
        "elbo, the bound; iwae, over importance weights; wake-sleep or reweighted-wake-sleep, with "
        "the forward KL for the encoder. All but elbo are without warm-up.",
        _TRAINING,
        metavar="NAME",
    ),
]
Epochs = Annotated[int, _number("--epochs", "Passes of joint training.", _TRAINING, min=1)]
PretrainEpochs = Annotated[
    int,
    _number(
        "--pretrain-epochs",
        "Passes before the mixture is there, as a VAE (gmvae).",
        _TRAINING,
        min=0,
    ),
]
PretrainBeta = Annotated[
    float,
    _number("--pretrain-beta", "Pretraining's weight of all but the reconstruction.", _TRAINING),
]
WarmupEpochs = Annotated[
    int, _number("--warmup-epochs", "Epochs over which beta rises.", _TRAINING, min=0)
]
Capacity = Annotated[
    float | None,
    _number(
        "--capacity",
        "Nats that beta holds the KL divergence to; free if left out.",
        _TRAINING,
        min=0,
    ),
]
CapacityEpochs = Annotated[
    int, _number("--capacity-epochs", "Epochs over which the capacity rises.", _TRAINING, min=0)
]
InitializationOption = Annotated[
    Initialization,
    _option(
        "--initialization",
        "Start of the mixture, on the encoded data: em, kmeans, kmeans++ or none (gmvae).",
        _TRAINING,
        metavar="NAME",
    ),
]
BatchSize = Annotated[int, _number("--batch-size", "Examples a step.", _TRAINING, min=1)]
LearningRate = Annotated[float, _number("--lr", "Learning rate.", _TRAINING)]
OptimizerOption = Annotated[Optimizer, _option("--optimizer", "Adam or AdamW.", _TRAINING)]
WeightDecay = Annotated[float, _number("--weight-decay", "Of the optimizer.", _TRAINING)]
PriorUpdateOption = Annotated[
    PriorUpdate,
    _option("--prior-update", "The mixture by gradients or by stepwise EM (gmvae).", _TRAINING),
]
PriorLearningRate = Annotated[
    float, _number("--prior-lr", "Share of a batch in a step of EM (gmvae).", _TRAINING)
]
ScheduleOption = Annotated[Schedule, _option("--schedule", "Of the learning rate.", _TRAINING)]
GradClip = Annotated[
    float | None,
    _number("--grad-clip", "Greatest norm of the gradient; any if left out.", _TRAINING),
]
EarlyStopping = Annotated[
    int | None,
    _number(
        "--early-stopping",
        "Epochs without a better validation bound; needs --validation.",
        _TRAINING,
        min=1,
    ),
]
Seed = Annotated[int, _number("--seed", "Of everything random.", _TRAINING, min=0)]

DeviceOption = Annotated[Device, _option("--device", "Where to run.", _MACHINE)]
Threads = Annotated[
    int | None,
    _number("--threads", "CPU threads; as many as torch takes if left out.", _MACHINE, min=1),
]
PrecisionOption = Annotated[Precision, _option("--precision", "Of the networks.", _MACHINE)]
Compile = Annotated[bool, _flag("--compile", "Use torch.compile.", _MACHINE)]

Output = Annotated[
    str | None,
    _option("--output", "Folder of the run; runs/DATA-MODEL if left out.", _RUN, metavar="DIR"),
]
Resume = Annotated[
    bool, _flag("--resume", "Go on with the run in the folder, with its settings.", _RUN)
]
Overwrite = Annotated[bool, _flag("--overwrite", "Delete the run in the folder first.", _RUN)]
Baselines = Annotated[
    bool,
    _flag(
        "--baselines/--no-baselines",
        "Score scikit-learn's k-means and GaussianMixture on the same data.",
        _RUN,
    ),
]
Pictures = Annotated[bool, _flag("--pictures/--no-pictures", "Draw what was learnt.", _RUN)]
Quiet = Annotated[bool, _flag("--quiet", "Print nothing but errors.", _RUN)]
