// SPDX-License-Identifier: MIT
// Which terms count for nothing in sums over points and components.
//
// A term is left out of a point's sum where it is below kNegligible of the whole: the rounding of
// that sum hides it. A component's sum may be small itself: of it a term is left out only where it
// is below kNegligible of another one of that component, too, so that the sum of all that is left
// out is below N kNegligible of what stays.
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

}  // namespace
}  // namespace pyvae
