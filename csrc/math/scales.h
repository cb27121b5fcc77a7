// SPDX-License-Identifier: MIT
// Formulas of two scales (standard deviations, diagonals of Cholesky factors): the logarithm of
// their ratio, and what they add to a KL divergence.
#pragma once

#include "math/elementary.h"

namespace pyvae {
namespace {

// Terms of the series of atanh.
template <class T>
inline constexpr int kRatioTerms = sizeof(T) == sizeof(float) ? 5 : 11;

// log(a / b) = exponent ln 2 + 2 s + tail for normal numbers a, b > 0.
template <class V>
struct LogRatio {
  IntegerOf<V> exponent;
  V s, tail;
};

// a / b = 2^exponent f with f in [sqrt 1/2, sqrt 2], from exponents and significands taken apart,
// so that no quotient is out of range; log f = 2 atanh(s) with s = (f - 1) / (f + 1), |s| < 0.172,
// by its series.
template <class V>
PYVAE_HD inline LogRatio<V> log_ratio(V a, V b) {
  using T = ScalarOf<V>;
  using Integer = IntegerOf<V>;
  constexpr int kMantissa = ExpTable<T>::kMantissa;
  constexpr T kOne = 1, kRoot = T(1.4142135623730951);
  const Integer a_bits = __builtin_bit_cast(Integer, a), b_bits = __builtin_bit_cast(Integer, b);
  const auto one_bits = __builtin_bit_cast(IntegerOf<T>, kOne);
  const IntegerOf<T> mask = (IntegerOf<T>(1) << kMantissa) - 1;
  V x = __builtin_bit_cast(V, (a_bits & mask) | one_bits);
  V y = __builtin_bit_cast(V, (b_bits & mask) | one_bits);
  const auto high = x > kRoot * y, low = y > kRoot * x;
  const Integer none = __builtin_bit_cast(Integer, V{}), unit = none + 1;
  x = high ? T(0.5) * x : x;
  y = low ? T(0.5) * y : y;
  const Integer exponent = (a_bits >> kMantissa) - (b_bits >> kMantissa);
  const V s = (x - y) / (x + y), square = s * s;
  V series{};
  for (int term = kRatioTerms<T> - 1; term >= 0; --term)
    series = series * square + T(2) / T(2 * term + 3);
  return {exponent + (high ? unit : none) - (low ? unit : none), s, s * square * series};
}

// KL( N(m, scale_q^2) || N(m, scale_p^2) ) = (m^2 - 1)/2 - log m of m = scale_q / scale_p. Never
// negative; relative error within 8 ulp for m in [0.71, 1.41], where d = m - 1 gives it as d^2/2 +
// (d - log(1 + d)) and d - log(1 + d) = s d - tail cancels nothing; absolute error within 2 ulp of
// (m^2 + |log m|) elsewhere. NaN unless both scales are positive normal numbers.
template <class V>
PYVAE_HD inline V gaussian_scale_kl(V scale_q, V scale_p) {
  using T = ScalarOf<V>;
  const LogRatio<V> log = log_ratio(scale_q, scale_p);
  const V d = (scale_q - scale_p) / scale_p;
  const V near = T(0.5) * d * d + (log.s * d - log.tail);
  const V far = T(0.5) * d * (d + T(2)) -
                (number_of<V>(log.exponent) * T(0.6931471805599453) + (T(2) * log.s + log.tail));
  const V value = log.exponent == 0 ? near : far;
  const auto valid = (scale_q >= LogTable<T>::kSmallest) & (scale_p >= LogTable<T>::kSmallest);
  return valid ? value : splat<V>(T(__builtin_nan("")));
}

// The derivative of the above by scale_q, times scale_p: m - 1/m.
template <class V>
PYVAE_HD inline V gaussian_scale_kl_slope(V scale_q, V scale_p) {
  const V gap = scale_q - scale_p;
  return gap / scale_p + gap / scale_q;
}

}  // namespace
}  // namespace pyvae
