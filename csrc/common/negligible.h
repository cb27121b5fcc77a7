// SPDX-License-Identifier: MIT
// Which terms count for nothing in sums over points and components.
//
// A term is left out of a point's sum where it is below 2^-43 of the whole (2^-87 in double): the
// rounding of that sum hides it. A component's sums may be small themselves: of these such a term
// is left out only while N of its size, times its squared distance, are below 2^-23 (2^-67) of what
// the component has.
#pragma once

#include "math/elementary.h"

namespace pyvae {
namespace {

inline constexpr double kLn2 = 0.69314718055994530942;
template <class T>
inline constexpr T kLogNegligible = T((sizeof(T) == sizeof(float) ? -43 : -87) * kLn2);

// The same where terms are weighed by numbers that differ by `ratio` over the components; never
// less than the logarithm of what e^x makes zero.
template <class T>
PYVAE_HD inline T log_negligible(T ratio) {
  return larger(kLogNegligible<T> - log(ratio), T(ExpTable<T>::kSmallestNormal));
}

// The logarithm of what is left out of a component's sums over n points, beside their sum of terms.
// A squared distance is twice the gap between the component's constant and a score: at most that to
// the lowest log-density, and what makes a responsibility zero.
template <class V>
inline V log_negligible_of_component(int64_t n, V constant, ScalarOf<V> lowest_log_prob) {
  using T = ScalarOf<V>;
  const T share = kLogNegligible<T> + T(20 * kLn2 - __builtin_log(double(n)));
  const V gap = constant - lowest_log_prob;
  return share - log(T(2) * ((gap > T(0) ? gap : V{}) - T(ExpTable<T>::kSmallestNormal)));
}

}  // namespace
}  // namespace pyvae
