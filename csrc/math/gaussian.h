// SPDX-License-Identifier: MIT
// The Gaussian formulas of one coordinate, in nats, and their partial derivatives.
#pragma once

#include "math/elementary.h"

namespace pyvae {
namespace {

inline constexpr double kLog2Pi = 1.8378770664093454836;

// 1/sigma. Of variances above e^176 (e^1419) it is zero: their part of a divergence is, too.
template <class V>
PYVAE_HD inline V inverse_scale_of(V logvar) {
  return exp_without_subnormals(ScalarOf<V>(-0.5) * logvar);
}

// KL( N(mean_q, e^logvar_q) || N(mean_p, e^logvar_p) ) of one coordinate, in nats.
// Kingma & Welling (2014), appendix B, for any diagonal prior. Squaring after the scaling keeps a
// zero gap at zero where e^(-logvar_p) overflows. `inverse_scale` is that of p, which rows may
// share.
template <class V>
PYVAE_HD inline V gaussian_kl_term(V mean_q, V logvar_q, V mean_p, V logvar_p, V inverse_scale) {
  using T = ScalarOf<V>;
  const V z = (mean_q - mean_p) * inverse_scale;
  return T(0.5) * (exp_minus_tangent(logvar_q - logvar_p) + z * z);
}

// Its partial derivatives; the one by mean_p is minus the one by mean_q.
template <class V>
struct GaussianKlGradient {
  V mean_q, logvar_q, logvar_p;
};
template <class V>
PYVAE_HD inline GaussianKlGradient<V> gaussian_kl_gradient(V mean_q, V logvar_q, V mean_p,
                                                           V logvar_p, V inverse_scale) {
  using T = ScalarOf<V>;
  const V z = (mean_q - mean_p) * inverse_scale;
  const V excess = expm1(logvar_q - logvar_p);
  return {z * inverse_scale, T(0.5) * excess, T(-0.5) * (excess + z * z)};
}

// z = (x - mean) / scale from packed parameters: `scale` is 1/sigma and `shift` is mean/sigma
// (centred: one multiply-add, exact enough while |shift| is small) or the mean itself.
template <bool kCentred, class V>
PYVAE_HD inline V standardise(V x, V inverse_scale, V shift) {
  if constexpr (kCentred)
    return x * inverse_scale - shift;
  else
    return (x - shift) * inverse_scale;
}

}  // namespace
}  // namespace pyvae
