# SPDX-License-Identifier: MIT
"""What of pyvae is public: what its parts list in their ``__all__``, and the errors."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import version as installed
from importlib.util import find_spec

PARTS = (
    "pyvae",
    "pyvae.ops",
    "pyvae.mixture",
    "pyvae.models",
    "pyvae.models.likelihoods",
    "pyvae.distributions",
    "pyvae.inference",
    "pyvae.training",
    "pyvae.optim",
    "pyvae.clustering",
    "pyvae.data",
    "pyvae.plots",
    "pyvae.settings",
    "pyvae.errors",
    "pyvae.integrations",
    "pyvae.integrations.torch_distributions",
    "pyvae.integrations.export",
    "pyvae.integrations.onnx",
    "pyvae.integrations.pyro",
    "pyvae.integrations.lightning",
    "pyvae.integrations.skorch",
)
# Of these the libraries that may not be installed; the site is built where they are.
_NEEDS = {f"pyvae.integrations.{name}": name for name in ("pyro", "lightning", "skorch")}


def available() -> list[str]:
    """Return the parts that can be imported here."""
    return [part for part in PARTS if part not in _NEEDS or find_spec(_NEEDS[part]) is not None]


def version() -> str:
    """Return the version of the package that is documented."""
    return installed("pyvae")


def names(module: str) -> list[str]:
    """Return the public names of a module: its ``__all__``, or the classes that it defines.

    What ``pyvae`` has as well, as the ops, has one page, as a name of that.
    """
    found = import_module(module)
    defined = [n for n, v in vars(found).items() if getattr(v, "__module__", None) == module]
    ours = set(import_module("pyvae").__all__)
    elsewhere = {
        "pyvae": {"ops"},
        "pyvae.ops": ours,
        "pyvae.integrations.torch_distributions": ours,
    }
    return sorted(set(getattr(found, "__all__", defined)) - elsewhere.get(module, set()))


def kind(value: object) -> str:
    """Return the heading of the reference under which a public name stands."""
    if inspect.isclass(value):
        return "Exceptions" if issubclass(value, BaseException) else "Classes"
    return "Functions" if callable(value) else "Data"


def by_kind() -> dict[str, dict[str, list[str]]]:
    """Return the public names of every part by module and by kind."""
    found: dict[str, dict[str, list[str]]] = {}
    for module in available():
        kinds: dict[str, list[str]] = {"Classes": [], "Functions": [], "Exceptions": [], "Data": []}
        for name in names(module):
            kinds[kind(getattr(import_module(module), name))].append(name)
        found[module] = {heading: names for heading, names in kinds.items() if names}
    return found
