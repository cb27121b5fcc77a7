// SPDX-License-Identifier: MIT
// Sums weighted by e^l, streamed over chunks of components with a running maximum.
#pragma once

#include "math/elementary.h"

namespace pyvae {
namespace {

// Largest of a row of `columns` numbers (a multiple of the lanes); NaN is passed over.
template <class V>
inline ScalarOf<V> row_max(const ScalarOf<V>* row, int64_t columns) {
  V top = splat<V>(-kInfinity<ScalarOf<V>>);
  for (int64_t c = 0; c < columns; c += kLanesOf<V>) {
    const V value = load<V>(row + c);
    top = value > top ? value : top;
  }
  return max_lanes(top);
}

// An infinite maximum would make e^(l - top) NaN where l is infinite too.
template <class V>
inline V finite_or_zero(V top) {
  return top - top == V{} ? top : V{};
}

template <class T>
struct LogSumExp {
  T top = -kInfinity<T>, sum = 0;

  template <class V>
  void add(const T* row, int64_t columns) {
    raise(row_max<V>(row, columns));
    const V shift = splat<V>(finite_or_zero(top));
    V total{};
    for (int64_t c = 0; c < columns; c += kLanesOf<V>) total += exp(load<V>(row + c) - shift);
    sum += sum_lanes(total);
  }
  T value() const {
    return sum == 0 ? -kInfinity<T> : finite_or_zero(top) + T(__builtin_log(double(sum)));
  }

 private:
  void raise(T highest) {
    if (!(highest > top)) return;
    if (sum != 0) sum *= exp(finite_or_zero(top) - finite_or_zero(highest));
    top = highest;
  }
};

}  // namespace
}  // namespace pyvae
