// SPDX-License-Identifier: MIT
// Which terms count for nothing in sums over points and components.
//
// A term is left out of a point's sum where it is below kNegligible of the whole: the rounding of
// that sum hides it. A component's sum may be small itself: of it such a term is left out only
// while N of its size are nothing beside what the component has, 2^-23 of it in float.
#pragma once

#include "math/elementary.h"

namespace pyvae {
namespace {

template <class T>
inline constexpr T kNegligible = sizeof(T) == sizeof(float) ? T(0x1p-43) : T(0x1p-87);
template <class T>
inline constexpr T kLogNegligible =
    sizeof(T) == sizeof(float) ? T(-29.805328764077625) : T(-60.302804243134);

// Its logarithm where terms are weighed by numbers that differ by `ratio` over the components;
// never less than that of what e^x makes zero.
template <class T>
PYVAE_HD inline T log_negligible(T ratio) {
  return larger(kLogNegligible<T> - log(ratio), T(ExpTable<T>::kSmallestNormal));
}

// The logarithm of what is left out of a component's sum over n points, beside that sum.
template <class T>
inline T log_negligible_of_component(int64_t n) {
  constexpr double kTwentyBits = 13.862943611198906;
  return T(double(kLogNegligible<T>) + kTwentyBits - __builtin_log(double(n)));
}

}  // namespace
}  // namespace pyvae
