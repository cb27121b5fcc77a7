# SPDX-License-Identifier: MIT
"""The estimator's parameters in a file: as JSON says them, and back.

Functions of the user's own are said to be there, and no more; they have to be passed again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyvae.clustering.views import ImageWarps, TableNoise
from pyvae.errors import WrongType, WrongValue
from pyvae.storage.form import Fields, Form, Integer, Maybe, Place, Real, Rows, Text

OWN = "own"
_VIEWS = {each.__name__: each for each in (ImageWarps, TableNoise)}
_MOST_NODES = 2**14
_TWISTER, _WORDS = "MT19937", 624  # numpy's usual generator and the words of its state
_COUNT = Integer(0)


class _ViewsForm(Form):
    """``"auto"``, ``"own"``, or the fields of views of ours, which are returned."""

    def taken(self, found: Any, place: Place) -> Any:
        if not isinstance(found, dict):
            return Text(("auto", OWN)).taken(found, place)
        name = Text(tuple(_VIEWS)).taken(found.get("name"), place.of("name"))
        fields: dict[str, Form] = {each.name: Real() for each in dataclasses.fields(_VIEWS[name])}
        if "nodes" in fields:
            fields["nodes"] = Integer(1, _MOST_NODES)
        said = {field: value for field, value in found.items() if field != "name"}
        return _VIEWS[name](**Fields(fields).taken(said, place))


class _RandomStateForm(Form):
    """A seed, or the state of a generator, which is returned."""

    def taken(self, found: Any, place: Place) -> Any:
        if not isinstance(found, dict):
            return Maybe(Integer(0, 2**32 - 1)).taken(found, place)
        state = Fields({
            "words": Rows(lambda _: Integer(0, 2**32 - 1), _WORDS),
            "position": Integer(0, _WORDS),
            "has_normal": Integer(0, 1),
            "normal": Real(),
        }).taken(found, place)  # fmt: skip
        random = np.random.RandomState()
        words = (np.array(state["words"], np.uint32), state["position"])
        random.set_state((_TWISTER, *words, state["has_normal"], state["normal"]))
        return random


_FORM = Fields({
    "n_clusters": _COUNT,
    "n_overclusters": Maybe(_COUNT),
    "views": _ViewsForm(),
    "n_neighbors": _COUNT,
    "neighbor_share": Real(),
    "network": Maybe(Text((OWN,))),
    "n_steps": _COUNT,
    "n_refining_steps": _COUNT,
    "batch_size": _COUNT,
    "learning_rate": Real(),
    "balance": Maybe(Real()),
    "n_init": _COUNT,
    "precision": Text(),
    "random_state": _RandomStateForm(),
    "verbose": _COUNT,
    "verbose_interval": _COUNT,
})  # fmt: skip


def described(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Say parameters in what JSON has.

    Raises
    ------
    TypeError
        If ``random_state`` draws by another generator than numpy's usual one.
    """
    said = {name: _plain(value) for name, value in parameters.items()}
    return said | {
        "views": _described_views(parameters["views"]),
        "network": None if parameters["network"] is None else OWN,
        "random_state": _described_random(parameters["random_state"]),
    }


def restored(said: Any, own: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Give the parameters again.

    Parameters
    ----------
    said
        From :func:`described`, by way of a file.
    own
        ``views`` and ``network``, where they are the user's, else None.
    place
        Where it stands.

    Raises
    ------
    ValueError
        If it says something else, or what is the user's own is missing or superfluous.
    """
    found = _FORM.taken(said, place)
    for name, given in own.items():
        is_own = isinstance(found[name], str) and found[name] == OWN
        if is_own and given is None:
            raise WrongValue(
                f"{place.file} is of {name} of your own; pass the same: load(path, {name}=...)"
            )
        if given is not None and not is_own:
            raise WrongValue(f"{place.file} is of the built-in {name}; leave out {name}=")
        found[name] = given if is_own else found[name]
    return found


def _plain(value: Any) -> Any:
    """Give numpy's numbers as Python's, and truth, as ``verbose`` may be, as one."""
    value = value.item() if isinstance(value, np.generic) else value
    return int(value) if isinstance(value, bool) else value


def _described_views(views: Any) -> Any:
    if isinstance(views, str):
        return views
    if type(views) not in _VIEWS.values():
        return OWN
    fields = {name: _plain(value) for name, value in dataclasses.asdict(views).items()}
    return {"name": type(views).__name__, **fields}


def _described_random(random: Any) -> Any:
    if not isinstance(random, np.random.RandomState):
        return _plain(random)
    state: Any = random.get_state(legacy=False)
    if state["bit_generator"] != _TWISTER:
        raise WrongType(
            f"random_state draws by {state['bit_generator']}, whose state no file can hold; "
            "set_params(random_state=0), say, before you save"
        )
    return {
        "words": state["state"]["key"].tolist(),
        "position": int(state["state"]["pos"]),
        "has_normal": int(state["has_gauss"]),
        "normal": float(state["gauss"]),
    }
