# SPDX-License-Identifier: MIT
"""Run the experiments, draw their figures and write the document that holds them.

Run as ``python -m experiments [NAME ...]``; without names all are run, two at a time, and
docs/experiments.md is written as well.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
NAMES = ("em", "directions", "forward_kl", "gradients", "posterior", "beta")
HEADER = """# Experiments

What [theory.md](theory.md) claims, shown. Written by `make theory`, figures and tables alike, on
one thread an experiment; another machine moves the last digits. Divergences and bounds are in nats.
"""


def run(name: str) -> tuple[str, float]:
    """Run one experiment, draw it, and give its section and how long it took."""
    import torch

    from experiments.finding import section

    torch.set_num_threads(1)  # these matrices are small; the other core has another experiment
    started = time.perf_counter()
    module = importlib.import_module(f"experiments.{name}")
    finding = module.run()
    (DOCS / "experiments").mkdir(exist_ok=True)
    finding.figure.savefig(DOCS / "experiments" / f"{name}.png")
    return section(name, module.__doc__, finding), time.perf_counter() - started


def main(names: list[str]) -> None:
    """Run what is named, or all."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.exit(f"no experiment {unknown[0]}; there are {', '.join(NAMES)}")
    sections: dict[str, str] = {}
    started = time.perf_counter()
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        jobs = {pool.submit(run, name): name for name in names or NAMES}
        for job in as_completed(jobs):
            sections[jobs[job]], seconds = job.result()
            print(f"{jobs[job]:12} {seconds:4.0f} s  docs/experiments/{jobs[job]}.png", flush=True)
    if not names:
        text = "\n".join([HEADER, *(sections[name] for name in NAMES)])
        (DOCS / "experiments.md").write_text(text, encoding="utf-8")
        print(f"docs/experiments.md, {time.perf_counter() - started:.0f} s in all")


if __name__ == "__main__":
    main(sys.argv[1:])
