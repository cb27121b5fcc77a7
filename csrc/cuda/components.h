// SPDX-License-Identifier: MIT
// The components of a mixture as a block of threads reads them: straight from the caller, with an
// exponential each time, or packed once a call.
//
// Packed are 1/sigma and mean/sigma about a common centre, so that a coordinate takes two
// multiply-adds; a tile in which the rounding of these would show holds 1/sigma and the mean, and
// takes three operations.
#pragma once

#include "common/parameters.h"
#include "cuda/points.h"
#include "math/gaussian.h"

namespace pyvae {
namespace {

// Above this mean/sigma the rounding of packed numbers would show, as in tiles/components.h; above
// this 1/sigma its square, which the gradients need, comes near overflow.
inline constexpr double kLargestPackedShift = 32, kLargestPackedScale = 1e18;

// Below this 1/sigma its square comes near underflow, or is 0 times an infinite sigma. The sums of
// an EM step then have z = x - mu; NaN, too, must not show where there is no point.
template <class T>
inline constexpr T kLeastScale = sizeof(T) == sizeof(float) ? T(0x1p-60) : T(0x1p-500);
template <class T>
__device__ inline T moment_scale(T scale) {
  return scale >= kLeastScale<T> ? scale : T(1);
}

// Packed components of all batch entries, in device memory. `centred` has a flag a tile.
template <class T>
struct Packed {
  T *scale = nullptr, *shift = nullptr, *constant = nullptr, *log_weight = nullptr,
    *centre = nullptr;
  bool* centred = nullptr;
  int64_t tiles = 0;
};

template <class T, bool kPacked>
struct ComponentView;

template <class T>
struct ComponentView<T, false> {
  Parameters<T> from;
  int64_t k, d;

  __device__ ComponentView(const Problem& problem, int first, bool weighted, int64_t entry,
                           const Packed<T>&)
      : from(problem, first, entry, weighted), k(problem.k), d(problem.d) {}

  __device__ bool centred(int64_t) const { return false; }
  __device__ T centre(int64_t) const { return 0; }
  __device__ bool counts(int64_t column, int64_t coordinate) const {
    return column < k && coordinate < d && from.alive(column);
  }
  __device__ T scale(int64_t column, int64_t coordinate) const {
    return counts(column, coordinate) ? exp(T(-0.5) * from.logvar(column, coordinate)) : T(0);
  }
  __device__ T shift(int64_t column, int64_t coordinate) const {
    return counts(column, coordinate) ? from.mean(column, coordinate) : T(0);
  }
  __device__ T log_weight(int64_t column) const {
    return column < k && from.alive(column) ? from.log_weight(column) : T(0);
  }
  // log weight - sum log sigma - D/2 log 2 pi, by a row of threads; -inf of what does not count.
  __device__ T constant(int64_t column) const {
    double log_scale = 0;
    const bool alive = column < k && from.alive(column);
    for (int64_t i = column_of_thread(); alive && i < d; i += kSide)
      log_scale += 0.5 * from.logvar(column, i);
    log_scale = sum_over_lanes(log_scale);
    return alive ? T(from.log_weight(column) - log_scale - 0.5 * kLog2Pi * double(d))
                 : -kInfinity<T>;
  }
};

template <class T>
struct ComponentView<T, true> {
  Packed<T> packed;
  int64_t entry, k, d;

  __device__ ComponentView(const Problem& problem, int, bool, int64_t entry_, const Packed<T>& from)
      : packed(from), entry(entry_), k(problem.k), d(problem.d) {}

