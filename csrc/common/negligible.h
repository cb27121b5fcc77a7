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

// The logarithm of what is left out of a component's sums over n points, beside their sum of terms,
// of which the logarithm of a lower bound is given. A squared distance is twice the gap between the
// component's constant and a score: at most that to the lowest log-density and from there to the
// lowest responsibility that may have to be kept, the first bound for which is what e^x makes zero.
template <class V>
PYVAE_HD inline V log_negligible_of_component(int64_t n, V constant, ScalarOf<V> lowest_log_prob,
                                              V sum) {
  using T = ScalarOf<V>;
  const T share = kLogNegligible<T> + T(20 * kLn2 - double(log(T(double(n)))));
  const V difference = constant - lowest_log_prob, gap = difference > T(0) ? difference : V{};
  const auto beside = [&](V lowest) { return share - log(T(2) * (gap - lowest)); };
  const V smallest = T(ExpTable<T>::kSmallestNormal) - V{};
  return beside(Largest()(sum + beside(smallest), smallest));
}

}  // namespace
}  // namespace pyvae
