# SPDX-License-Identifier: MIT
"""What the command line does: run, draw, and write the document or print the tables."""

from __future__ import annotations

import ast
import importlib
import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from pyvae.cli.errors import UserError
from pyvae.cli.files import write_picture
from pyvae.storage.writing import write_atomically

NAMES = ("em", "directions", "forward_kl", "gradients", "posterior", "beta")
PICTURES = "experiments"  # the folder of the pictures, beside the document
_SOURCES = Path(__file__).parent
_HEADER = """# Experiments

What [theory.md]({theory}) claims, shown. Written by `make theory`, figures and tables alike, on
one thread an experiment; another machine moves the last digits. Divergences and bounds are in nats.
"""


def show_list() -> None:
    """Print every experiment's name and what it asks."""
    width = max(map(len, NAMES))
    for name in NAMES:
        tree = ast.parse((_SOURCES / f"{name}.py").read_text(encoding="utf-8"))
        print(f"{name:{width}}  {(ast.get_docstring(tree) or '').splitlines()[0]}")


def main(only: Sequence[str], output: str, kind: str) -> None:
    """Run what is named, or all, and tell where everything is."""
    unknown = [name for name in only if name not in NAMES]
    if unknown:
        raise UserError(f"--only: no experiment {unknown[0]!r}; there are {', '.join(NAMES)}")
    folder = Path(output).expanduser()
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output: {folder} is a file; name a folder")
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()
    names = tuple(dict.fromkeys(only)) or NAMES
    sections = _run_all(names, folder, kind)
    if only:
        print("\n" + "\n".join(sections[name] for name in names))
        return
    header = _HEADER.format(theory=_link(_SOURCES.parent / "docs" / "theory.md", folder))
    text = "\n".join([header, *(sections[name] for name in names)])
    write_atomically(folder / "experiments.md", text.encode())
    print(f"{folder / 'experiments.md'}, {time.perf_counter() - started:.0f} s in all")


def _run_all(names: Sequence[str], folder: Path, kind: str) -> dict[str, str]:
    sections: dict[str, str] = {}
    workers = min(2, len(names), os.cpu_count() or 1)
    # New processes: a forked one would share the locks of the libraries that are loaded here.
    new = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=new, initializer=_quit_on_interrupt) as pool:
        jobs = {pool.submit(_run, name, folder, kind): name for name in names}
        try:
            for job in as_completed(jobs):
                sections[jobs[job]], picture, seconds = job.result()
                print(f"{jobs[job]:12} {seconds:4.0f} s  {picture}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return sections


def _quit_on_interrupt() -> None:
    """Let Ctrl-C end a worker without a traceback: the main process says what there is to say."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _run(name: str, folder: Path, kind: str) -> tuple[str, Path, float]:
    """Run one experiment, draw it, and give its section, its picture and how long it took."""
    import torch

    from experiments.finding import section

    torch.set_num_threads(1)  # these matrices are small; the other core has another experiment
    started = time.perf_counter()
    module = importlib.import_module(f"experiments.{name}")
    finding = module.run()
    picture = folder / PICTURES / f"{name}.{kind}"
    write_picture(picture, finding.figure)
    source = _link(_SOURCES / f"{name}.py", folder)
    text = section(name, module.__doc__, finding, f"{PICTURES}/{picture.name}", source)
    return text, picture, time.perf_counter() - started


def _link(target: Path, folder: Path) -> str:
    """Write the way to a file of the repository, from the document's folder."""
    return Path(os.path.relpath(target.resolve(), folder.resolve())).as_posix()
