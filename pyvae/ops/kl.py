# SPDX-License-Identifier: MIT
"""KL divergences between Gaussians."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from pyvae.ops import products, reference
from pyvae.ops._cuda import LARGEST_FUSED_PAIR
from pyvae.ops.op import Op

__all__ = [
    "gaussian_kl",
    "gaussian_kl_pairwise",
    "gaussian_kl_tril",
]

_gaussian_kl = Op("gaussian_kl", reference.gaussian_kl)
_gaussian_kl_pairwise = Op("gaussian_kl_pairwise", reference.gaussian_kl_pairwise)
_gaussian_kl_tril = Op(
    "gaussian_kl_tril", reference.gaussian_kl_tril, large=products, fused_to=LARGEST_FUSED_PAIR
)


def gaussian_kl(
    mean_q: Float[Tensor, "*#batch d"],
    logvar_q: Float[Tensor, "*#batch d"],
    mean_p: Float[Tensor, "*#batch d"] | None = None,
    logvar_p: Float[Tensor, "*#batch d"] | None = None,
) -> Float[Tensor, "*batch"]:
    """KL divergence between diagonal Gaussians, one value per batch entry.

    Parameters
    ----------
    mean_q, mean_p
        Means. Leading dimensions broadcast. ``mean_p=None`` is the standard normal.
    logvar_q, logvar_p
        Natural logarithms of the variances (not variances, and not standard deviations: a variance
        passed here cannot be told from a log-variance).

    Returns
    -------
    KL(q || p) in nats, summed over the last dimension.

    Raises
    ------
    ValueError
        If the last dimensions differ, the leading ones do not broadcast, devices differ, or only
        one of ``mean_p``, ``logvar_p`` is given.
    TypeError
        If an argument is no floating-point tensor, or dtypes are mixed outside autocast.

    References
    ----------
    Kingma & Welling (2014), appendix B.

    Examples
    --------
    >>> import torch
    >>> gaussian_kl(torch.ones(2, 3), torch.zeros(2, 3))
    tensor([1.5000, 1.5000])
    """
    if (mean_p is None) != (logvar_p is None):
        given, missing = ("mean_p", "logvar_p") if logvar_p is None else ("logvar_p", "mean_p")
        raise ValueError(
            f"gaussian_kl: {given} is given but {missing} is not; pass both, or neither for the "
            "standard normal"
        )
    if mean_p is None or logvar_p is None:
        # One zero behind every element: a broadcast view, which the kernel reads by its strides.
        mean_p = logvar_p = _zeros_like_last(mean_q)
    return _gaussian_kl(mean_q, logvar_q, mean_p, logvar_p)[0]


def gaussian_kl_pairwise(
    mean_q: Float[Tensor, "*#batch n d"],
    logvar_q: Float[Tensor, "*#batch n d"],
    mean_p: Float[Tensor, "*#batch k d"],
    logvar_p: Float[Tensor, "*#batch k d"],
) -> Float[Tensor, "*batch n k"]:
    """KL divergence of each of N diagonal Gaussians to each of K.

    The ``(N, K, D)`` tensor of the pairs' coordinates is never written, forward or backward.

    Parameters
    ----------
    mean_q, mean_p
        Means. Leading dimensions broadcast.
    logvar_q, logvar_p
        Natural logarithms of the variances.

    Returns
    -------
    KL(q_n || p_k) in nats, never negative. Beside its relative error, an entry is uncertain by the
    rounding of one variance ratio a coordinate, at most 4e-7 D in float32 and 8e-16 D in float64:
    that, and not an exact zero, is what equal Gaussians get. `gaussian_kl` is exact there.

    Raises
    ------
    ValueError
        If numbers of rows or features differ, the leading dimensions do not broadcast, or devices
        differ.
    TypeError
        If an argument is no floating-point tensor, or dtypes are mixed outside autocast.

    References
    ----------
    Kingma & Welling (2014), appendix B.

    Examples
    --------
    >>> import torch
    >>> q, p = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0], [3.0]])
    >>> gaussian_kl_pairwise(q, torch.zeros(2, 1), p, torch.zeros(3, 1))
    tensor([[0.0000, 0.5000, 4.5000],
            [0.5000, 0.0000, 2.0000]])
    """
    return _gaussian_kl_pairwise(mean_q, logvar_q, mean_p, logvar_p)[0]


def gaussian_kl_tril(
    mean_q: Float[Tensor, "*#batch d"],
    scale_tril_q: Float[Tensor, "*#batch d d"],
    mean_p: Float[Tensor, "*#batch d"],
    scale_tril_p: Float[Tensor, "*#batch d d"],
) -> Float[Tensor, "*batch"]:
    """KL divergence between Gaussians with full covariances, one value per batch entry.

    Parameters
    ----------
    mean_q, mean_p
        Means. Leading dimensions broadcast.
    scale_tril_q, scale_tril_p
        Lower Cholesky factors L of the covariances L L', as ``torch.linalg.cholesky`` gives them.
        What stands above the diagonal has no influence and gets a gradient of zero.

    Returns
    -------
    KL(q || p) in nats, never negative, and exactly zero where q and p hold the same numbers. An
    entry of the batch with a diagonal element that is no positive normal number (zero, negative,
    subnormal, NaN) is NaN, and so are its gradients in the means and lower triangles; other
    entries are untouched. The rounding error relative to the value grows with the condition number
    of ``scale_tril_p``, as that of any triangular solve.

    Raises
    ------
    ValueError
        If the sizes of the last dimensions differ, the leading ones do not broadcast, or devices
        differ.
    TypeError
        If an argument is no floating-point tensor, or dtypes are mixed outside autocast.

    References
    ----------
    Kullback (1959), *Information Theory and Statistics*, chapter 9; with M = Lp^-1 Lq and
    z = Lp^-1 (mean_q - mean_p) it is half of the sum of squares of M and z, less D, less the sum
    of log M_ii.

    Examples
    --------
    >>> import torch
    >>> gaussian_kl_tril(torch.ones(3), torch.eye(3), torch.zeros(3), torch.eye(3))
    tensor(1.5000)
    """
    return _gaussian_kl_tril(mean_q, scale_tril_q, mean_p, scale_tril_p)[0]


def _zeros_like_last(tensor: object) -> Tensor:
    if not isinstance(tensor, Tensor) or tensor.dim() == 0:
        return tensor  # type: ignore[return-value]  # the op's own check says what is wrong with it
    return tensor.new_zeros(()).expand(tensor.shape[-1])
