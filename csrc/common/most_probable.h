// SPDX-License-Identifier: MIT
// The most probable component of each point, followed beside its log-sum-exp. Of equal ones it is
// the first, and without a density (log_prob is -inf or NaN) it is 0.
#pragma once

#include "common/column.h"
#include "common/log_sum_exp.h"

namespace pyvae {
namespace {

// The lanes of a row of `columns` numbers: at which of them `value` stands first, or `columns`.
template <class V>
inline V row_lanes_first(const ScalarOf<V>* row, int64_t columns, ScalarOf<V> value) {
  using T = ScalarOf<V>;
  V first = splat<V>(T(columns));
  for (int64_t c = 0; c < columns; c += kLanesOf<V>) {
    const V here = lane_numbers<V>() + T(c);
    first = Smallest()(first, load<V>(row + c) == value ? here : first);
  }
  return first;
}

// For `count` points from `first` on; `best` has a number for each of them.
template <class V>
struct MostProbable {
  using T = ScalarOf<V>;
  T* best;
  Column<int64_t> component;
  int64_t first, count;

  void clear() const {
    for (int64_t n = 0; n < count; ++n) best[n] = -kInfinity<T>, component.at(first + n) = 0;
  }

  // `total` has just taken the scores of the components from k on, with a row a point.
  void follow_rows(const LogSumExp<V>& total, const T* scores, int64_t stride, int64_t columns,
                   int64_t k) const {
    for (int64_t n = 0; n < count; n += kLanesOf<V>) {
      if (!rose(total, n, smaller<int64_t>(kLanesOf<V>, count - n))) continue;
      V lanes[kLanesOf<V>];
      for (int i = 0; i < kLanesOf<V>; ++i)
        lanes[i] = row_lanes_first<V>(scores + (n + i) * stride, columns, total.top[n + i]);
      const V at = fold_rows(Smallest(), lanes);
      for (int64_t i = 0; i < kLanesOf<V> && n + i < count; ++i)
        if (rose(total, n + i, 1)) take(n + i, total.top[n + i], k + int64_t(at[i]));
    }
  }

  // The same with a row a component.
  void follow_columns(const LogSumExp<V>& total, const T* scores, int64_t stride, int64_t k) const {
    for (int64_t n = 0; n < count; ++n) {
      if (!rose(total, n, 1)) continue;
      int64_t row = 0;
      while (scores[row * stride + n] != total.top[n]) ++row;
      take(n, total.top[n], k + row);
    }
  }

  void finish(const T* log_prob) const {
    for (int64_t n = 0; n < count; ++n)
      if (!(log_prob[n] > -kInfinity<T>)) component.at(first + n) = 0;
  }

 private:
  bool rose(const LogSumExp<V>& total, int64_t n, int64_t points) const {
    bool any = false;
    for (int64_t i = 0; i < points; ++i) any |= total.top[n + i] > best[n + i];
    return any;
  }
  void take(int64_t n, T score, int64_t k) const { best[n] = score, component.at(first + n) = k; }
};

}  // namespace
}  // namespace pyvae
