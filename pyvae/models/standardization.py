# SPDX-License-Identifier: MIT
"""Data in the units in which a model computes, and back in the user's."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from pyvae.errors import WrongType, WrongValue
from pyvae.models import checks
from pyvae.ops.modes import readable

# Values beyond so many scales are those of a heavy tail: a pixel that is dark in all images but a
# few has a standard deviation of next to nothing, and in its units those few would be all that the
# loss sees.
MOST_SCALES = 30.0
# Rounding in an offset, in scales, that results in the model's dtype may have; of half precision
# nobody expects more than its own few digits.
_MOST_ROUNDING, _LEAST_OFFSET = 2.0**-10, 8.0
# Scales about the location, and the part of one that a decoder's least may be, for whose squares a
# dtype must have the range: log-densities divide by one the other.
_REACH, _NEAR = 100.0, 0.05
# A feature whose values lie no more steps of their type apart is constant but for rounding.
_MOST_STEPS = 16


class Standardization(nn.Module):
    """The map to standard units, ``(x - location) / scale`` by features, and back.

    Both are float64 whatever the model's dtype is, and differences are taken there: a float32 has
    no digits for seconds since 1970. The scale is 0 until the data are known.

    Attributes
    ----------
    location, scale
        ``(input_dim,)``, in units of the data.
    """

    location: Tensor
    scale: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        for name in ("location", "scale"):
            self.register_buffer(name, torch.zeros(features, dtype=torch.float64))
        self._extent: tuple[float, float, float] | None = None
        self._read: tuple[tuple[Callable[[], Tensor | None], int], ...] = ()

    def set(self, location: Float[Tensor, "d"], scale: Float[Tensor, "d"]) -> None:
        """Set both.

        Raises
        ------
        TypeError
            If one holds no numbers.
        ValueError
            If a shape does not fit, a number is not finite, or a scale not above zero.
        """
        location, scale = _numbers("location", location), _numbers("scale", scale)
        for name, value in (("location", location), ("scale", scale)):
            checks.shaped(name, value, self.scale.shape, "one number for each feature")
            if not torch.isfinite(value).all():
                raise WrongValue(f"{name} must be finite numbers, got {_first_bad(value)}")
        if not (scale > 0).all():
            raise WrongValue(f"scale must be above zero, got {scale.min().item():g}")
        self.location.copy_(location)
        self.scale.copy_(scale)
        self._read_buffers()

    @property
    def is_fitted(self) -> bool:
        """Whether the data's location and scale are known."""
        return self._known() is not None

    @property
    def log_scale(self) -> Tensor:
        """Sum of log scale, by which log-densities in standard units exceed those of the data."""
        return self.scale.log().sum()

    def standardized(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Return ``x (N, ...)`` in standard units and in that dtype."""
        self.check_fitted()
        flat = (x.flatten(1).double() - self.location) / self.scale
        return flat.to(dtype).reshape(x.shape)

    def restored(self, x: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """Return ``x`` in units of the data.

        It keeps its dtype, unless that has no digits or no range for the data: then it is float64.
        """
        self.check_fitted()
        found = x.double() * self.scale + self.location
        return found.to(x.dtype if self._fits(x.dtype) else torch.float64)

    def restored_distribution(self, found: Independent) -> Independent:
        """Return the distribution of the data, given that of the data in standard units."""
        features = found.base_dist
        mean = self.restored(features.mean)
        scale = (features.stddev.double() * self.scale).to(mean.dtype)
        return Independent(Normal(mean, scale, validate_args=False), 1, validate_args=False)

    def _fits(self, dtype: torch.dtype) -> bool:
        """Whether a dtype has the digits for the data and the range for their variances."""
        offset, least, most = self._known() or (0.0, 1.0, 1.0)
        about = torch.finfo(dtype)
        has_digits = offset <= max(_MOST_ROUNDING / about.eps, _LEAST_OFFSET)
        # Of the roots: the square of a scale may have no number in Python either.
        has_range = about.tiny**0.5 < _NEAR * least and _REACH * most < about.max**0.5
        return has_digits and has_range

    def check_fitted(self) -> None:
        """Raise where the data are not known yet."""
        if not self.is_fitted:
            raise WrongValue(
                "the model standardises its data and does not know their location and scale yet; "
                "call model.fit_standardization(x) with the training data first, as the Trainer "
                "does, or build the model with standardize=False"
            )

    def _known(self) -> tuple[float, float, float] | None:
        """Return largest offset in scales, least and largest scale; None where data are unknown.

        The buffers are read where they are others than before or were written to, and not at every
        call, which would wait for a device. Where a graph is written, what was read last holds.
        """
        if not torch.compiler.is_compiling() and not self._is_read():
            self._read_buffers()
        return self._extent

    def _is_read(self) -> bool:
        for buffer, (last, version) in zip((self.location, self.scale), self._read, strict=False):
            now = readable(buffer)
            if now is None or last() is not now or _version(now) != version:
                return False
        return bool(self._read)

    def _read_buffers(self) -> None:
        location, scale = readable(self.location), readable(self.scale)
        if location is None or scale is None:
            return
        self._read = tuple((weakref.ref(x), _version(x)) for x in (location, scale))
        self._extent = None
        if bool((scale > 0).all()):
            offset = (location.abs() / scale).max().item()
            self._extent = offset, scale.min().item(), scale.max().item()

    def __getstate__(self) -> dict[str, Any]:
        # Copies have buffers of their own, and references that are weak cannot be written.
        return {**self.__dict__, "_read": ()}

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._read_buffers()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Standardization:
        exact = dict(self.named_buffers())
        super()._apply(fn, recurse)
        for name, value in exact.items():
            moved = getattr(self, name)
            if moved.dtype != torch.float64:  # half(), say: only the device is followed
                setattr(self, name, value.to(moved.device))
        return self


class Moments:
    """Mean, variance and extremes of features, by one pass over batches of any size.

    In float64 about the first example, so that an offset costs no digits.

    Parameters
    ----------
    first
        An example.
    eps
        That of the type in which the data came: differences of its size are rounding.

    References
    ----------
    Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance".
    """

    def __init__(self, first: Float[Tensor, "d"], eps: float) -> None:
        self.origin, self.count, self.eps = first, 0, eps
        self.mean, self.squares = torch.zeros_like(first), torch.zeros_like(first)
        self.least, self.most = torch.zeros_like(first), torch.zeros_like(first)

    def add(self, x: Float[Tensor, "n d"]) -> None:
        """Take in a batch."""
        x = x - self.origin
        mean, count = x.mean(0), len(x)
        total = self.count + count
        gap = mean - self.mean
        self.squares += (x - mean).square().sum(0) + gap.square() * (self.count * count / total)
        self.mean += gap * (count / total)
        self.least = torch.minimum(self.least, x.amin(0))
        self.most = torch.maximum(self.most, x.amax(0))
        self.count = total

    def by_feature(self) -> tuple[Tensor, Tensor]:
        """Return the means, and the standard deviations, never below a share of the extremes.

        A feature that is constant tells nothing of its unit, and gets the others' median one.
        """
        reach = torch.maximum(self.most - self.mean, self.mean - self.least)
        scale = (self.squares / self.count).sqrt().maximum(reach / MOST_SCALES)
        varies = self._range > 0
        typical = scale[varies].median() if varies.any() else scale.new_ones(())
        return self.origin + self.mean, torch.where(varies, scale, typical)

    def shared(self) -> tuple[Tensor, Tensor] | None:
        """Return the least value and the range over all features; None if they have no such range.

        They do where three quarters of those that vary reach half of it.
        """
        least, most = (self.origin + self.least).min(), (self.origin + self.most).max()
        whole, own = most - least, self._range[self._range > 0]
        if len(own) == 0 or own.quantile(0.25) < 0.5 * whole:
            return None
        return least.expand_as(self.mean).clone(), whole.expand_as(self.mean).clone()

    @property
    def _range(self) -> Tensor:
        """Range of each feature; 0 where it is no more than rounding of a few operations."""
        found = self.most - self.least
        largest = (self.origin + self.least).abs().maximum((self.origin + self.most).abs())
        return torch.where(found > _MOST_STEPS * self.eps * largest, found, 0.0)


def measure(
    batches: Iterable[Any], features: int, *, image: bool | None = None
) -> tuple[Float[Tensor, "d"], Float[Tensor, "d"]]:
    """Return location and scale of data, for :meth:`Standardization.set`.

    Parameters
    ----------
    batches
        Tensors ``(n, ...)``, or tuples or lists that begin with one.
    features
        Numbers an example.
    image
        Whether an example is a picture; None goes by its shape, which has then two sides or more
        above one. Pixels share one range, as grey levels do, and all get it; otherwise, and where
        they do not, every feature has its mean and standard deviation.

    Raises
    ------
    TypeError, ValueError
        If there are no examples, or they are no finite floating numbers, or too large to be squared
        in float64, or of another number of features.
    """
    moments = None
    for item in batches:
        batch = item[0] if isinstance(item, tuple | list) else item
        batch = checks.floating("x", batch, batch, checks.CONVERT)
        if batch.ndim < 2 and batch.numel() == features:
            raise WrongValue(
                f"x has items of shape {tuple(batch.shape)}, expected batches (N, ...); pass one "
                "tensor (N, ...), a Dataset, or a DataLoader(data, batch_size=1024)"
            )
        batch = checks.examples("x", batch, features)
        if len(batch) == 0:
            continue
        if image is None:
            image = sum(side > 1 for side in batch.shape[1:]) > 1
        x = batch.detach().flatten(1).double()
        if moments is None:
            moments = Moments(x[0], torch.finfo(batch.dtype).eps)
        moments.add(x)
    if moments is None:
        raise WrongValue("x holds no examples; pass those that the model is to be trained on")
    if not torch.isfinite(moments.squares).all():
        feature = int((~torch.isfinite(moments.squares)).nonzero()[0])
        raise WrongValue(
            f"x holds numbers in feature {feature} (counted from 0) that are NaN, infinite or too "
            "large to be squared in float64; drop, impute or rescale them"
        )
    return (moments.shared() if image else None) or moments.by_feature()


def _version(value: Tensor) -> int:
    """Return what changes with every write; tensors of the inference mode do not tell."""
    return 0 if value.is_inference() else value._version


def _numbers(name: str, value: Any) -> Tensor:
    """Return what is a tensor, an array or a list of numbers as float64."""
    try:
        return torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WrongType(
            f"{name} must be a tensor of one number for each feature, got "
            f"{type(value).__name__} ({error})"
        ) from error


def _first_bad(value: Tensor) -> float:
    return value[~torch.isfinite(value)][0].item()
