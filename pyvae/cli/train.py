# SPDX-License-Identifier: MIT
"""``pyvae train``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from pyvae.cli.errors import Interrupted, RunFailed, UserError
from pyvae.cli.evaluate import about
from pyvae.cli.reading import (
    as_trained_on,
    current_rules,
    load_data,
    require_complete,
)
from pyvae.cli.run_folder import RunFolder, absolute, default_output
from pyvae.cli.run_form import EARLIER_OPTIONS
from pyvae.cli.settings import OPTIONS, arguments, check, flag, no_use
from pyvae.cli.terminal import output, say, steps
from pyvae.cli.threads import use_threads, work_of
from pyvae.settings import GMVAEOptions, TrainerSettings, VAEOptions, changeable
from pyvae.storage.lock import locked

if TYPE_CHECKING:
    from rich.console import Console
    from torch.utils.data import Dataset

    from pyvae.data import Data
    from pyvae.models import LatentVariableModel, VampPrior

_PATHS = ("data", "labels")
# What belongs to one call and not to the run: a resumed run takes them anew.
_OF_THE_CALL = ("output", "resume", "overwrite", "quiet", "baselines", "pictures", "picture_format")


def options_of_run(options: dict[str, Any], given: set[str]) -> dict[str, Any]:
    """Return the options of the run that :func:`train` makes of these, or raise as it does.

    Nothing is read but the description of a run that is resumed.
    """
    if options["resume"]:
        folder = _folder_of(options)
        _check_resumable(folder, options)
        options = _resumed(folder, options, given)
    else:
        _check_belongs(options, given)
        check(options)
    require_complete(options)
    return options


def train(options: dict[str, Any], given: set[str]) -> None:
    """Train, score and draw.

    Parameters
    ----------
    options
        Every option of the command by its name.
    given
        Names of the options that stood on the command line, or in a file of options.
    """
    folder = _folder_of(options)
    try:
        with ExitStack() as held:
            if options["resume"]:
                _check_resumable(folder, options)
                held.enter_context(locked(folder.path))
                options = options_of_run(options, given)
            else:
                options = {**options_of_run(options, given), "reading_rules": current_rules()}
                folder.check_free(overwrite=options["overwrite"])
                if folder.holds_run:  # told now, and not after the data were read
                    held.enter_context(locked(folder.path))
            _train(folder, options, held)
    except KeyboardInterrupt:
        raise Interrupted(_way_on(folder)) from None


def _folder_of(options: dict[str, Any]) -> RunFolder:
    return RunFolder(options["output"] or default_output(options["data"], options["model"]))


def _train(folder: RunFolder, options: dict[str, Any], held: ExitStack) -> None:
    console = output(quiet=options["quiet"])
    device = choose_device(options["device"])
    data = load_data(options)
    if options["resume"]:
        data = as_trained_on(data, folder.read_settings())
    parts = _split(data, options["validation"], options["seed"])
    model = _build_model(options, data, parts[0])
    # Only now, for it takes seconds: a mistake in the data is told before.
    from pyvae.cli import pictures, report
    from pyvae.training import CallbackError, Trainer, TrainingDivergedError
    from pyvae.training.batches import Batches
    from pyvae.training.plan import begins_at_clusters, plan

    trainer = Trainer(
        **arguments(TrainerSettings, options),
        accelerator=device,
        output_dir=folder.path,
        progress="silent" if options["quiet"] else "auto",
    )
    trainer, why = plan(trainer, model, Batches(parts[0]))
    threads = use_threads(options["threads"], work_of(model, trainer.lengths.batch_size))
    options |= trainer.lengths._asdict()
    options |= {"threads": threads, "initialization": trainer.initialization}
    if not options["resume"]:
        held.enter_context(folder.begun(overwrite=options["overwrite"]))
        _record(folder, options, data)
    clustered = begins_at_clusters(trainer.initialization, model)
    report.opening(console, data, model, device, options["threads"], clustered=clustered)
    report.start(console, trainer.initialization, why)
    try:
        history = trainer.fit(model, *parts, resume="auto" if options["resume"] else False)
    except Exception as error:
        if not (folder.holds_checkpoint or folder.holds_search):
            folder.clear()  # nothing in it is worth keeping the next attempt out
        if isinstance(error, TrainingDivergedError | CallbackError):
            raise RunFailed(str(error)) from error
        raise
    _record(folder, options, data)  # once more: a resumed run may have been given more epochs
    folder.drop_links()
    model.cpu().save_pretrained(folder.model)
    seconds = sum(row["seconds"] for row in history)
    say(console, f"{len(history)} epochs took {seconds:.0f} s")
    figures = _scored(console, model, data, options, len(history) * len(Batches(parts[0])))
    folder.write_json(folder.metrics, {**about(data, options["split"]), **figures})
    written = []
    if options["pictures"]:
        kind = options["picture_format"]
        written = pictures.draw(folder.path, model, data, history.rows, kind)
    report.figures(console, figures, options["model"])
    report.closing(console, folder, written)


def _scored(
    console: Console,
    model: LatentVariableModel,
    data: Data,
    options: dict[str, Any],
    examples_seen: int,
) -> dict[str, Any]:
    """Score a model that has seen so many examples in training, each as often as it came."""
    from pyvae.models import GMVAE
    from pyvae.training import evaluate
    from pyvae.training.baselines import sample_size
    from pyvae.training.batches import Batches

    count = None
    if isinstance(model, GMVAE):
        # Forward and backward: six operations a parameter and example.
        work = 6.0 * examples_seen * sum(p.numel() for p in model.parameters())
        count = sample_size(Batches(data), model.num_components, work)
    with steps(console) as told:
        return evaluate(
            model,
            data,
            compare=options["baselines"],
            compare_examples=count,
            seed=options["seed"],
            told=told,
        )


def choose_device(name: str) -> str:
    """Return "cpu" or "cuda": auto is the GPU where the kernels for it are compiled in."""
    import torch

    from pyvae import ops

    if name == "cuda" and ops.CUDA_MISSING is not None:
        raise UserError(
            "--device cuda: this installation of pyvae has no CUDA kernels "
            f"{ops.CUDA_MISSING}, or use --device cpu"
        )
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no CUDA device; use --device cpu")
    usable = ops.CUDA_MISSING is None and torch.cuda.is_available()
    return "cuda" if name != "cpu" and usable else "cpu"


def _check_resumable(folder: RunFolder, options: dict[str, Any]) -> None:
    if options["overwrite"]:
        raise UserError("--resume and --overwrite exclude each other; give one of them")
    if not folder.settings.is_file():
        raise UserError(f"--resume: {folder} holds no run; leave out --resume to start one there")


def _resumed(folder: RunFolder, options: dict[str, Any], given: set[str]) -> dict[str, Any]:
    """Return the options of the run in the folder, with those of this call."""
    saved = {**EARLIER_OPTIONS, **folder.read_settings().get("options", {})}
    missing = sorted(set(options) - set(saved) - set(_OF_THE_CALL))
    if missing:
        raise UserError(f"{folder.settings}: damaged, it lacks {', '.join(missing)}")
    try:
        check(saved)
    except UserError as error:
        raise UserError(f"{folder.settings}: {error}") from error
    free = {*_OF_THE_CALL, "threads", *changeable(saved["schedule"])}
    for name in sorted(given - free):
        asked = absolute(options[name]) if name in _PATHS else options[name]
        if asked not in (saved[name], "auto"):  # which the run settled
            raise UserError(
                f"{flag(name)} {options[name]}: the run in {folder} has {saved[name]}, and a "
                "resumed run keeps its settings; leave the option out, or start another run"
            )
    return {**options, **saved, **{name: options[name] for name in given}}


def _check_belongs(options: dict[str, Any], given: set[str]) -> None:
    if options["early_stopping"] and not options["validation"]:
        raise UserError("--early-stopping watches the validation bound; add --validation 0.1, say")
    for name in OPTIONS:
        reason = no_use(name, options) if name in given else ""
        if reason:
            raise UserError(reason)


def _build_model(options: dict[str, Any], data: Data, train: Data | Dataset) -> LatentVariableModel:
    import torch

    from pyvae.models import GMVAE, VAE

    likelihood = options["likelihood"]
    if likelihood == "auto":
        likelihood = "bernoulli" if data.unit_interval else "gaussian"
    elif likelihood == "bernoulli" and not data.unit_interval:
        raise UserError(
            f"--likelihood bernoulli needs data in [0, 1], and {data.name} goes beyond; "
            "use --likelihood gaussian"
        )
    if options["model"] == "gmvae" and options["components"] > len(data):
        raise UserError(
            f"--components {options['components']}: more than the {len(data)} examples of "
            f"{data.name}; ask for fewer"
        )
    torch.manual_seed(options["seed"])
    values = {**options, "likelihood": likelihood}
    shape = _image_shape(options, data)
    if options["model"] == "vae":
        values["pseudo_inputs"] = _vamp_prior(options["pseudo_inputs"], train)
        return VAE(data.num_features, image_shape=shape, **arguments(VAEOptions, values))
    return GMVAE(data.num_features, image_shape=shape, **arguments(GMVAEOptions, values))


def _image_shape(options: dict[str, Any], data: Data) -> tuple[int, ...] | None:
    """Return the images' shape where a network is convolutional, which a table has none for."""
    convolutional = [name for name in ("encoder", "decoder") if options[name] == "conv"]
    if convolutional and data.image_shape is None:
        raise UserError(
            f"--{convolutional[0]} conv: {data.name} holds no images that could be told by their "
            "shape; give a folder of images or an array (N, H, W) or (N, C, H, W), or take "
            f"--{convolutional[0]} mlp"
        )
    return data.image_shape if convolutional else None


