# SPDX-License-Identifier: MIT
"""A clustering in one file of safetensors, whose header says the rest as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pyvae.clustering.classifier import Classifier, ClassifierConfig
from pyvae.clustering.parameters import described, restored
from pyvae.clustering.recipe import laid_out
from pyvae.clustering.run import Restart
from pyvae.errors import NotFound, WrongValue
from pyvae.storage import tensors
from pyvae.storage.form import (
    Exactly,
    Fields,
    Integer,
    Maybe,
    Place,
    Plain,
    Real,
    Rows,
    Text,
    Truth,
)
from pyvae.storage.reading import parsed_json
from pyvae.storage.tensors import FLOATING, Declared
from pyvae.storage.writing import write_atomically

_WRITER = "InvariantClustering.save"
_CLASSIFIER, _LABELS = "classifier.", "labels"
_RESTART = Fields({
    "seed": Integer(0),
    "over_information": Real(),
    "merged_information": Real(),
    "information": Real(),
    "entropy": Real(),
    "balance": Real(),
    "agreement": Maybe(Real()),
})  # fmt: skip
_FORM = Fields({
    "format": Exactly("pyvae.clustering"),
    "version": Exactly(3, "; another pyvae wrote it: fit and save it again"),
    "parameters": Plain(),
    "classifier": Plain(),
    "tensor": Truth(),
    "information": Real(),
    "restarts": Rows(lambda _: _RESTART),
    "feature_names": Maybe(Rows(lambda _: Text())),
})  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a fit has found.

    Attributes
    ----------
    classifier
        Of examples.
    labels
        ``(N,)``, of the fit's.
    tensor
        Whether the fit was of a tensor.
    information
        In nats.
    restarts
        How the runs went.
    feature_names
        Of columns, where they have names.
    """

    classifier: Classifier
    labels: Tensor
    tensor: bool
    information: float
    restarts: list[Restart]
    feature_names: list[str] | None


def write(path: Path, parameters: Mapping[str, Any], found: Found) -> None:
    """Write a clustering and the parameters of its fit."""
    text = json.dumps(
        {
            "format": "pyvae.clustering",
            "version": 3,
            "parameters": described(parameters),
            "classifier": found.classifier.config,
            "tensor": found.tensor,
            "information": found.information,
            "restarts": [asdict(each) for each in found.restarts],
            "feature_names": found.feature_names,
        },
        allow_nan=False,
    )
    state = found.classifier.state_dict(prefix=_CLASSIFIER)
    write_atomically(path, tensors.content(tensors.plain({**state, _LABELS: found.labels}), text))


def read(
    path: Path, views: Any, network: Callable[[int], nn.Module] | None
) -> tuple[dict[str, Any], Found]:
    """Read the parameters and what was found.

    Raises
    ------
    FileNotFoundError, ValueError
        As of the estimator's ``load``.
    """
    if not path.is_file():
        raise NotFound(f"{path} is missing; {_WRITER} writes it")
    with tensors.opened(path) as file:
        header, declared = tensors.header(path, file, _WRITER), tensors.declared(file)
        place = Place(path)
        said = _FORM.taken(parsed_json(header["config"], path), place)
        own = {"views": views, "network": network}
        parameters = restored(said["parameters"], own, place.of("parameters"))
        try:
            classifier = _built(said["classifier"], declared, network)
        except WrongValue as error:
            raise WrongValue(f"{path}: {error}") from error
        expected = {**classifier.state_dict(prefix=_CLASSIFIER), _LABELS: _labels_like(declared)}
        _refuse(path, tensors.unlike(expected, declared, _allowed))
        state = tensors.read(path, file, header["sha256"], declared)
        labels = state.pop(_LABELS).clone()  # of memory that is not the file's
        parts = {name.removeprefix(_CLASSIFIER): part.clone() for name, part in state.items()}
    classifier.load_state_dict(parts, assign=True)
    laid_out(classifier.network, 1 + len(classifier.shape))  # as it was, to the last digit
    _refuse(path, _bad_number(classifier, labels))
    restarts = [Restart(**each) for each in said["restarts"]]
    return parameters, Found(
        classifier, labels, said["tensor"], said["information"], restarts, said["feature_names"]
    )


def _built(
    config: Any, declared: Mapping[str, Declared], network: Callable[[int], nn.Module] | None
) -> Classifier:
    """Build a classifier to put tensors into, which takes no memory where nothing is the user's."""
    asked = ClassifierConfig.taken(config)
    own = None
    if asked.network is None and network is not None:
        found = declared.get(_CLASSIFIER + "members")
        if found is None or found.shape != (asked.n_overclusters, asked.n_clusters):
            raise WrongValue("the tensors are of another number of clusters than the config")
        with torch.random.fork_rng(devices=[]):  # initial values, which the saved ones replace
            own = network(asked.n_overclusters)
    with torch.device("meta"):
        return Classifier.from_config(config, own)


def _refuse(path: Path, reason: str | None) -> None:
    if reason is not None:
        raise WrongValue(f"{path} holds no clustering: {reason}")


def _labels_like(declared: Mapping[str, Declared]) -> Tensor:
    """Give labels, without numbers, of as many examples as the file has."""
    shape = declared[_LABELS].shape[:1] if _LABELS in declared else (0,)
    return torch.empty(shape, dtype=torch.int64, device="meta")


def _allowed(name: str, wanted: Tensor) -> tuple[torch.dtype, ...]:
    return FLOATING if wanted.is_floating_point() else (wanted.dtype,)


def _bad_number(classifier: Classifier, labels: Tensor) -> str | None:
    """Name what no clustering has; buffers of networks of one's own may be infinite, as masks."""
    members = classifier.members
    if not bool(((members == 0) | (members == 1)).all() and (members.sum(1) == 1).all()):
        return "members does not put every cluster of the network's into one"
    if not bool((classifier.scale > 0).all()):
        return "scale holds numbers that are not above zero"
    if not bool(((labels >= 0) & (labels < classifier.num_clusters)).all()):
        return f"labels holds others than 0 to {classifier.num_clusters - 1}"
    finite = {
        "centre",
        "scale",
        "information",
        *(name for name, _ in classifier.named_parameters()),
    }
    for name, value in classifier.state_dict().items():
        if value.is_floating_point():
            bad = ~value.isfinite() if name in finite else value.isnan()
            if bool(bad.any()):
                return f"{name} holds {int(bad.sum())} numbers that are NaN or infinite"
    types = {value.dtype for value in classifier.network.state_dict().values()} & set(FLOATING)
    if classifier.config["network"] is not None and len(types) > 1:
        return "the tensors of the network mix types; expected one"
    return None
