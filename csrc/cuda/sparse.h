// SPDX-License-Identifier: MIT
// Sums over the pairs of a chunk that survive, visited one by one: a warp a point, or a warp a
// component and a part of the points, with lanes over coordinates. Differences are taken before
// scaling.
#pragma once

#include "cuda/chunk.h"
#include "cuda/gradients.h"

namespace pyvae {
namespace {

// Coordinates of a lane; a warp does so many at a time, a warp's width apart.
inline constexpr int kLaneCoordinates = 4, kWarpCoordinates = kLaneCoordinates * kWarp;

__device__ inline int lane_of_thread() { return int(threadIdx.x) % kWarp; }
__device__ inline int64_t warp_of_grid() {
  return int64_t(blockIdx.x) * kWarps + int(threadIdx.x) / kWarp;
}

// Calls body(i) for every bit that is set, in order, and end() behind those of a word. Words are
// loaded a lane each; all lanes of the warp come.
template <class Body, class End>
__device__ inline void for_each_survivor(const unsigned* words, int64_t begin, int64_t end,
                                         const Body& body, const End& behind_word) {
  for (int64_t first = begin; first < end; first += kWarp) {
    const int64_t mine = first + lane_of_thread();
    const unsigned word = mine < end ? words[mine] : 0;
    for (unsigned left = __ballot_sync(kAllLanes, word != 0); left; left &= left - 1) {
      const int lane = __ffs(int(left)) - 1;
      for (unsigned bits = __shfl_sync(kAllLanes, word, lane); bits; bits &= bits - 1)
        body((first + lane) * kWordBits + __ffs(int(bits)) - 1);
      behind_word();
    }
  }
}

// d/dx = -sum_k g z/sigma.
template <class T>
__global__ void __launch_bounds__(kThreads)
    sparse_points_kernel(const __grid_constant__ Problem problem,
                         const __grid_constant__ Panels<T> panels, Chunk<T> chunk,
                         PointOperands operands) {
  const int64_t n = warp_of_grid();
  if (!chunk.sparse() || n >= chunk.count) return;
  const Column<const T> points(problem, operands.point, 0);
  const Column<T> by_point(problem, operands.by_point, 0);
  const T* const terms = chunk.row(n);
  for (int64_t first = 0; first < panels.padded_d; first += kWarpCoordinates) {
    T x[kLaneCoordinates], sum[kLaneCoordinates] = {};
    PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) {
      const int64_t d = first + lane_of_thread() + q * kWarp;
      x[q] = d < problem.d ? points.at(n, d) : T(0);
    }
    for_each_survivor(
        chunk.components_of(n), 0, panels.padded_k / kWordBits,
        [&](int64_t k) {
          const T term = terms[k];
          PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) {
            const int64_t d = first + lane_of_thread() + q * kWarp, at = k * panels.padded_d + d;
            if (d >= problem.d) continue;
            const T scale = panels.row_scale[at];
            sum[q] += term * standardise<false>(x[q], scale, panels.row_mean[at]) * scale;
          }
        },
        [] {});
    PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) {
      const int64_t d = first + lane_of_thread() + q * kWarp;
      if (d < problem.d) by_point.at(n, d) = T(0) - sum[q];
    }
  }
}

// Adds the sums of a part of the chunk. The survivors of a word are summed by themselves first, and
// the words in double.
template <class T>
__global__ void __launch_bounds__(kThreads)
    sparse_components_kernel(const __grid_constant__ Problem problem,
                             const __grid_constant__ Panels<T> panels, Chunk<T> chunk,
                             PointOperands operands, WideSums sums, bool moments) {
  const int64_t part = warp_of_grid() / panels.padded_k, k = warp_of_grid() % panels.padded_k;
  if (!chunk.sparse() || k >= problem.k) return;
  const Column<const T> points(problem, operands.point, 0);
  const Range words = share(divide_up(chunk.count, kWordBits), part, sums.parts);
  for (int64_t first = 0; first < panels.padded_d; first += kWarpCoordinates) {
    T scale[kLaneCoordinates], mean[kLaneCoordinates];
    PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) {
      const int64_t d = first + lane_of_thread() + q * kWarp, at = k * panels.padded_d + d;
      scale[q] = d < problem.d ? panels.row_scale[at] : T(0);
      mean[q] = d < problem.d ? panels.row_mean[at] : T(0);
      if (moments) scale[q] = moment_scale(scale[q]);
    }
    double z_total[kLaneCoordinates] = {}, square_total[kLaneCoordinates] = {}, total = 0;
    T z_sum[kLaneCoordinates] = {}, square_sum[kLaneCoordinates] = {}, sum = 0;
    bool any = false;
    for_each_survivor(
        chunk.points_of(k), words.begin, words.end,
        [&](int64_t n) {
          const T term = chunk.row(n)[k];
          sum += term;
          PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) {
            const int64_t d = first + lane_of_thread() + q * kWarp;
            const T x = d < problem.d ? points.at(n, d) : T(0);
            const T z = standardise<false>(x, scale[q], mean[q]), weighted = term * z;
            z_sum[q] += weighted;
            square_sum[q] += weighted * z;
          }
        },
        [&] {
          any = true;
          total += double(sum), sum = 0;
          PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) {
            z_total[q] += double(z_sum[q]), z_sum[q] = 0;
            square_total[q] += double(square_sum[q]), square_sum[q] = 0;
          }
        });
    if (!any && !chunk.first) continue;
    PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) {
      const int64_t d = first + lane_of_thread() + q * kWarp;
      if (d >= panels.padded_d) continue;
      add_or_begin(chunk.first, sums.z(part, k)[d], z_total[q]);
      add_or_begin(chunk.first, sums.squares(part, k)[d], square_total[q]);
    }
    if (first == 0 && lane_of_thread() == 0)
      add_or_begin(chunk.first, *sums.coefficient(part, k), total);
  }
}

}  // namespace
}  // namespace pyvae
