# SPDX-License-Identifier: MIT
"""The options of ``pyvae train`` that are its own; the others follow from pyvae/settings/."""

import math
from enum import Enum
from typing import Annotated, Any

import typer

from pyvae.cli.files import PictureFormat
from pyvae.cli.settings import PANELS, within

_DATA, _MODEL, _TRAINING, _MACHINE, _RUN = PANELS


class ModelName(str, Enum):
    """``--model``."""

    gmvae = "gmvae"
    vae = "vae"


class Part(str, Enum):
    """``--split``."""

    train = "train"
    test = "test"
    all = "all"


class Likelihood(str, Enum):
    """``--likelihood``."""

    auto = "auto"
    bernoulli = "bernoulli"
    gaussian = "gaussian"


class MixtureFamily(str, Enum):
    """``--family`` of ``fit-mixture``."""

    gaussian = "gaussian"
    student_t = "student-t"
    bernoulli = "bernoulli"
    categorical = "categorical"
    table = "table"


class MixtureNoise(str, Enum):
    """``--noise`` of ``fit-mixture``."""

    uniform = "uniform"


class MixtureStart(str, Enum):
    """``--initialization`` of ``fit-mixture``."""

    short_em = "short_em"
    kmeans = "kmeans"
    trimmed_kmeans = "trimmed_kmeans"
    kmeans_plus_plus = "k-means++"
    random = "random"
    random_from_data = "random_from_data"


class MixtureCovariance(str, Enum):
    """``--covariance`` of ``fit-mixture``."""

    full = "full"
    tied = "tied"
    diag = "diag"
    spherical = "spherical"
    tied_diag = "tied_diag"
    tied_spherical = "tied_spherical"
    low_rank = "low_rank"
    all = "all"


class Criterion(str, Enum):
    """``--criterion`` of ``fit-mixture``."""

    bic = "bic"
    aic = "aic"
    icl = "icl"


class Device(str, Enum):
    """``--device``."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


def _option(flag: str, help_text: str, panel: str, **more: Any) -> Any:
    return typer.Option(flag, help=help_text, rich_help_panel=panel, **more)


def _flag(flag: str, help_text: str, panel: str) -> Any:
    return _option(flag, help_text, panel, metavar="")  # it would say <bool>, and takes no value


def _number(flag: str, help_text: str, panel: str, least: float, most: float = math.inf) -> Any:
    return _option(flag, help_text, panel, **within(least, most))


DataPath = Annotated[
    str,
    _option(
        "--data",
        "'digits' (1,797 real 8x8 images), a folder of IDX files (MNIST's) or of PNG or JPEG "
        "files, or one IDX, .npy, .npz, .csv or .parquet file.",
        _DATA,
        metavar="PATH",
    ),
]
LabelsPath = Annotated[
    str | None,
    _option(
        "--labels",
        "File of one integer or name of a class an example, where the data hold none. Never used "
        "in training.",
        _DATA,
        metavar="PATH",
    ),
]
Split = Annotated[Part, _option("--split", "Part of data that come in parts.", _DATA)]
Validation = Annotated[
    float,
    _number(
        "--validation",
        "Share of the examples held out to watch the bound.",
        _DATA,
        least=0,
        most=0.9,
    ),
]

Model = Annotated[ModelName, _option("--model", "Gaussian-mixture or plain VAE.", _MODEL)]
# These have defaults or choices of the command's own, and so take the place of the homes'.
LatentDim = Annotated[int, _number("--latent-dim", "Dimensions of w.", _MODEL, least=1)]
LikelihoodOption = Annotated[
    Likelihood,
    _option("--likelihood", "Of x; auto is bernoulli for data in [0, 1], else gaussian.", _MODEL),
]
PseudoInputs = Annotated[
    int,
    _number(
        "--pseudo-inputs",
        "VampPrior of so many, in place of N(0, I) (vae).",
        _MODEL,
        least=0,
    ),
]

DeviceOption = Annotated[Device, _option("--device", "Where to run.", _MACHINE)]
Threads = Annotated[
    int | None,
    _number(
        "--threads",
        "CPU threads; if left out one where the problem is small, else as many as torch takes.",
        _MACHINE,
        least=1,
    ),
]

Config = Annotated[
    str | None,
    _option(
        "--config",
        "File of options, as --print-config prints one, or a run's folder, to do the like of it; "
        "options given here go before those of the file.",
        _RUN,
        metavar="FILE",
    ),
]
PrintConfig = Annotated[
    bool, _flag("--print-config", "Print the options of the run as such a file, and end.", _RUN)
]
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
PictureFormatOption = Annotated[
    PictureFormat, _option("--picture-format", "Of the pictures; pdf and svg for print.", _RUN)
]
Quiet = Annotated[bool, _flag("--quiet", "Print nothing but errors.", _RUN)]

# Of the other commands, whose help has no panels.
RunPath = Annotated[
    str, typer.Argument(metavar="RUN", help="Folder of a run, or of a saved model.")
]
AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")]

# Of fit-mixture's data.
CategoricalColumns = Annotated[
    str | None,
    _option(
        "--categorical",
        "Columns of categories, though of numbers, by name or number from 1: a,b,c (table).",
        _DATA,
        metavar="NAMES",
    ),
]
KnownColumn = Annotated[
    str | None,
    _option(
        "--label-column",
        "Column of the components that are known, by number or name; empty or -1 is unknown "
        "(gaussian, student-t).",
        _DATA,
        metavar="NAME",
    ),
]
KnownLabels = Annotated[
    str | None, _option("--labels", "The same in a file of its own.", _DATA, metavar="FILE")
]


def _threads(default: str) -> Any:
    text = f"CPU threads; if left out {default}."
    return typer.Option("--threads", help=text, **within(1, 1024))


CpuThreads = Annotated[int | None, _threads("one where the problem is small")]
RunThreads = Annotated[
    int | None, _threads("as many as the run had, or one where the problem is small")
]
