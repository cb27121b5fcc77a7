// SPDX-License-Identifier: MIT
// The components of a large mixture, packed once a call: for every tile of them coordinates by
// components, as the wide tiles read them, and on request a row a component.
//
// About the centre, the mean of the means, a coordinate takes two multiply-adds; a mixture in which
// the rounding of (mean - centre)/sigma would show is read as 1/sigma and mean, with differences
// taken first. Padding, and components of weight -inf, hold zeros and the constant -inf: they
// cannot contribute.
#pragma once

#include "cuda/components.h"
#include "cuda/large/tiles.h"

namespace pyvae {
namespace {

// Above this (mean - centre)/sigma the rounding of packed numbers would show, as in
// tiles/components.h; above this 1/sigma its square, which the gradients need, comes near overflow.
inline constexpr double kLargestPackedShift = 32, kLargestPackedScale = 1e18;
// Up to this (mean - centre)/sigma of every component sums of squares may be expanded: their
// rounding then grows by its square at most, and stays below that of the terms. Between these
// 1/sigma squares in units of x, times what weighs them, are as far from over- and underflow as
// those of z.
inline constexpr double kLargestProductShift = 8;
inline constexpr double kLeastProductScale = 0x1p-10, kLargestProductScale = 0x1p10;

template <class T>
struct Panels {
  T *scale, *shift, *mean;  // (tiles, padded_d, kWide): 1/sigma, (mean - centre)/sigma, mean
  T *row_scale, *row_mean;  // (padded_k, padded_d), or null
  T* constant;              // (padded_k)
  T *centre, *ratio;        // (padded_d); the latter that of the largest 1/sigma to the smallest
  int* exact;               // 1 where differences are to be taken first
  int* far;                 // 1 where sums of squares are not to be expanded
  int64_t k, padded_k, padded_d;

  PYVAE_HD Panels of_entry(int64_t entry) const {
    Panels of = *this;
    const int64_t numbers = entry * padded_k * padded_d;
    of.scale += numbers, of.shift += numbers, of.mean += numbers;
    if (row_scale) of.row_scale += numbers, of.row_mean += numbers;
    of.constant += entry * padded_k;
    of.centre += entry * padded_d, of.ratio += entry * padded_d;
    of.exact += entry, of.far += entry;
    return of;
  }
  int64_t tiles() const { return padded_k / kWide<T>; }
  // Whether the second half of the tile from this component on is padding, which has a thread's
  // second piece: sums leave it out.
  __device__ bool half_a_tile(int64_t column) const { return k <= column + kWide<T> / 2; }
};

// What is known of one coordinate of some components.
template <class T>
struct Spread {
  T mean = 0, count = 0, lowest = kInfinity<T>, highest = -kInfinity<T>;  // of means; of logvars

  __device__ void add(T mean_here, T logvar) {
    count += 1;
    mean += (mean_here - mean) / count;
    lowest = Smallest()(lowest, logvar), highest = Largest()(highest, logvar);
  }
  __device__ void add(const Spread& other) {
    if (other.count == 0) return;
    const T total = count + other.count;
    mean = mean * (count / total) + other.mean * (other.count / total);
    count = total;
    lowest = Smallest()(lowest, other.lowest), highest = Largest()(highest, other.highest);
  }
};

// A coordinate a column of threads: adds up what its rows found, in their order. The first row has
// the sum.
template <class T>
__device__ Spread<T> add_rows(const Spread<T>& own) {
  struct Memory {
    Spread<T> of[kSide][kSide];
  };
  Memory& memory = shared_memory<Memory>();
  memory.of[row_of_thread()][column_of_thread()] = own;
  __syncthreads();
  Spread<T> total;
  for (int row = 0; row_of_thread() == 0 && row < kSide; ++row)
    total.add(memory.of[row][column_of_thread()]);
  return total;
}

// Of every tile of components.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    spread_kernel(const __grid_constant__ Problem problem, int first, int64_t tiles,
                  Spread<T>* found) {
  const int64_t columns = divide_up(problem.d, kSide), block = blockIdx.x;
  const int64_t tile = block / columns % tiles, entry = block / columns / tiles;
  const int64_t d = block % columns * kSide + column_of_thread();
  const Parameters<T> from(problem, first, entry, true);
  constexpr int kRows = kWide<T> / kSide;
  T weight[kRows], mean[kRows], logvar[kRows];  // read before any is used
  PYVAE_UNROLL for (int i = 0; i < kRows; ++i) {
    const int64_t k = tile * kWide<T> + i * kSide + row_of_thread();
    const bool there = k < problem.k && d < problem.d;
    weight[i] = there ? from.log_weight(k) : -kInfinity<T>;
    mean[i] = there ? from.mean(k, d) : T(0), logvar[i] = there ? from.logvar(k, d) : T(0);
  }
  Spread<T> own;
  PYVAE_UNROLL for (int i = 0; i < kRows; ++i) {
    if (weight[i] != -kInfinity<T>) own.add(mean[i], logvar[i]);
  }
  const Spread<T> total = add_rows(own);
  if (row_of_thread() == 0 && d < problem.d) found[(entry * tiles + tile) * problem.d + d] = total;
}

// Of all tiles. The centre is zero where it would not be finite.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    centre_kernel(const __grid_constant__ Problem problem, int64_t tiles, const Spread<T>* found,
                  Panels<T> all) {
  const int64_t columns = divide_up(all.padded_d, kSide), entry = blockIdx.x / columns;
  const int64_t d = blockIdx.x % columns * kSide + column_of_thread();
  const Panels<T> panels = all.of_entry(entry);
  Spread<T> own;
  for (int64_t tile = row_of_thread(); d < problem.d && tile < tiles; tile += kSide)
    own.add(found[(entry * tiles + tile) * problem.d + d]);
  const Spread<T> total = add_rows(own);
  if (row_of_thread() != 0 || d >= all.padded_d) return;
  panels.centre[d] = total.mean - total.mean == 0 ? total.mean : T(0);
  panels.ratio[d] =
      total.highest > total.lowest ? exp(T(0.5) * (total.highest - total.lowest)) : T(1);
  if (d == 0) *panels.exact = *panels.far = 0;
}

