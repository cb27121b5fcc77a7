// SPDX-License-Identifier: MIT
// What leaving terms out rests on: that a component has as much as one point of the largest weight.
// The sums of one that has less, where a chunk was visited by survivors, are made anew from all
// terms.
#pragma once

#include "cuda/large/sparse.h"

namespace pyvae {
namespace {

// Blocks that look for the largest weight, and that make sums anew.
inline constexpr int kWeightBlocks = 64, kAnewBlocks = 264;

template <class T>
struct Unsettled {
  T* largest;      // (kWeightBlocks): of the finite weights
  int* count;      // how many components
  int* component;  // (padded_k)
};

// Begins the counts of an entry, too.
template <class T>
__global__ void __launch_bounds__(kThreads)
    begin_kernel(const __grid_constant__ Problem problem, PointOperands operands,
                 Unsettled<T> unsettled, int* survivors, int64_t chunks) {
  struct Memory {
    T largest[kWarps];
  };
  Memory& memory = shared_memory<Memory>();
  const int64_t thread = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  for (int64_t i = thread; i < chunks; i += kWeightBlocks * kThreads) survivors[i] = 0;
  if (thread == 0) *unsettled.count = 0;
  const Column<const T> weights(problem, operands.weight, 0);
  T largest = 0;
  for (int64_t n = thread; n < problem.n; n += kWeightBlocks * kThreads) {
    const T size = size_of(weights.at(n));
    if (size < kInfinity<T>) largest = Largest()(largest, size);
  }
  largest = largest_of_block(largest, memory.largest);
  if (threadIdx.x == 0) unsettled.largest[blockIdx.x] = largest;
}

// A component a warp. What it has is its largest sum over a part, or over all of them.
template <class T>
__global__ void __launch_bounds__(kThreads)
    settle_kernel(const __grid_constant__ Problem problem, const __grid_constant__ Panels<T> panels,
                  Chunk<T> chunk, int64_t share, WideSums sums, Unsettled<T> unsettled) {
  const int64_t k = int64_t(blockIdx.x) * kWarps + int(threadIdx.x) / kWarp;
  const int lane = lane_of_thread();
  bool complete = !chunk.screen.chosen();
  for (int64_t i = lane; i * chunk.capacity < problem.n; i += kWarp) {
    const int64_t count = smaller(chunk.capacity, problem.n - i * chunk.capacity);
    complete &= chunk.survivors[i] > most_survivors(count, problem.k, share);
  }
  T largest = 0;
  for (int i = lane; i < kWeightBlocks; i += kWarp)
    largest = Largest()(largest, unsettled.largest[i]);
  largest = largest_over_lanes(largest, kWarp);
  double total = 0, has = 0;
  for (int64_t part = lane; part < sums.parts; part += kWarp) {
    const double of_part = *sums.coefficient(part, k);
    total += of_part, has = Largest()(has, size_of(of_part));
  }
  total = sum_over_lanes(total, kWarp), has = largest_over_lanes(has, kWarp);
  if (__ballot_sync(kAllLanes, !complete) == 0 || lane != 0) return;
  if (panels.constant[k] == -kInfinity<T>) return;
  if (Largest()(has, size_of(total)) < double(largest))
    unsettled.component[atomicAdd(unsettled.count, 1)] = int(k);
}

// A component and a part of all points a block, by turns. Sums take the place of what was there.
template <class T>
class Anew {
 public:
  __device__ Anew(const Problem& problem, const Panels<T>& panels, PointOperands operands,
                  int64_t k, bool moments)
      : panels_(panels),
        points_(problem, operands.point, 0),
        log_prob_(problem, operands.log_prob, 0),
        weights_(problem, operands.weight, 0),
        k_(k),
        d_(problem.d),
        moments_(moments) {}

  // All lanes of a warp come.
  __device__ WarpSums<> sum(Range points, int64_t first_d) const {
    WarpSums<> sums;
    for (int64_t n = points.begin; n < points.end; ++n) {
      const T log_prob = log_prob_.at(n);
      if (log_prob == -kInfinity<T>) continue;
      const T term = weights_.at(n) * exp_of_gap(score(n) - log_prob);
      if (term == 0) continue;
      sums.coefficient += double(term);
      PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) {
        const int64_t d = first_d + lane_of_thread() + q * kWarp;
        if (d >= d_) continue;
        const T z = moments_ ? z_of(n, d, moment_scale(scale(d))) : z_of(n, d, scale(d));
        const T weighted = term * z;
        sums.z[q] += double(weighted), sums.squares[q] += double(weighted * z);
      }
    }
    return sums;
  }

 private:
  __device__ T scale(int64_t d) const { return panels_.row_scale[k_ * panels_.padded_d + d]; }
  __device__ T z_of(int64_t n, int64_t d, T scale) const {
    return standardise<false>(points_.at(n, d), scale, panels_.row_mean[k_ * panels_.padded_d + d]);
  }
  __device__ T score(int64_t n) const {
    T squares = 0;
    for (int64_t d = lane_of_thread(); d < d_; d += kWarp) {
      const T z = z_of(n, d, scale(d));
      squares += z * z;
    }
    return panels_.constant[k_] - T(0.5) * sum_over_lanes(squares, kWarp);
  }

  const Panels<T>& panels_;
  const Column<const T> points_, log_prob_, weights_;
  const int64_t k_, d_;
  const bool moments_;
};

template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    anew_kernel(const __grid_constant__ Problem problem, const __grid_constant__ Panels<T> panels,
                PointOperands operands, WideSums sums, Unsettled<T> unsettled, bool moments) {
  struct Memory {
    WarpSums<> of[kThreads];
  };
  auto& memory = shared_memory<Memory>();
  const int64_t tasks = int64_t(*unsettled.count) * sums.parts;
  for (int64_t task = blockIdx.x; task < tasks; task += kAnewBlocks) {
    const int64_t part = task % sums.parts, k = unsettled.component[task / sums.parts];
    const Anew<T> anew(problem, panels, operands, k, moments);
    const Range mine =
        share(problem.n, part * kWarps + int(threadIdx.x) / kWarp, sums.parts * kWarps);
    for (int64_t first = 0; first < panels.padded_d; first += kWarpCoordinates)
      add_to_sums(add_warps(memory.of, anew.sum(mine, first)), sums, part, k, first, true);
  }
}

}  // namespace
}  // namespace pyvae
