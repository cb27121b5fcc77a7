// SPDX-License-Identifier: MIT
// Log-sum-exp of every point, streamed over components with a running maximum. Lanes run over
// points: nothing is reduced across lanes but by folding the rows of as many points as there are
// lanes.
#pragma once

#include "math/log_sum_exp.h"
#include "math/simd.h"

namespace pyvae {
namespace {

// The lanes of a row of `columns` numbers (a multiple of the lanes): their largest, and the sum of
// their e^(l - shift). NaN is passed over by the former.
template <class V>
inline V row_lanes_max(const ScalarOf<V>* row, int64_t columns) {
  V top = -kInfinity<ScalarOf<V>> - V{};
  for (int64_t c = 0; c < columns; c += kLanesOf<V>) top = Largest()(top, load<V>(row + c));
  return top;
}
template <class V>
inline V row_lanes_sum(const ScalarOf<V>* row, int64_t columns, V shift) {
  V total{};
  for (int64_t c = 0; c < columns; c += kLanesOf<V>) total += exp_of_gap(load<V>(row + c) - shift);
  return total;
}

// The largest number of each of kLanes rows, lane i for row i.
template <class V>
inline V largest_of_rows(const ScalarOf<V>* rows, int64_t stride, int64_t columns) {
  V lanes[kLanesOf<V>];
  for (int i = 0; i < kLanesOf<V>; ++i) lanes[i] = row_lanes_max<V>(rows + i * stride, columns);
  return fold_rows(Largest(), lanes);
}

// One log-sum-exp a point, for `points` points (a multiple of the lanes).
template <class V>
struct LogSumExp {
  using T = ScalarOf<V>;
  T *top, *sum;
  int64_t points;

  void clear() {
    for (int64_t n = 0; n < points; ++n) top[n] = -kInfinity<T>, sum[n] = 0;
  }

  // Scores with a row a point, `stride` numbers apart.
  void add_rows(const T* scores, int64_t stride, int64_t columns) {
    for (int64_t n = 0; n < points; n += kLanesOf<V>) {
      const T* const rows = scores + n * stride;
      const V before = load<V>(top + n);
      const V after = Largest()(before, largest_of_rows<V>(rows, stride, columns));
      const V shift = finite_or_zero(after);
      V lanes[kLanesOf<V>];
      for (int i = 0; i < kLanesOf<V>; ++i)
        lanes[i] = row_lanes_sum<V>(rows + i * stride, columns, splat<V>(shift[i]));
      store<V>(sum + n, carry_over(load<V>(sum + n), before, after) + fold_rows(Add(), lanes));
      store<V>(top + n, after);
    }
  }

  // Scores with a row a component, `stride` numbers apart.
  void add_columns(const T* scores, int64_t stride, int64_t rows) {
    for (int64_t n = 0; n < points; n += kLanesOf<V>) {
      const V before = load<V>(top + n);
      V after = before;
      for (int64_t r = 0; r < rows; ++r) after = Largest()(after, load<V>(scores + r * stride + n));
      V total = carry_over(load<V>(sum + n), before, after);
      const V shift = finite_or_zero(after);
      for (int64_t r = 0; r < rows; ++r)
        total += exp_of_gap(load<V>(scores + r * stride + n) - shift);
      store<V>(top + n, after), store<V>(sum + n, total);
    }
  }

  // Writes the values over the tops; -inf where nothing was added or `unreachable` says so.
  T* finish(const bool* unreachable) {
    for (int64_t n = 0; n < points; n += kLanesOf<V>) {
      const V highest = load<V>(top + n), total = log(load<V>(sum + n));
      store<V>(top + n, highest == kInfinity<T> ? highest : finite_or_zero(highest) + total);
    }
    for (int64_t n = 0; n < points; ++n)
      if (unreachable[n]) top[n] = -kInfinity<T>;
    return top;
  }
};

}  // namespace
}  // namespace pyvae
