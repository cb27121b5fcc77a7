# SPDX-License-Identifier: MIT
"""What is known of points' components before a fit: labels, or probabilities in their place.

A label is an observation beside the point: p(x, y, z = k) = pi_k e_k p(x | k), where the evidence
e_k is the likelihood of what was seen of the label, were k the component. Of a known component it
is 1 there and 0 elsewhere, of an unknown one it is 1 everywhere. Only its ratios matter, so it is
made to have 1 as its largest value: what says nothing then leaves the likelihood as it is.

Source: Côme, Oukhellou, Denœux & Aknin (2009), "Learning from partially supervised data using
mixture models and belief functions", whose plausibilities the evidence is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pyvae.errors import WrongValue
from pyvae.mixture.arrays import Array, Source, as_tensor, like
from pyvae.mixture.streams import Stream

UNKNOWN, GRADED = -1, -2
_ROWS = 2**16  # looked at at a time
_TOLERANCE = 1e-4  # of a row's sum: probabilities may have been rounded, or be of a float16


@dataclass(frozen=True)
class Labels:
    """What is known of the components of N points.

    Attributes
    ----------
    component
        ``(N,)`` int64: the component of a point; ``UNKNOWN``; or ``GRADED``, where the evidence is
        neither that of one component nor the same for all.
    log_evidence
        ``(N, K)`` in float64, of graded points; None where no point is.
    """

    component: Tensor
    log_evidence: Tensor | None = None

    def of(self, part: slice | Tensor) -> Labels:
        """Give those of some points."""
        evidence = None if self.log_evidence is None else self.log_evidence[part]
        return Labels(self.component[part], evidence)

    def dense(self, columns: int) -> Tensor:
        """Give the logarithms of all evidence, ``(N, columns)``.

        Columns beyond the K components are of what no labelled point can come from.
        """
        found = torch.zeros(len(self.component), columns).to(self.component.device).double()
        found[self.component != UNKNOWN] = -torch.inf
        known = (self.component >= 0).nonzero()[:, 0]
        found[known, self.component[known]] = 0.0
        if self.log_evidence is not None:
            graded = self.component == GRADED
            found[graded, : self.log_evidence.shape[1]] = self.log_evidence[graded]
        return found

    def most_probable(self) -> Tensor:
        """Give the component that the evidence speaks for, ``(N,)``, UNKNOWN where for several."""
        if self.log_evidence is None:
            return self.component
        most, component = self.log_evidence.max(1)
        alone = (self.log_evidence == most[:, None]).sum(1) == 1
        graded = torch.where(alone, component, UNKNOWN)
        return torch.where(self.component == GRADED, graded, self.component)


def read_labels(
    labels: Array | None, source: Source, num_components: int, weight: Tensor | None
) -> Labels | None:
    """Check labels, and give them on the device of the points; None where they say nothing.

    Those of points without weight are left out.

    Raises
    ------
    ValueError
        If they have another shape, are no numbers of components, or rows are no probabilities.
    """
    if labels is None:
        return None
    if isinstance(source, Stream):
        source.keep_order("labels")
    try:
        found = as_tensor(labels).to(like(source).device)
    except (TypeError, ValueError) as error:  # of text or objects, or of no shape
        raise WrongValue(
            f"labels is no array of numbers ({error}); expected integers, {UNKNOWN} for unknown, "
            f"or probabilities (N, {num_components})"
        ) from None
    count = len(source)
    if found.shape == (count,):
        read = Labels(_components(found, num_components))
    elif found.shape == (count, num_components):
        read = _graded(found)
    else:
        raise WrongValue(
            f"labels has shape {tuple(found.shape)}; expected ({count},), the number of each "
            f"point's component or {UNKNOWN}, or probabilities ({count}, {num_components})"
        )
    if weight is not None:
        component = torch.where(weight > 0, read.component, UNKNOWN)
        read = replace(read, component=component)
    return None if (read.component == UNKNOWN).all() else read


def require_possible(labels: Labels | None, log_weights: Tensor) -> None:
    """Refuse labels of components that have no weight in a mixture that a fit starts from.

    Raises
    ------
    ValueError
        If a point could come from none of its components.
    """
    if labels is None or (log_weights > -torch.inf).all():
        return
    for at in range(0, len(labels.component), _ROWS):
        some = slice(at, at + _ROWS)
        wrong = (labels.of(some).dense(len(log_weights)) + log_weights == -torch.inf).all(1)
        if wrong.any():
            raise WrongValue(
                f"labels: row {at + int(wrong.int().argmax())} (counted from 0) is of a component "
                "whose weight is zero in the mixture that the fit starts from; give it one"
            )


def _components(found: Tensor, num_components: int) -> Tensor:
    if found.is_floating_point() or found.is_complex() or found.dtype == torch.bool:
        raise WrongValue(
            f"labels is of {found.dtype}; expected integers, {UNKNOWN} for unknown, or "
            f"probabilities (N, {num_components})"
        )
    found = found.long()
    wrong = (found < UNKNOWN) | (found >= num_components)
    if wrong.any():
        row = int(wrong.int().argmax())
        raise WrongValue(
            f"labels holds {found[row].item()} in row {row} (counted from 0); expected 0 to "
            f"{num_components - 1}, for n_components={num_components}, or {UNKNOWN} for unknown"
        )
    return found


def _graded(found: Tensor) -> Labels:
    """Read probabilities, and tell those that are labels from those that say nothing."""
    found = found.double()
    silent = found.isnan().all(1)
    fits = (found >= 0).all(1) & ((found.sum(1) - 1.0).abs() <= _TOLERANCE)
    wrong = ~(fits | silent)
    if wrong.any():
        row = int(wrong.int().argmax())
        raise WrongValue(
            f"labels holds no probabilities in row {row} (counted from 0); expected numbers from 0 "
            "to 1 that sum to one, or NaN alone for unknown"
        )
    most, component = found.max(1)
    silent = silent | (found == most[:, None]).all(1)
    single = (found > 0).sum(1) == 1
    component = torch.where(single, component, GRADED)
    component = torch.where(silent, UNKNOWN, component)
    evidence = (found / most[:, None]).log() if (component == GRADED).any() else None
    return Labels(component, evidence)
