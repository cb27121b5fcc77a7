// SPDX-License-Identifier: MIT
// A block of threads as a square of 16 by 16: rows of threads share points, columns of threads
// share components or coordinates. A row is half a warp.
#pragma once

#include "common/column.h"
#include "common/range.h"
#include "cuda/device.h"
#include "math/log_sum_exp.h"

namespace pyvae {
namespace {

inline constexpr int kSide = 16;
inline constexpr int kThreads = kSide * kSide, kWarp = 32, kWarps = kThreads / kWarp;
inline constexpr unsigned kAllLanes = ~0u;

__device__ inline int column_of_thread() { return int(threadIdx.x) % kSide; }
__device__ inline int row_of_thread() { return int(threadIdx.x) / kSide; }

// Work a warp, by turns, on as many blocks as a GPU holds at once: what a warp begins with, and how
// far it is to its next.
inline constexpr int64_t kMostWarpBlocks = 1056;
inline int64_t blocks_of_warps(int64_t count) {
  return smaller(kMostWarpBlocks, divide_up(count, kWarps));
}
__device__ inline int64_t first_of_warp() {
  return int64_t(blockIdx.x) * kWarps + int(threadIdx.x) / kWarp;
}
__device__ inline int64_t step_of_warps() { return int64_t(gridDim.x) * kWarps; }

// Device memory of the call, for `count` numbers or none.
template <class T>
inline T* take(const Runtime& runtime, int64_t count) {
  return static_cast<T*>(
      runtime.allocate(runtime.context, size_t(larger<int64_t>(count, 1)) * sizeof(T)));
}

// Several arrays in one allocation.
class Carver {
 public:
  // Calls fill(carver), which takes the arrays, twice: the first time they are only measured.
  template <class Fill>
  static void carve(const Runtime& runtime, const Fill& fill) {
    Carver measured(0);
    fill(measured);
    Carver carver(reinterpret_cast<uintptr_t>(pyvae::take<char>(runtime, measured.used_)));
    fill(carver);
  }

  template <class T>
  T* take(int64_t count) {
    constexpr int64_t kAlignment = 64;
    T* const array = reinterpret_cast<T*>(start_ + uintptr_t(used_));
    used_ += divide_up(larger<int64_t>(count, 1) * int64_t(sizeof(T)), kAlignment) * kAlignment;
    return array;
  }

 private:
  explicit Carver(uintptr_t start) : start_(start) {}
  uintptr_t start_;
  int64_t used_ = 0;
};

// Over `width` neighbouring lanes; all of them get the result, and all must come.
template <class T>
__device__ inline T sum_over_lanes(T value, int width = kSide) {
  PYVAE_UNROLL for (int gap = 16; gap > 0; gap /= 2) {
    if (gap < width) value += __shfl_xor_sync(kAllLanes, value, gap);
  }
  return value;
}
template <class T>
__device__ inline T largest_over_lanes(T value, int width = kSide) {
  for (int gap = width / 2; gap > 0; gap /= 2)
    value = Largest()(value, __shfl_xor_sync(kAllLanes, value, gap, width));
  return value;
}

// The largest of numbers, in all threads. Barriers before and behind.
template <class T>
__device__ inline T largest_of_block(T value, T (&of_warp)[kWarps]) {
  value = largest_over_lanes(value, kWarp);
  __syncthreads();
  if (int(threadIdx.x) % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
  __syncthreads();
  for (int warp = 0; warp < kWarps; ++warp) value = Largest()(value, of_warp[warp]);
  return value;
}

// How much of the score tile a thread does: points by components, and coordinates of the gradients'
// tiles. kDepth coordinates are in shared memory at a time; kPad keeps its rows apart and aligned.
template <class Number, int kPointsEach_, int kColumnsEach_, int kCoordinatesEach_>
struct TileShape {
  using T = Number;
  static constexpr int kPointsEach = kPointsEach_, kColumnsEach = kColumnsEach_,
                       kCoordinatesEach = kCoordinatesEach_;
  static constexpr int kPoints = kSide * kPointsEach, kColumns = kSide * kColumnsEach,
                       kCoordinates = kSide * kCoordinatesEach;
  static constexpr int kDepth = 16, kPad = 16 / sizeof(T);
};
// Of problems that are no larger than a training batch; others have wide tiles (large/tiles.h).
template <class T>
using SmallTile =
    std::conditional_t<sizeof(T) == sizeof(float), TileShape<T, 2, 2, 1>, TileShape<T, 4, 2, 2>>;

// A running log-sum-exp of one point, of which every thread of a row keeps a share.
template <class T>
struct RunningSum {
  T top = -kInfinity<T>, sum = 0;

  template <int kCount>
  __device__ void add(const T (&scores)[kCount]) {
    T after = top;
    PYVAE_UNROLL for (int i = 0; i < kCount; ++i) after = Largest()(after, scores[i]);
    const T shift = finite_or_zero(after);
    sum = carry_over(sum, top, after);
    PYVAE_UNROLL for (int i = 0; i < kCount; ++i) sum += exp_of_summand(scores[i] - shift);
    top = after;
  }

  // The value of so many neighbouring lanes, a row of threads, in each of them.
  __device__ T value(int width = kSide) const {
    const T highest = largest_over_lanes(top, width);
    return of(highest, sum_over_lanes(carry_over(sum, top, highest), width));
  }
  // The same where the thread has all of the point.
  __device__ T own_value() const { return of(top, sum); }

 private:
  __device__ static T of(T highest, T total) {
    return highest == kInfinity<T> ? highest : finite_or_zero(highest) + log(total);
  }
};

// The largest score of one point and its component, of which every thread of a row keeps a share.
// Of equal ones it is the first.
template <class T>
struct RunningLargest {
  T best = -kInfinity<T>;
  int64_t component = 0;

  // Of components in ascending order.
  __device__ void add(T score, int64_t of) {
    if (score > best) best = score, component = of;
  }

  // The component of so many neighbouring lanes, a row of threads, in each of them; 0 without a
  // density.
  __device__ int64_t value(T log_prob, int width = kSide) const {
    const T highest = largest_over_lanes(best, width);
    int64_t found = best == highest ? component : INT64_MAX;
    for (int gap = width / 2; gap > 0; gap /= 2)
      found = smaller(found, __shfl_xor_sync(kAllLanes, found, gap, width));
    return log_prob > -kInfinity<T> ? found : 0;
  }
  __device__ int64_t own_value(T log_prob) const {
    return log_prob > -kInfinity<T> ? component : 0;
  }
};

}  // namespace
}  // namespace pyvae
