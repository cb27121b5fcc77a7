# SPDX-License-Identifier: MIT
"""What the tensors of a saved state may be, by the model that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pyvae.storage.tensors import Declared

FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
# Float64 in a model of any type.
EXACT = "standardization."
_LISTED = 3  # names in a message


def misfit(
    model: nn.Module, found: Mapping[str, Declared], *, same_dtype: bool = False
) -> str | None:
    """Say what keeps tensors from being the state of ``model``; None where nothing does.

    A model may have been saved in any of four floating types, but in one of them: ``same_dtype``
    asks for the model's own. Modules of one's own may mix them, and hold integers where they do.
    """
    expected = model.state_dict()
    for name, wanted in expected.items():
        if not isinstance(wanted, Tensor):
            continue  # what a module of one's own keeps beside tensors is its own affair
        if name not in found:
            missing = [name for name in expected if name not in found]
            return f"Missing key(s): {_listed(missing)}"
        if found[name].dtype is not None and found[name].shape != tuple(wanted.shape):
            return (
                f"size mismatch for {name}: {found[name].shape} in the file, "
                f"{tuple(wanted.shape)} in the model"
            )
        free = wanted.is_floating_point() and not same_dtype and not name.startswith(EXACT)
        allowed = FLOATING if free else (wanted.dtype,)
        if found[name].dtype not in allowed:
            words = ", ".join(str(dtype).removeprefix("torch.") for dtype in allowed)
            return f"{name} holds {found[name].words}; expected {words}"
    unexpected = [name for name in found if name not in expected]
    if unexpected:
        return f"Unexpected key(s): {_listed(unexpected)}"
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
        if name.startswith(EXACT):
            bad = ~torch.isfinite(value)
        if bool(bad.any()):
            return f"{name} holds {int(bad.sum())} numbers that are NaN or infinite"
        # Zero throughout until the data are known.
        if name == f"{EXACT}scale" and not bool((value > 0).all() or (value == 0).all()):
            return f"{name} holds numbers that are not above zero"
    return None


def _mixed(model: nn.Module, found: Mapping[str, Declared]) -> str | None:
    own = (EXACT, *(f"{name}." for name in getattr(model, "own_modules", ())))
    types = {
        value.dtype: name
        for name, value in found.items()
        if not name.startswith(own) and value.dtype in FLOATING
    }
    if len(types) < 2:
        return None
    said = " and ".join(f"{found[name].words} ({name})" for name in types.values())
    return f"the tensors mix types, {said}; expected one"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(name[:80] for name in names[:_LISTED]) + more
