// SPDX-License-Identifier: MIT
// A log-sum-exp streamed with a running maximum.
#pragma once

#include "math/elementary.h"

namespace pyvae {
namespace {

// An infinite maximum would make e^(l - top) NaN where l is infinite too.
template <class V>
PYVAE_HD inline V finite_or_zero(V top) {
  return top - top == V{} ? top : V{};
}

// What a running sum of e^(l - before) is about the maximum `after`.
template <class V>
PYVAE_HD inline V carry_over(V sum, V before, V after) {
  const V moved = sum * exp_of_gap(finite_or_zero(before) - finite_or_zero(after));
  return sum == V{} ? V{} : moved;
}

}  // namespace
}  // namespace pyvae
