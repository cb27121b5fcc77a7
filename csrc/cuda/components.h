// SPDX-License-Identifier: MIT
// The components of a mixture as a block of threads reads them where they are not packed
// (packed.h): straight from the caller, with an exponential each time.
#pragma once

#include "common/parameters.h"
#include "cuda/points.h"
#include "math/gaussian.h"

namespace pyvae {
namespace {

// Below this 1/sigma its square comes near underflow, or is 0 times an infinite sigma. The sums of
// an EM step then have z = x - mu; NaN, too, must not show where there is no point.
template <class T>
inline constexpr T kLeastScale = sizeof(T) == sizeof(float) ? T(0x1p-60) : T(0x1p-500);
template <class T>
__device__ inline T moment_scale(T scale) {
  return scale >= kLeastScale<T> ? scale : T(1);
}

// An infinite mean leaves its component without a density, and its coefficients, zero, must not
// meet it: 0 * inf is NaN.
template <class T>
__device__ inline T finite_shift(T shift) {
  return shift == kInfinity<T> || shift == -kInfinity<T> ? T(0) : shift;
}

template <class T>
struct ComponentView {
  Parameters<T> from;
  int64_t k, d;

  __device__ ComponentView(const Problem& problem, int first, bool weighted, int64_t entry)
      : from(problem, first, entry, weighted), k(problem.k), d(problem.d) {}

  __device__ bool there(int64_t column, int64_t coordinate) const {
    return column < k && coordinate < d;
  }
  __device__ bool counts(int64_t column, int64_t coordinate) const {
    return there(column, coordinate) && from.alive(column);
  }
  // What is there is read before it is known to count, so that no load waits for another.
  __device__ T scale(int64_t column, int64_t coordinate) const {
    const T logvar = there(column, coordinate) ? from.logvar(column, coordinate) : T(0);
    return counts(column, coordinate) ? exp(T(-0.5) * logvar) : T(0);
  }
  __device__ T shift(int64_t column, int64_t coordinate) const {
    const T mean = there(column, coordinate) ? from.mean(column, coordinate) : T(0);
    return counts(column, coordinate) ? mean : T(0);
  }
  __device__ T log_weight(int64_t column) const {
    return column < k && from.alive(column) ? from.log_weight(column) : T(0);
  }
  // log weight - sum log sigma - D/2 log 2 pi, by a row of threads; -inf of what does not count.
  __device__ T constant(int64_t column) const {
    const T weight = column < k ? from.log_weight(column) : -kInfinity<T>;
    double log_scale = 0;
    for (int64_t i = column_of_thread(); there(column, i); i += kSide)
      log_scale += 0.5 * from.logvar(column, i);
    log_scale = sum_over_lanes(log_scale);
    return weight == -kInfinity<T> ? weight : T(weight - log_scale - 0.5 * kLog2Pi * double(d));
  }
};

}  // namespace
}  // namespace pyvae
