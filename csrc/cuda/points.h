// SPDX-License-Identifier: MIT
// A tile of points, read in the caller's strides.
#pragma once

#include "cuda/block.h"

namespace pyvae {
namespace {

template <class T>
struct Points {
  Column<const T> from;
  int64_t first;
  int count;         // of the tile that are there
  const bool* skip;  // rows that must not meet the components' numbers: 0 * inf is NaN

  __device__ Points(const Problem& problem, int operand, int64_t entry, int64_t first_, int most,
                    const bool* skip_)
      : from(problem, operand, entry),
        first(first_),
        count(int(smaller<int64_t>(most, problem.n - first_))),
        skip(skip_) {}

  __device__ bool use(int n) const { return n < count && !skip[n]; }
  __device__ T at(int n, int64_t d) const { return from.at(first + n, d); }
  // Zero where there is nothing to read.
  __device__ T value(int n, int64_t d, int64_t dimension) const {
    return use(n) && d < dimension ? at(n, d) : T(0);
  }
  // As the log-variance of a spread: its standard deviation, zero for a point mass (-inf).
  __device__ T scale(int n, int64_t d, int64_t dimension) const {
    return use(n) && d < dimension ? exp(T(0.5) * at(n, d)) : T(0);
  }
};

// Marks points that hold an infinity: their density is zero under every component.
template <class T>
__device__ void mark_unreachable(const Points<T>& points, int most, int64_t dimension,
                                 bool* marks) {
  for (int n = row_of_thread(); n < most; n += kSide) {
    T poison = 0, nan = 0;  // the first is NaN as soon as one coordinate is infinite or NaN
    for (int64_t d = column_of_thread(); n < points.count && d < dimension; d += kSide) {
      const T value = points.at(n, d);
      poison += value - value;
      nan += value != value ? T(1) : T(0);
    }
    poison = sum_over_lanes(poison), nan = sum_over_lanes(nan);
    if (column_of_thread() == 0) marks[n] = poison != poison && nan == 0;
  }
}

// Adds the marks of points whose log-variance leaves no density.
template <class T>
__device__ void mark_infinite_spread(const Points<T>& spreads, int most, int64_t dimension,
                                     bool* marks) {
  for (int n = row_of_thread(); n < most; n += kSide) {
    T infinite = 0;
    for (int64_t d = column_of_thread(); n < spreads.count && d < dimension; d += kSide)
      infinite += exp(T(0.5) * spreads.at(n, d)) == kInfinity<T> ? T(1) : T(0);
    infinite = sum_over_lanes(infinite);
    if (column_of_thread() == 0 && infinite > 0) marks[n] = true;
  }
}

}  // namespace
}  // namespace pyvae
