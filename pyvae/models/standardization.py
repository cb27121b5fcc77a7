# SPDX-License-Identifier: MIT
"""Data in the units in which a model computes, and back in the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Independent, Normal

from pyvae.errors import WrongValue
from pyvae.models import checks

# Values beyond so many scales are those of a heavy tail: a pixel that is dark in all images but a
# few has a standard deviation of next to nothing, and in its units those few would be all that the
# loss sees.
MOST_SCALES = 10.0
# Rounding in an offset, in scales, that results in the model's dtype may have; of half precision
# nobody expects more than its own few digits.
_MOST_ROUNDING, _LEAST_OFFSET = 2.0**-10, 8.0
# Scales about the location for which a dtype must have the range.
_REACH = 100.0


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
        self._refresh()

    def set(self, location: Float[Tensor, "d"], scale: Float[Tensor, "d"]) -> None:
        """Set both.

        Raises
        ------
        ValueError
            If a shape does not fit, a number is not finite, or a scale not above zero.
        """
        for name, value in (("location", location), ("scale", scale)):
            checks.shaped(name, value, self.scale.shape, "one number for each feature")
            if not torch.isfinite(value).all():
                raise WrongValue(f"{name} must be finite numbers, got {_first_bad(value)}")
        if not (scale > 0).all():
            raise WrongValue(f"scale must be above zero, got {scale.min().item():g}")
        self.location.copy_(location)
        self.scale.copy_(scale)
        self._refresh()

    @property
    def is_fitted(self) -> bool:
        """Whether the data's location and scale are known."""
        return self._extent is not None

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
        offset, least, most = self._extent or (0.0, 1.0, 1.0)
        about = torch.finfo(dtype)
        has_digits = offset <= max(_MOST_ROUNDING / about.eps, _LEAST_OFFSET)
        return has_digits and about.tiny < least and _REACH * most < about.max

    def check_fitted(self) -> None:
        """Raise where the data are not known yet."""
        if self._extent is None:
            raise WrongValue(
                "the model standardises its data and does not know their location and scale yet; "
                "call model.fit_standardization(x) with the training data first, as the Trainer "
                "does, or build the model with standardize=False"
            )

    def _refresh(self) -> None:
        """Note what the buffers hold, so that no call has to wait for a device to tell it."""
        self._extent: tuple[float, float, float] | None = None
        if not self.scale.is_meta and bool((self.scale > 0).all()):
            offset = (self.location.abs() / self.scale).max().item()
            self._extent = offset, self.scale.min().item(), self.scale.max().item()

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._refresh()

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

    References
    ----------
    Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance".
    """

    def __init__(self, first: Float[Tensor, "d"]) -> None:
        self.origin, self.count = first, 0
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
        """Range of each feature; 0 where it is no more than rounding."""
        found = self.most - self.least
        largest = (self.origin + self.least).abs().maximum((self.origin + self.most).abs())
        return torch.where(found > 8 * torch.finfo(found.dtype).eps * largest, found, 0.0)


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
        batch = checks.examples("x", batch, features)
        if len(batch) == 0:
            continue
        if image is None:
            image = sum(side > 1 for side in batch.shape[1:]) > 1
        x = batch.detach().flatten(1).double()
        if moments is None:
            moments = Moments(x[0])
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


def _first_bad(value: Tensor) -> float:
    return value[~torch.isfinite(value)][0].item()
