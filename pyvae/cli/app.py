# SPDX-License-Identifier: MIT
"""The commands and their options; what they do is in the modules beside this one."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from pyvae.cli import manners, options
from pyvae.cli.reading import for_its_data, with_reading
from pyvae.cli.settings import SEEDS, with_settings, within

app = manners.application(completion=True)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    return manners.run(app, "pyvae", args)


@app.callback(invoke_without_command=True)
def pyvae(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", metavar="", help="Print the version.")
    ] = False,
) -> None:
    """Train, score and sample variational autoencoders with Gaussian-mixture priors."""
    if version:
        from importlib.metadata import version as installed

        print(f"pyvae {installed('pyvae')}")
    elif ctx.invoked_subcommand is None:
        print(ctx.get_help())


@app.command()
@with_settings
@with_reading(labels=True)
def train(
    ctx: typer.Context,
    data: options.DataPath = "digits",
    labels: options.LabelsPath = None,
    split: options.Split = options.Part.train,
    validation: options.Validation = 0.0,
    model: options.Model = options.ModelName.gmvae,
    latent_dim: options.LatentDim = 10,
    likelihood: options.LikelihoodOption = options.Likelihood.auto,
    pseudo_inputs: options.PseudoInputs = 0,
    device: options.DeviceOption = options.Device.auto,
    threads: options.Threads = None,
    config: options.Config = None,
    print_config: options.PrintConfig = False,
    output: options.Output = None,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    baselines: options.Baselines = True,
    pictures: options.Pictures = True,
    picture_format: options.PictureFormatOption = options.PictureFormat.png,
    quiet: options.Quiet = False,
    **settings: Any,
) -> None:
    """Train a model, score it and draw what it learnt.

    Without options: a Gaussian-mixture VAE on real handwritten digits.
    """
    from pyvae.cli import config as files
    from pyvae.cli import train as command

    values = _values(ctx.params)
    del values["config"], values["print_config"]
    here = {name: value for name, value in values.items() if _is_given(ctx, name)}
    told = {} if config is None else files.read(Path(config).expanduser(), train)
    values = for_its_data({**values, **told}, here)
    given = told.keys() | here.keys()
    if print_config:
        print(files.written(command.options_of_run(values, given), train), end="")
    else:
        command.train(values, given=given)


@app.command()
@with_reading(labels=True)
def evaluate(
    ctx: typer.Context,
    run: options.RunPath,
    data: Annotated[
        str | None, typer.Option(metavar="PATH", help="Other data than the run's.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="PATH", help="One integer an example, for other data.")
    ] = None,
    split: Annotated[
        options.Part | None, typer.Option(help="Part of the data; the run's own if left out.")
    ] = None,
    samples: Annotated[
        int, typer.Option(help="Of the importance-weighted log-likelihood.", **within(1))
    ] = 128,
    seed: Annotated[
        int | None,
        typer.Option(help="Of the random numbers; the run's own if left out.", **within(0, SEEDS)),
    ] = None,
    threads: options.RunThreads = None,
    baselines: options.Baselines = True,
    as_json: options.AsJson = False,
    **reading: Any,
) -> None:
    """Score a trained model, on its own data or others."""
    from pyvae.cli import evaluate as command

    command.evaluate(
        run,
        data=data,
        labels=labels,
        split=None if split is None else split.value,
        samples=samples,
        seed=seed,
        threads=threads,
        baselines=baselines,
        as_json=as_json,
        reading=_given_of(ctx, reading),
    )


@app.command()
@with_reading(labels=True)
def predict(
    ctx: typer.Context,
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Folder of a run, of a saved model, or of fit-mixture."),
    ],
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="What to tell apart; the run's own data if left out."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A .csv or .tsv file, a line a row with component and probabilities; or .npy, an "
            "array of components, (N,). CSV on stdout if left out, or for -.",
        ),
    ] = None,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities",
            metavar="",
            help="Into a .npy file, in place of components, (N, K); text holds both.",
        ),
    ] = False,
    split: Annotated[
        options.Part | None, typer.Option(help="Part of the data; the run's own if left out.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace the file.")
    ] = False,
    threads: options.RunThreads = None,
    **reading: Any,
) -> None:
    """Write the component of every row, and how probable each is.

    In the order of the data, by a Gaussian-mixture VAE or a mixture that fit-mixture has fitted.
    """
    from pyvae.cli import predict as command

    command.predict(
        run,
        data,
        output=output,
        probabilities=probabilities,
        split=None if split is None else split.value,
        overwrite=overwrite,
        threads=threads,
        reading=_given_of(ctx, reading),
    )


@app.command()
def sample(
    run: options.RunPath,
    count: Annotated[int, typer.Option("-n", "--count", help="How many.", **within(1))] = 64,
    component: Annotated[
        int | None, typer.Option(help="Draw from this component only.", **within(0))
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A .png, .pdf, .svg or .npy file; RUN/samples.png if left out."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random numbers.", **within(0, SEEDS))] = 0,
    threads: options.RunThreads = None,
) -> None:
    """Draw samples of a trained model into a picture or an array."""
    from pyvae.cli import sample as command

    command.sample(run, count=count, component=component, output=output, seed=seed, threads=threads)


@app.command("fit-mixture")
@with_reading(labels=False)
def fit_mixture(
    ctx: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A .npy, .npz or .parquet file, a table (.csv, .tsv, .txt), a folder of images, "
            "or digits.",
        ),
    ],
    components: Annotated[
        str,
        typer.Option(
            "-k",
            "--components",
            metavar="K",
            help="How many, such as 10; of several, 1-10 or 2,3,5, the best is kept.",
        ),
    ] = "10",
    family: Annotated[
        options.MixtureFamily,
        typer.Option(
            help="Of the components. bernoulli: zeros and ones; categorical: codes or text; table: "
            "numbers, zeros and ones, and text."
        ),
    ] = options.MixtureFamily.gaussian,
    covariance: Annotated[
        options.MixtureCovariance,
        typer.Option(
            help="What the components' covariances may be; all: each type, the best kept "
            "(gaussian, student-t)."
        ),
    ] = options.MixtureCovariance.full,
    rank: Annotated[
        int | None,
        typer.Option(help="Factors of low_rank covariances; all has them too then.", **within(1)),
    ] = None,
    criterion: Annotated[
        options.Criterion, typer.Option(help="Of several fits the one of the least is kept.")
    ] = options.Criterion.bic,
    noise: Annotated[
        options.MixtureNoise | None,
        typer.Option(
            help="A component of noise, -1 in labels, for points of no cluster (gaussian)."
        ),
    ] = None,
    degrees_of_freedom: Annotated[
        str,
        typer.Option(
            metavar="free|tied|N",
            help="Fitted for each component, one fitted for all, or given (student-t).",
        ),
    ] = "free",
    binarize: Annotated[
        float | None,
        typer.Option(metavar="N", help="What is above N counts as one (bernoulli)."),
    ] = None,
    initialization: Annotated[
        options.MixtureStart | None,
        typer.Option(help="Where a fit starts; the family's usual start if left out."),
    ] = None,
    starts: Annotated[int, typer.Option(help="Of which the best is kept.", **within(1))] = 1,
    max_iter: Annotated[int, typer.Option(help="Iterations at most.", **within(1))] = 200,
    tolerance: Annotated[
        float, typer.Option(help="Stops below this gain, in nats a point.", **within(0, 1e9))
    ] = 1e-4,
    reg_covar: Annotated[
        float,
        typer.Option(help="Added to the variances (gaussian, student-t).", **within(0, 1e30)),
    ] = 1e-6,
    seed: Annotated[int, typer.Option(help="Of the random numbers.", **within(0, SEEDS))] = 0,
    split: Annotated[options.Part, typer.Option(help="Part of the data.")] = options.Part.train,
    categorical: options.CategoricalColumns = None,
    label_column: options.KnownColumn = None,
    labels: options.KnownLabels = None,
    threads: options.CpuThreads = None,
    output: Annotated[
        str, typer.Option(metavar="DIR", help="Folder for parameters, labels and pictures.")
    ] = "runs/mixture",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace the mixture in the folder.")
    ] = False,
    picture_format: Annotated[
        options.PictureFormat, typer.Option(help="Of the pictures; pdf and svg for print.")
    ] = options.PictureFormat.png,
    **reading: Any,
) -> None:
    """Fit a mixture by EM, of Gaussians or others: parameters, labels and a picture."""
    from pyvae.cli import fit_mixture as command

    values = _values({name: ctx.params[name] for name in ctx.params if name not in reading})
    given = frozenset(name for name in ctx.params if _is_given(ctx, name))
    command.fit_mixture(command.Options(**values, reading=_values(reading), given=given))


@app.command("fit-kl")
def fit_kl(
    weights: Annotated[str, typer.Option(help="Of the target's components.")] = "1/3,2/3",
    means: Annotated[str, typer.Option(help="Their means.")] = "-1,1",
    sigmas: Annotated[str, typer.Option(help="Their standard deviations.")] = "1,1",
    output: Annotated[
        str, typer.Option(metavar="FILE", help="Picture: .png, .pdf or .svg.")
    ] = "kl.png",
    threads: options.CpuThreads = None,
) -> None:
    """Fit one Gaussian to a mixture on the line by both directions of the KL divergence."""
    from pyvae.cli import fit_kl as command

    command.fit_kl(weights, means, sigmas, output, threads)


@app.command()
def info(as_json: options.AsJson = False) -> None:
    """Tell versions, instruction sets, threads, devices, and where each op runs."""
    from pyvae.cli import info as command

    command.info(as_json)


def _values(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: getattr(value, "value", value) for name, value in parameters.items()}


def _given_of(ctx: typer.Context, parameters: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in parameters.items() if _is_given(ctx, name)}
    return _values(given)


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
