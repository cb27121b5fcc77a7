# SPDX-License-Identifier: MIT
"""``pyvae info``: what is installed and what it runs on."""

from __future__ import annotations

import os
import platform
from typing import Any

from pyvae.cli.terminal import output, say, show, table


def info(as_json: bool) -> None:
    """Print versions, instruction sets, threads, devices, and where each op runs."""
    facts = collect()
    if as_json:
        import json

        print(json.dumps(facts, indent=2))
        return
    console = output()
    general = table(console, "pyvae", "", "")
    for name, value in facts.items():
        if name != "ops":
            general.add_row(name if name.isupper() else name.replace("_", " "), _text(value))
    show(console, general)
    say(console, "")
    ops = table(console, "Ops", "op", "shapes", "runs on")
    for op in facts["ops"]:
        shapes = op["signature"].replace("),(", "), (").replace("->", " -> ")
        ops.add_row(op["name"], shapes, ", ".join(op["runs_on"]))
    ops.columns[0].no_wrap = True
    show(console, ops)


def collect() -> dict[str, Any]:
    """Return the facts, ready for JSON."""
    import torch

    from pyvae import ops

    build = ops.build_info()
    chosen = f"CPU: {build['instruction_set']}"
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    on_cuda = ops.CUDA_MISSING is None and gpu is not None
    runs_on = [chosen, f"CUDA: {gpu}"] if on_cuda else [chosen]
    return {
        "version": build["version"],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "compiler": build["compiler"],
        "instruction_sets_compiled": build["instruction_sets"],
        "instruction_sets_of_this_CPU": build["instruction_sets_supported"],
        "instruction_set_chosen": build["instruction_set"],
        "PYVAE_CPU_ISA": os.environ.get("PYVAE_CPU_ISA"),
        "threads": torch.get_num_threads(),
        "CUDA_kernels_compiled_for": build["cuda_architectures"],
        "CUDA_kernels_missing": ops.CUDA_MISSING,
        "CUDA_device": gpu,
        "ops": [
            {"name": op["name"], "signature": op["signature"], "runs_on": runs_on}
            for op in ops.op_table()
        ],
    }


def _text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
