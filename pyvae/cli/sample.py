# SPDX-License-Identifier: MIT
"""``pyvae sample``."""

from __future__ import annotations

from pathlib import Path

from pyvae.cli.errors import UserError
from pyvae.cli.evaluate import load_model
from pyvae.cli.files import PICTURES, ending, write_array, write_picture
from pyvae.cli.threads import threads_of, use_threads, work_of

_MOST_DRAWN = 400
_ARRAY = "npy"


def sample(
    path: str,
    *,
    count: int,
    component: int | None,
    output: str | None,
    seed: int,
    threads: int | None,
) -> None:
    """Write samples of a model as a picture or as an array."""
    target = Path(output).expanduser() if output else Path(path).expanduser() / "samples.png"
    is_array = ending(target, "--output", (*PICTURES, _ARRAY)) == _ARRAY
    if not is_array and count > _MOST_DRAWN:
        raise UserError(f"-n: a picture shows {_MOST_DRAWN} at most, got {count}; write a .npy")
    import torch

    from pyvae import plots

    model, run = load_model(path)
    use_threads(threads or threads_of(run), work_of(model, count))
    generator = torch.Generator().manual_seed(seed)
    x = model.sample(count, component, generator)
    if is_array:
        write_array(target, x.numpy())
    else:
        shape = run.get("image_shape")
        title = "the prior" if component is None else f"component {component}"
        picture = plots.component_samples(
            x.numpy()[None],
            shape and tuple(shape),
            feature_names=run.get("columns"),
            title=f"Samples of {title}, decoded",
        )
        write_picture(target, picture)
    print(f"{count} samples in {target}")