// A component a row of threads.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    pack_kernel(const __grid_constant__ Problem problem, int first, Panels<T> all) {
  const int64_t groups = all.padded_k / kSide, entry = blockIdx.x / groups;
  const int64_t k = blockIdx.x % groups * kSide + row_of_thread();
  const ComponentView<T> from(problem, first, true, entry);
  const Panels<T> panels = all.of_entry(entry);
  const T constant = from.constant(k);
  if (column_of_thread() == 0) panels.constant[k] = constant;
  bool exact = constant != -kInfinity<T> && constant - constant != 0, far = false;
  for (int64_t d = column_of_thread(); d < panels.padded_d; d += kSide) {
    const bool counts = from.counts(k, d);
    const T scale = from.scale(k, d), mean = from.shift(k, d);
    const T shift = counts ? (mean - panels.centre[d]) * scale : T(0);
    // What is NaN, too.
    exact |= !(size_of(shift) <= T(kLargestPackedShift)) || !(scale <= T(kLargestPackedScale)) ||
             (counts && scale < kLeastScale<T>);
    far |= !(size_of(shift) <= T(kLargestProductShift)) ||
           (counts && !(scale >= T(kLeastProductScale) && scale <= T(kLargestProductScale)));
    const int64_t at = (k / kWide<T> * panels.padded_d + d) * kWide<T> + k % kWide<T>;
    panels.scale[at] = scale, panels.shift[at] = shift, panels.mean[at] = mean;
    if (!panels.row_scale) continue;
    panels.row_scale[k * panels.padded_d + d] = scale;
    panels.row_mean[k * panels.padded_d + d] = mean;
  }
  if (exact) atomicOr(panels.exact, 1);
  if (far) atomicOr(panels.far, 1);
}

// Operands from `first`: log_weights, means, logvars.
template <class T>
Panels<T> pack_panels(const Problem& problem, const Runtime& runtime, int first, bool rows) {
  const int64_t batch = problem.batch, tiles = divide_up(problem.k, kWide<T>);
  Panels<T> panels;
  panels.k = problem.k, panels.padded_k = tiles * kWide<T>;
  panels.padded_d = larger<int64_t>(1, divide_up(problem.d, kDepth)) * kDepth;
  const int64_t numbers = batch * panels.padded_k * panels.padded_d;
  Spread<T>* found = nullptr;
  Carver::carve(runtime, [&](Carver& memory) {
    panels.scale = memory.take<T>(numbers);
    panels.shift = memory.take<T>(numbers);
    panels.mean = memory.take<T>(numbers);
    panels.row_scale = rows ? memory.take<T>(numbers) : nullptr;
    panels.row_mean = rows ? memory.take<T>(numbers) : nullptr;
    panels.constant = memory.take<T>(batch * panels.padded_k);
    panels.centre = memory.take<T>(batch * panels.padded_d);
    panels.ratio = memory.take<T>(batch * panels.padded_d);
    panels.exact = memory.take<int>(batch);
    panels.far = memory.take<int>(batch);
    found = memory.take<Spread<T>>(batch * tiles * problem.d);
  });
  constexpr size_t kShared = kThreads * sizeof(Spread<T>);
  launch(spread_kernel<T>, batch * tiles * divide_up(problem.d, kSide), kThreads, kShared,
         runtime.stream, problem, first, tiles, found);
  launch(centre_kernel<T>, batch * divide_up(panels.padded_d, kSide), kThreads, kShared,
         runtime.stream, problem, tiles, found, panels);
  launch(pack_kernel<T>, batch * panels.padded_k / kSide, kThreads, 0, runtime.stream, problem,
         first, panels);
  return panels;
}

}  // namespace
}  // namespace pyvae
