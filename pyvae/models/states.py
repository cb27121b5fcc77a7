# SPDX-License-Identifier: MIT
"""What the tensors of a saved state may be, by the model that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pyvae.storage.tensors import FLOATING, Declared, unlike

UNITS = "standardization."
# Of a model that begins at clusters.
ANCHORED, _CLASSIFIER = "encoder.anchors", "encoder.classifier."
# Float64 in a model of any type.
_SCALES = (f"{UNITS}scale", f"{_CLASSIFIER}scale")
_EXACT = (UNITS, f"{_CLASSIFIER}centre", f"{_CLASSIFIER}scale")


def misfit(
    model: nn.Module, found: Mapping[str, Declared], *, same_dtype: bool = False
) -> str | None:
    """Say what keeps tensors from being the state of ``model``; None where nothing does.

    A model may have been saved in any of four floating types, but in one of them: ``same_dtype``
    asks for the model's own. Modules of one's own may mix them, and hold integers where they do.
    """
    expected = model.state_dict()

    def allowed(name: str, wanted: Tensor) -> tuple[torch.dtype, ...]:
        free = wanted.is_floating_point() and not same_dtype and not name.startswith(_EXACT)
        return FLOATING if free else (wanted.dtype,)

    reason = unlike(expected, found, allowed)
    if reason is not None:
        return reason
    return _mixed(
        model, {name: found[name] for name in found if isinstance(expected[name], Tensor)}
    )


def bad_number(model: nn.Module, state: Mapping[str, Any]) -> str | None:
    """Name a tensor with numbers that no model can have; None where there is none.

    Parameters are finite, but for the logits of components without weight. Buffers of modules of
    one's own may be infinite, as masks are, and never NaN.
    """
    trained = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    for name, value in state.items():
        if not isinstance(value, Tensor) or not value.is_floating_point():
            continue
        bad = ~torch.isfinite(value) if name in trained else torch.isnan(value)
        if name.rpartition(".")[2] == "weight_logits":
            bad = torch.isnan(value) | (value == torch.inf)
            if bool((value == -torch.inf).all()):
                return f"{name} gives no component any weight"
        if name.startswith(_EXACT):
            bad = ~torch.isfinite(value)
        if bool(bad.any()):
            return f"{name} holds {int(bad.sum())} numbers that are NaN or infinite"
        # Zero throughout until the data are known.
        unknown = name == f"{UNITS}scale" and bool((value == 0).all())
        if name in _SCALES and not bool((value > 0).all()) and not unknown:
            return f"{name} holds numbers that are not above zero"
    return None


def _mixed(model: nn.Module, found: Mapping[str, Declared]) -> str | None:
    names = getattr(model, "own_modules", ())
    places = (_CLASSIFIER if name == "classifier" else f"{name}." for name in names)
    own = (*_EXACT, *places)
    types = {
        value.dtype: name
        for name, value in found.items()
        if not name.startswith(own) and value.dtype in FLOATING
    }
    if len(types) < 2:
        return None
    said = " and ".join(f"{found[name].words} ({name})" for name in types.values())
    return f"the tensors mix types, {said}; expected one"
