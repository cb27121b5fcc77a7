# SPDX-License-Identifier: MIT
"""A run in words and figures, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyvae.cli.reading import say_notes
from pyvae.cli.terminal import say, show, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from pyvae.cli.run_folder import RunFolder
    from pyvae.data import Data
    from pyvae.models import LatentVariableModel

MODEL_NAMES = {"gmvae": "GM-VAE", "vae": "VAE"}
_ROWS_LOOKED_AT = 10_000
_UNEVEN = 30
_CLASSES = 10  # whose names are told
_PARTS = {
    "bound": "evidence lower bound",
    "reconstruction": "  reconstruction, E[log p(x|w)]",
    "log_prob_w": "  E[log p(w|z)]",
    "neg_kl_z": "  -KL(q(z|w,x) || p(z))",
    "entropy_w": "  entropy of q(w|x)",
}
_CLUSTERINGS = {
    "kmeans": "k-means on the data (scikit-learn)",
    "gaussian_mixture": "GaussianMixture on the data (scikit-learn)",
}
_SCORES = {
    "clustering_accuracy": "clustering accuracy",
    "normalized_mutual_information": "NMI",
    "adjusted_rand_index": "ARI",
}


def opening(
    console: Console,
    data: Data,
    model: LatentVariableModel,
    device: str,
    threads: int,
    *,
    clustered: bool,
) -> None:
    """Say what is trained on what; ``clustered`` is a model whose clusters are yet to be found."""
    from pyvae.ops import build_info

    size = sum(p.numel() for p in model.parameters())
    where = "CUDA" if device == "cuda" else f"CPU ({build_info()['instruction_set']})"
    lines = [
        f"data   {data.name}: {len(data):,} examples of {data.num_features:,} features",
        *_labels(data),
        f"model  {type(model).__name__} {model.config['likelihood']}{_networks(model)}, "
        f"{size:,} parameters{' and those of its clusters' * clustered}",
        f"device {where}, {threads} thread{'s' * (threads != 1)}",
    ]
    for line in lines + _units(data, model):
        say(console, line)
    say_notes(console, data)


def start(console: Console, name: str, why: str) -> None:
    """Say how the mixture starts, where nobody has asked for it."""
    if why:
        say(console, f"start  {name}, since {why}; --initialization names others")


def _networks(model: LatentVariableModel) -> str:
    """Say which networks are not the usual ones."""
    found = [name for name, kind in model.built_in.items() if kind == "conv"]
    return f", convolutional {' and '.join(found)}" if found else ""


def _labels(data: Data) -> list[str]:
    """Say which labels there are, and that nothing is learnt from them."""
    if data.labels is None:
        return []
    source, way_out = "", ""
    if data.label_name is not None:
        source, way_out = f"from {data.label_name}, ", "; --no-label-column takes none"
    names = ""
    if data.classes is not None:
        more = ", ..." * (len(data.classes) > _CLASSES)
        names = f"; {len(data.classes)} classes: {', '.join(data.classes[:_CLASSES])}{more}"
    return [f"labels {source}for the score only{way_out}{names}"]


def _units(data: Data, model: LatentVariableModel) -> list[str]:
    """Say in which units the data are, and in which the model computes."""
    lines = []
    if data.scale != 1.0:
        lines = [f"scale  pixels from 0 to {1 / data.scale:g} are taken as 0 to 1, in bounds too"]
    if not model.standardize:
        return lines + _scale_warning(data)
    return [
        *lines,
        "units  standardised for networks and scikit-learn; bounds are of the data as they are",
    ]


def _scale_warning(data: Data) -> list[str]:
    """Warn of columns in different units: one column then outweighs the others."""
    spread = data.rows(slice(0, _ROWS_LOOKED_AT)).std(0, unbiased=False)
    varying = spread[spread > 0]
    if data.unit_interval or len(varying) == 0 or varying.max() < _UNEVEN * varying.min():
        return []
    ratio = float(varying.max() / varying.min())
    return [
        f"note   the features' standard deviations differ by a factor of {ratio:,.0f}; "
        "they train better without --no-standardize"
    ]


def figures(console: Console, found: dict[str, Any], model: str) -> None:
    """Print the bound with its parts, and the clustering beside scikit-learn's."""
    show(console, _bound_table(console, found))
    if found.get("effective_components") is not None:
        console.print(
            f"Use of the latent space: {found['effective_components']:.1f} components in use "
            f"(exp of their entropy), {found['active_units']} active dimensions, posterior entropy "
            f"{found['posterior_entropy']:.3f} nats."
        )
    if "clustering" in found:
        say(console, "")
        show(console, _clustering_table(console, found, MODEL_NAMES[model]))
        fitted = found.get("baseline_examples", found["examples"])
        if fitted < found["examples"]:
            say(
                console,
                f"k-means and GaussianMixture were fitted to {fitted:,} of the "
                f"{found['examples']:,} examples, and all are scored.",
            )


def _bound_table(console: Console, found: dict[str, Any]) -> Any:
    grid = table(
        console, f"Bound over {found['examples']:,} examples", "", "nats per example",
        numbers=("nats per example",),
    )  # fmt: skip
    for key, name in _PARTS.items():
        grid.add_row(name, _number(found[key], 3), style="bold" if key == "bound" else None)
    grid.add_row(
        f"log-likelihood, importance-weighted ({found['log_likelihood_samples']} samples, "
        f"{found['log_likelihood_examples']:,} examples)",
        _number(found["log_likelihood"], 3),
    )
    return grid


def _clustering_table(console: Console, found: dict[str, Any], model: str) -> Any:
    names = tuple(_SCORES.values())
    grid = table(console, "Components against labels", "", *names, numbers=names)
    rows = {model: found["clustering"]}
    rows |= {_CLUSTERINGS[key]: row for key, row in found.get("baselines", {}).items()}
    for name, row in rows.items():
        style = "bold" if name == model else None
        grid.add_row(name, *(_number(row[key], 3) for key in _SCORES), style=style)
    return grid


def closing(console: Console, folder: RunFolder, pictures: Sequence[str]) -> None:
    """Say where everything is, and what can be done next."""
    if pictures:
        say(console, f"Pictures in {folder}: {', '.join(pictures)}")
    say(console, f"Model in {folder.model}; try: pyvae sample {folder}")


def _number(value: float | None, digits: int) -> str:
    return "not finite" if value is None else f"{value:.{digits}f}"
