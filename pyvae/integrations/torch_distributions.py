# SPDX-License-Identifier: MIT
"""torch's own distributions on the ops, for as long as one wants it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Size, Tensor, nn
from torch.distributions import (
    Independent,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    kl,
)
from torch.distributions.kl import register_kl

from pyvae import ops
from pyvae.distributions import GaussianMixture
from pyvae.ops.modes import is_casting

__all__ = ["Patch", "patch_torch_distributions"]

_PAIR = (Independent, Independent)
_lock = threading.Lock()
_active: set[Patch] = set()
_replaced: dict[Any, Callable[..., Tensor]] = {}  # what ours hands on to
_left: set[Any] = set()  # where somebody has wrapped ours, which therefore stays behind it


class Patch(AbstractContextManager["Patch"]):
    """What :func:`pyvae.patch_torch_distributions` returns; its end undoes the patch."""

    def undo(self) -> None:
        """Give torch its own functions back, unless another patch is on. Again, it does nothing."""
        with _lock:
            if self in _active:
                _active.discard(self)
                if not _active:
                    _give_back()

    def __exit__(self, *exception: object) -> None:
        self.undo()


def patch_torch_distributions() -> Patch:
    """Let torch's mixtures of Gaussians and divergences of Gaussians run on the ops.

    In the whole process, from now on until it is undone: ``MixtureSameFamily.log_prob`` where the
    components are ``Normal``, ``Independent(Normal(...), n)`` or ``MultivariateNormal``, and
    ``kl_divergence`` of two ``Independent(Normal(...), 1)``.

    What the ops do not do as torch does goes to torch's own code, as if there were no patch: other
    families, dtypes that are mixed or below float32, autocast, values that broadcast along the
    event, empty and subclassed tensors, other devices, components that validate in a mixture that
    does not; and whatever is wrong, with torch's errors.
    So does ``kl_divergence`` of two ``Normal``, which sums nothing, so that there is nothing to
    fuse, and of two ``MultivariateNormal``, whose gradient has entries above the diagonal there and
    none here (:func:`pyvae.distributions.register_gaussian_kl` is for those who want it).

    Returns
    -------
    A handle: ``undo()`` ends the patch, and so does the end of a ``with``. Patches may overlap, and
    the last to end gives torch its own functions back.

    Notes
    -----
    Results are torch's up to rounding: that of a variance in its logarithm, so many units in the
    last place as this has nats, included. Where torch's overflow, those of the ops may be finite:
    gradients of points without a density are zero here, and NaN there. A function that was compiled
    under the patch keeps it until it is compiled again.

    Examples
    --------
    >>> import torch
    >>> from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal
    >>> parts = Independent(Normal(torch.zeros(2, 3), 1.0), 1)
    >>> mixture = MixtureSameFamily(Categorical(torch.ones(2)), parts)
    >>> with patch_torch_distributions():
    ...     mixture.log_prob(torch.zeros(3))
    tensor(-2.7568)
    """
    patch = Patch()
    with _lock:
        if not _active:
            _replace()
        _active.add(patch)
    return patch


def _replace() -> None:
    if MixtureSameFamily not in _left:
        _replaced[MixtureSameFamily] = MixtureSameFamily.log_prob
        MixtureSameFamily.log_prob = _log_prob  # type: ignore[method-assign]
    if _PAIR not in _left:
        _replaced[_PAIR] = kl._KL_REGISTRY[_PAIR]
        register_kl(*_PAIR)(_diagonal_kl)


def _give_back() -> None:
    _left.clear()
    if MixtureSameFamily.log_prob is _log_prob:
        MixtureSameFamily.log_prob = _replaced[MixtureSameFamily]  # type: ignore[method-assign]
    else:
        _left.add(MixtureSameFamily)
    if kl._KL_REGISTRY[_PAIR] is _diagonal_kl:
        register_kl(*_PAIR)(_replaced[_PAIR])
    else:
        _left.add(_PAIR)


def _log_prob(self: MixtureSameFamily, x: Tensor) -> Tensor:
    parameters = _component_parameters(self)
    if parameters is None or not _fits(self, x, parameters):
        return _replaced[MixtureSameFamily](self, x)
    if self._validate_args:
        self._validate_sample(x)
    means, spread = parameters
    event = len(self.event_shape)
    name = "logvars"
    if isinstance(self.component_distribution, MultivariateNormal):
        name = "scale_tril"
    else:
        means, spread = _rows(means, event), 2.0 * _rows(spread, event).log()
    logits = self.mixture_distribution.logits
    mixture = GaussianMixture(logits, means, **{name: spread}, validate_args=False)
    return mixture.log_prob(_rows(x, event))


def _component_parameters(mixture: MixtureSameFamily) -> tuple[Tensor, Tensor] | None:
    """Locations and scales of Gaussian components whose density is torch's own; None of others."""
    parts: Any = mixture.component_distribution
    if type(parts).log_prob is MultivariateNormal.log_prob:
        validates, found = parts._validate_args, (parts.loc, parts.scale_tril)
    else:
        if type(parts).log_prob is Independent.log_prob:
            parts = parts.base_dist
        if type(parts).log_prob is not Normal.log_prob:
            return None
        validates, found = parts._validate_args, (parts.loc, parts.scale)
    return None if validates and not mixture._validate_args else found


def _fits(mixture: MixtureSameFamily, x: Tensor, parameters: tuple[Tensor, Tensor]) -> bool:
    """Whether the op does with this value what torch does."""
    if not _alike(x, mixture.mixture_distribution.logits, *parameters):
        return False
    event = mixture.event_shape
    leading = x.dim() - len(event)
    batch = parameters[0].shape[: parameters[0].dim() - len(event) - 1]
    weights = mixture.mixture_distribution.logits.shape[:-1]
    return (
        leading >= 0
        and x.shape[leading:] == event
        and _broadcast(x.shape[:leading], batch, weights)
    )


def _alike(*tensors: Any) -> bool:
    """Whether all are plain tensors, none empty, of one dtype and device that the ops know."""
    first = tensors[0]
    return (
        bool(_active)
        and all(type(t) in (Tensor, nn.Parameter) and t.numel() for t in tensors)
        and first.dtype in (torch.float32, torch.float64)
        and all(t.dtype == first.dtype and t.device == first.device for t in tensors)
        and (first.device.type == "cpu" or (first.is_cuda and ops.CUDA_MISSING is None))
        and not is_casting(first)
    )


def _broadcast(*shapes: Size) -> bool:
    try:
        torch.broadcast_shapes(*shapes)
    except RuntimeError:
        return False
    return True


def _rows(tensor: Tensor, event: int) -> Tensor:
    """The tensor with its event as one dimension, which is a new one where there is none."""
    leading = tensor.shape[: tensor.dim() - event]
    return tensor.reshape(*leading, math.prod(tensor.shape[len(leading) :]))


def _diagonal_kl(p: Independent, q: Independent) -> Tensor:
    if _sums_one_normal(p) and _sums_one_normal(q) and p.event_shape == q.event_shape:
        first, second = p.base_dist, q.base_dist
        given = (first.loc, first.scale, second.loc, second.scale)
        if _alike(*given) and _broadcast(p.batch_shape, q.batch_shape):
            logvars = (2.0 * scale.log() for scale in given[1::2])
            return ops.gaussian_kl(first.loc, next(logvars), second.loc, next(logvars))
    return _replaced[_PAIR](p, q)


def _sums_one_normal(d: Independent) -> bool:
    """Whether it is ``Independent(Normal(...), 1)``, and of no kind that may have another rule."""
    return type(d.base_dist) is Normal and d.reinterpreted_batch_ndims == 1