  __device__ bool centred(int64_t tile) const {
    return packed.centred[entry * packed.tiles + tile];
  }
  __device__ T centre(int64_t coordinate) const { return packed.centre[entry * d + coordinate]; }
  __device__ T scale(int64_t column, int64_t coordinate) const {
    return column < k && coordinate < d ? packed.scale[(entry * k + column) * d + coordinate]
                                        : T(0);
  }
  __device__ T shift(int64_t column, int64_t coordinate) const {
    return column < k && coordinate < d ? packed.shift[(entry * k + column) * d + coordinate]
                                        : T(0);
  }
  __device__ T log_weight(int64_t column) const {
    return column < k ? packed.log_weight[entry * k + column] : T(0);
  }
  __device__ T constant(int64_t column) const {
    return column < k ? packed.constant[entry * k + column] : -kInfinity<T>;
  }
};

// The mean of the means of the components that count, a coordinate a column of threads; zero where
// that is not finite.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    centre_kernel(const __grid_constant__ Problem problem, int first, Packed<T> packed) {
  struct Memory {
    T sum[kSide][kSide], count[kSide][kSide];
  };
  Memory& memory = shared_memory<Memory>();
  const int64_t tiles = divide_up(problem.d, kSide), entry = blockIdx.x / tiles;
  const int64_t d = blockIdx.x % tiles * kSide + column_of_thread();
  const Parameters<T> from(problem, first, entry, true);
  T sum = 0, count = 0;  // the mean so far, and of how many
  for (int64_t k = row_of_thread(); d < problem.d && k < problem.k; k += kSide) {
    if (!from.alive(k)) continue;
    count += 1;
    sum += (from.mean(k, d) - sum) / count;
  }
  memory.sum[row_of_thread()][column_of_thread()] = sum;
  memory.count[row_of_thread()][column_of_thread()] = count;
  __syncthreads();
  if (row_of_thread() != 0 || d >= problem.d) return;
  T total = 0;
  for (int row = 0; row < kSide; ++row) total += memory.count[row][column_of_thread()];
  T mean = 0;
  for (int row = 0; total > 0 && row < kSide; ++row)
    mean += memory.sum[row][column_of_thread()] * (memory.count[row][column_of_thread()] / total);
  packed.centre[entry * problem.d + d] = mean - mean == 0 ? mean : T(0);
}

// Packs one tile of components, a component a row of threads.
template <class Shape, class T = typename Shape::T>
__global__ void __launch_bounds__(kThreads, 1)
    pack_kernel(const __grid_constant__ Problem problem, int first, Packed<T> packed) {
  struct Memory {
    bool exact[kSide];
  };
  Memory& memory = shared_memory<Memory>();
  const int64_t entry = blockIdx.x / packed.tiles, tile = blockIdx.x % packed.tiles;
  const ComponentView<T, false> from(problem, first, true, entry, packed);
  const int64_t columns = tile * Shape::kColumns, d = problem.d;
  T shift = 0, scale = 0, wide = 0;
  for (int c = row_of_thread(); c < Shape::kColumns; c += kSide)
    for (int64_t i = column_of_thread(); i < d; i += kSide) {
      if (!from.counts(columns + c, i)) continue;
      const T here = from.scale(columns + c, i);
      const T gap = (from.shift(columns + c, i) - packed.centre[entry * d + i]) * here;
      shift = Largest()(shift, gap < 0 ? -gap : gap), scale = Largest()(scale, here);
      if (here < kLeastScale<T>) wide = 1;
    }
  shift = largest_over_lanes(shift), scale = largest_over_lanes(scale);
  wide = largest_over_lanes(wide);
  if (column_of_thread() == 0)
    memory.exact[row_of_thread()] =
        shift > T(kLargestPackedShift) || scale > T(kLargestPackedScale) || wide > 0;
  __syncthreads();
  bool centred = true;
  for (int row = 0; row < kSide; ++row) centred &= !memory.exact[row];
  if (threadIdx.x == 0) packed.centred[entry * packed.tiles + tile] = centred;
  for (int c = row_of_thread(); c < Shape::kColumns; c += kSide) {
    const T constant = from.constant(columns + c);
    if (columns + c >= problem.k) continue;
    const int64_t at = entry * problem.k + columns + c;
    if (column_of_thread() == 0) {
      packed.constant[at] = constant;
      packed.log_weight[at] = from.log_weight(columns + c);
    }
    for (int64_t i = column_of_thread(); i < d; i += kSide) {
      const T here = from.scale(columns + c, i), mean = from.shift(columns + c, i);
      const T about = from.counts(columns + c, i) ? mean - packed.centre[entry * d + i] : T(0);
      packed.scale[at * d + i] = here;
      packed.shift[at * d + i] = centred ? about * here : mean;
    }
  }
}

// Operands from `first`: log_weights, means, logvars.
template <class Shape, class T = typename Shape::T>
Packed<T> pack(const Problem& problem, const Runtime& runtime, int first) {
  const int64_t k = problem.k, d = problem.d, batch = problem.batch;
  Packed<T> packed;
  packed.tiles = divide_up(k, Shape::kColumns);
  packed.scale = take<T>(runtime, batch * k * d);
  packed.shift = take<T>(runtime, batch * k * d);
  packed.constant = take<T>(runtime, batch * k);
  packed.log_weight = take<T>(runtime, batch * k);
  packed.centre = take<T>(runtime, batch * d);
  packed.centred = take<bool>(runtime, batch * packed.tiles);
  launch(centre_kernel<T>, batch * divide_up(d, kSide), kThreads, 2 * kThreads * sizeof(T),
         runtime.stream, problem, first, packed);
  launch(pack_kernel<Shape>, batch * packed.tiles, kThreads, kSide * sizeof(bool), runtime.stream,
         problem, first, packed);
  return packed;
}

}  // namespace
}  // namespace pyvae
