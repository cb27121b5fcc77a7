# SPDX-License-Identifier: MIT
"""A component of noise: points that may be anywhere in the box of the data, and of no cluster.

Its density is one over the box's volume, and is taken to be so everywhere: a new point beyond the
box, where it were zero, would be of some cluster for certain, and the more so the farther it is.

Source: Banfield & Raftery (1993), "Model-based Gaussian and non-Gaussian clustering"; Fraley &
Raftery (2002), "Model-based clustering, discriminant analysis, and density estimation".
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture.arrays import column_ranges, numbers
from pyvae.mixture.points import Points
from pyvae.mixture.processes import Processes


class Noise(NamedTuple):
    """A uniform component: its weight ``()``, and the box's least and largest corner ``(2, D)``."""

    weight: Tensor
    box: Tensor

    @staticmethod
    def about(
        points: Points, weight: float, processes: Processes, before: Noise | None = None
    ) -> Noise:
        """Give noise in the bounding box of points, those of all processes, and of a box before.

        Raises
        ------
        ValueError
            If a coordinate does not vary: the box has no volume.
        """
        least, largest = column_ranges(points.source, points.weight)
        least, largest = -processes.largest(-least), processes.largest(largest)
        if before is not None:
            box = before.to(least.device).box
            least, largest = torch.minimum(least, box[0]), torch.maximum(largest, box[1])
        flat = (~(largest > least)).nonzero()[:, 0].tolist()
        if flat:
            raise WrongValue(
                f'noise="uniform": column(s) {flat[:8]} (counted from 0) hold one value only, and '
                "a box without width has no volume; leave them out"
            )
        return Noise(least.new_tensor(weight), torch.stack([least, largest]))

    @property
    def log_volume(self) -> Tensor:
        """Logarithm of the box's volume, ``()``."""
        return (self.box[1] - self.box[0]).log().sum()

    def to(self, device: torch.device) -> Noise:
        """Give the noise on a device."""
        return Noise(*(part.to(device) for part in self))

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density of points, ``(N,)``; of their observed coordinates, where some are NaN."""
        sides = (self.box[1] - self.box[0]).log()
        return -torch.where(x.isnan(), 0.0, sides).sum(1)

    def beside(self, x: Tensor, log_shares: Tensor, log_prob: Tensor) -> tuple[Tensor, Tensor]:
        """Give the shares of components and of noise, ``(N, K + 1)``, and the density ``(N,)``.

        Of the components' logarithms of shares ``(N, K)`` and density, whose weights are what the
        noise has left.
        """
        of_noise = self.weight.log() + self.log_prob(x)
        together = torch.logaddexp(log_prob.double(), of_noise)
        left = log_shares.double() + (log_prob.double() - together)[:, None]
        return torch.cat([left, (of_noise - together)[:, None]], 1), together


def noise_of(estimator: object, dimension: int) -> Noise | None:
    """Give the noise that an estimator's attributes describe, on the CPU; None without any.

    Raises
    ------
    ValueError
        If they are no weight, or no box in so many dimensions.
    """
    held = vars(estimator)
    if "noise_weight_" not in held:
        return None
    weight, box = numbers(held["noise_weight_"]).cpu(), held.get("noise_box_")
    box = box if box is None else numbers(box).cpu()
    if weight.ndim or not 0 <= weight <= 1:
        raise WrongValue(f"noise_weight_ is {held['noise_weight_']}; expected a number in [0, 1]")
    if box is None or box.shape != (2, dimension) or not (box[1] > box[0]).all():
        raise WrongValue(
            f"noise_box_ is no box in {dimension} dimensions; expected its least and largest "
            f"corner, (2, {dimension}), or del noise_weight_"
        )
    if not (box[1] - box[0]).isfinite().all():
        raise WrongValue("noise_box_ holds NaN or infinity, or is too wide; a box is finite")
    return Noise(weight, box)