def _vamp_prior(count: int, train: Data | Dataset) -> VampPrior | None:
    """Return a prior that starts from examples, spread evenly; None for none."""
    if count == 0:
        return None
    import torch

    from pyvae.models import VampPrior
    from pyvae.training.batches import Batches

    batches = Batches(train)
    if count > len(batches):
        raise UserError(
            f"--pseudo-inputs {count}: they start from examples, and there are {len(batches)} to "
            "train on; ask for fewer"
        )
    return VampPrior(torch.cat(list(batches.in_order(count))))


def _split(data: Data, share: float, seed: int) -> tuple[Data | Dataset, Dataset | None]:
    """Hold out a share of the examples at random."""
    if share == 0:
        return data, None
    import torch
    from torch.utils.data import Subset

    held_out = round(share * len(data))
    if not 0 < held_out < len(data):
        raise UserError(
            f"--validation {share} of {len(data)} examples is {held_out}; expected a share that "
            "leaves some on both sides"
        )
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed)).tolist()
    return Subset(data, order[held_out:]), Subset(data, order[:held_out])


def _record(folder: RunFolder, options: dict[str, Any], data: Data) -> None:
    import torch

    import pyvae

    kept = {name: value for name, value in options.items() if name not in _OF_THE_CALL}
    kept |= {name: absolute(kept[name]) for name in _PATHS}
    folder.write_settings(
        kept,
        pyvae=pyvae.__version__,
        torch=torch.__version__,
        image_shape=data.image_shape,
        scale=data.scale,
        columns=data.columns,
    )


def _way_on(folder: RunFolder) -> str:
    if folder.settings.exists():
        return f"go on with: pyvae train --output {folder} --resume"
    return "the run had not begun; start it again"
