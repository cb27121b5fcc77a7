// SPDX-License-Identifier: MIT
// Sums over the pairs of a chunk that survive, visited one by one: a warp a point, or a block a
// component and a share of the points, with lanes over coordinates. Differences are taken before
// scaling.
#pragma once

#include "cuda/large/chunk.h"

namespace pyvae {
namespace {

// Coordinates of a lane; a warp does so many at a time, a warp's width apart.
inline constexpr int kLaneCoordinates = 4, kWarpCoordinates = kLaneCoordinates * kWarp;

__device__ inline int lane_of_thread() { return int(threadIdx.x) % kWarp; }
// So many pairs of a warp are under way at once.
inline constexpr int kAtOnce = 4;

// Where the bits are set in a warp's width of words; a list a warp.
struct SurvivorLists {
  uint16_t of_warp[kWarps][kWarp * kWordBits];
};

// Fills the warp's list from its words, a lane each; returns how many there are. All lanes come.
__device__ inline int list_survivors(uint16_t* list, unsigned word) {
  const int lane = lane_of_thread(), own = __popc(word);
  int end = own;
  for (int gap = 1; gap < kWarp; gap *= 2) {
    const int before = __shfl_sync(kAllLanes, end, lane < gap ? lane : lane - gap);
    if (lane >= gap) end += before;
  }
  const int total = __shfl_sync(kAllLanes, end, kWarp - 1);
  int at = end - own;
  for (unsigned bits = word; bits; bits &= bits - 1)
    list[at++] = uint16_t(lane * kWordBits + __ffs(int(bits)) - 1);
  __syncwarp();
  return total;
}

// Calls body(indices, count) for kCount of the bits that are set, in their order; behind `count`
// of them the last one comes again. All lanes of the warp come.
template <int kCount, class Body>
__device__ inline void for_each_survivor(SurvivorLists& lists, const unsigned* words, Range range,
                                         const Body& body) {
  uint16_t* const list = lists.of_warp[int(threadIdx.x) / kWarp];
  for (int64_t first = range.begin; first < range.end; first += kWarp) {
    const int64_t mine = first + lane_of_thread();
    const int total = list_survivors(list, mine < range.end ? words[mine] : 0);
    for (int i = 0; i < total; i += kCount) {
      int64_t indices[kCount];
      PYVAE_UNROLL for (int j = 0; j < kCount; ++j) indices[j] =
          first * kWordBits + list[smaller(i + j, total - 1)];
      body(indices, smaller(kCount, total - i));
    }
    __syncwarp();
  }
}

// d/dx = -sum_k g z/sigma.
template <class T>
__device__ void sparse_point(const Problem& problem, const Panels<T>& panels, const Chunk<T>& chunk,
                             PointOperands operands, SurvivorLists& lists, int64_t n) {
  const Column<const T> points(problem, operands.point, 0);
  const Column<T> by_point(problem, operands.by_point, 0);
  const T* const terms = chunk.row(n);
  for (int64_t first = 0; first < panels.padded_d; first += kWarpCoordinates) {
    T x[kLaneCoordinates], sum[kLaneCoordinates] = {};
    PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) {
      const int64_t d = first + lane_of_thread() + q * kWarp;
      x[q] = d < problem.d ? points.at(n, d) : T(0);
    }
    for_each_survivor<kAtOnce>(
        lists, chunk.components_of(n), {0, panels.padded_k / kWordBits},
        [&](const int64_t (&k)[kAtOnce], int count) {
          T term[kAtOnce], scale[kAtOnce][kLaneCoordinates], mean[kAtOnce][kLaneCoordinates];
          PYVAE_UNROLL for (int j = 0; j < kAtOnce; ++j) {
            term[j] = j < count ? terms[k[j]] : T(0);
            PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) {
              const int64_t d = first + lane_of_thread() + q * kWarp;
              const int64_t at = k[j] * panels.padded_d + d;
              const bool inside = d < panels.padded_d;
              scale[j][q] = inside ? panels.row_scale[at] : T(0);
              mean[j][q] = inside ? panels.row_mean[at] : T(0);
            }
          }
          PYVAE_UNROLL for (int j = 0; j < kAtOnce; ++j) {
            PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) sum[q] +=
                term[j] * standardise<false>(x[q], scale[j][q], mean[j][q]) * scale[j][q];
          }
        });
    PYVAE_UNROLL for (int q = 0; q < kLaneCoordinates; ++q) {
      const int64_t d = first + lane_of_thread() + q * kWarp;
      if (d < problem.d) by_point.at(n, d) = T(0) - sum[q];
    }
  }
}

// A point a warp, by turns.
template <class T>
__global__ void __launch_bounds__(kThreads)
    sparse_points_kernel(const __grid_constant__ Problem problem,
                         const __grid_constant__ Panels<T> panels, Chunk<T> chunk,
                         PointOperands operands) {
  // Where it was screened, the terms' kernel has done it.
  if (!chunk.sparse() || chunk.screen.chosen()) return;
  auto& lists = shared_memory<SurvivorLists>();
  for (int64_t n = first_of_warp(); n < chunk.count; n += step_of_warps())
    sparse_point(problem, panels, chunk, operands, lists, n);
}

// Sums of a thread, at a warp's width of coordinates, and those of the block.
template <int kQ = kLaneCoordinates>
struct WarpSums {
  double z[kQ] = {}, squares[kQ] = {}, coefficient = 0;

  __device__ void add(const WarpSums& other) {
    PYVAE_UNROLL for (int q = 0; q < kQ; ++q) z[q] += other.z[q], squares[q] += other.squares[q];
    coefficient += other.coefficient;
  }
};

// Adds the sums of all warps, in their order; the first warp has the result. Barriers before and
// behind.
template <int kQ>
__device__ inline WarpSums<kQ> add_warps(WarpSums<kQ> (&memory)[kThreads],
                                         const WarpSums<kQ>& own) {
  memory[threadIdx.x] = own;
  __syncthreads();
  WarpSums<kQ> total;
  for (int warp = 0; int(threadIdx.x) < kWarp && warp < kWarps; ++warp)
    total.add(memory[warp * kWarp + lane_of_thread()]);
  __syncthreads();
  return total;
}

// The first warp adds what it has to the sums of a component, or begins these.
template <int kQ>
__device__ inline void add_to_sums(const WarpSums<kQ>& own, const WideSums& sums, int64_t part,
                                   int64_t k, int64_t first_d, bool begin) {
  if (int(threadIdx.x) >= kWarp) return;
  WarpSums<kQ> total = own;
  PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
    const int64_t d = first_d + lane_of_thread() + q * kWarp;
    if (begin || d >= sums.padded_d) continue;
    total.z[q] += sums.z(part, k)[d], total.squares[q] += sums.squares(part, k)[d];
  }
  PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
    const int64_t d = first_d + lane_of_thread() + q * kWarp;
    if (d >= sums.padded_d) continue;
    sums.z(part, k)[d] = total.z[q], sums.squares(part, k)[d] = total.squares[q];
  }
  if (first_d != 0 || lane_of_thread() != 0) return;
  double& coefficient = *sums.coefficient(part, k);
  coefficient = begin ? total.coefficient : coefficient + total.coefficient;
}

template <int kQ>
struct SparseMemory {
  SurvivorLists lists;
  WarpSums<kQ> sums[kThreads];
};

// A component and a share of the chunk's points a block, kQ coordinates a lane; `shares` are no
// more than the parts. A few terms are summed by themselves first, and these sums in double.
template <class T, int kQ>
__global__ void __launch_bounds__(kThreads, sizeof(T) == sizeof(float) ? 2 : 1)
    sparse_components_kernel(const __grid_constant__ Problem problem,
                             const __grid_constant__ Panels<T> panels, Chunk<T> chunk,
                             PointOperands operands, WideSums sums, int64_t shares, bool moments) {
  const int64_t k = int64_t(blockIdx.x) / shares, own_share = int64_t(blockIdx.x) % shares;
  if (!chunk.sparse()) return;
  constexpr int kPairs = kQ < kLaneCoordinates ? 2 * kAtOnce : kAtOnce;
  auto& memory = shared_memory<SparseMemory<kQ>>();
  const Column<const T> points(problem, operands.point, 0);
  const Range words = share(divide_up(chunk.count, kWordBits),
                            own_share * kWarps + int(threadIdx.x) / kWarp, shares * kWarps);
  for (int64_t first = 0; first < panels.padded_d; first += kQ * kWarp) {
    T scale[kQ], mean[kQ];
    PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
      const int64_t d = first + lane_of_thread() + q * kWarp, at = k * panels.padded_d + d;
      scale[q] = d < problem.d ? panels.row_scale[at] : T(0);
      mean[q] = d < problem.d ? panels.row_mean[at] : T(0);
      if (moments) scale[q] = moment_scale(scale[q]);
    }
    WarpSums<kQ> own;
    for_each_survivor<kPairs>(
        memory.lists, chunk.points_of(k), words, [&](const int64_t (&n)[kPairs], int count) {
          T term[kPairs], x[kPairs][kQ], sum = 0;
          PYVAE_UNROLL for (int j = 0; j < kPairs; ++j) {
            term[j] = j < count ? chunk.row(n[j])[k] : T(0);
            PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
              const int64_t d = first + lane_of_thread() + q * kWarp;
              x[j][q] = d < problem.d ? points.at(n[j], d) : T(0);
            }
          }
          PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
            T z_sum = 0, square_sum = 0;
            PYVAE_UNROLL for (int j = 0; j < kPairs; ++j) {
              const T z = standardise<false>(x[j][q], scale[q], mean[q]), weighted = term[j] * z;
              z_sum += weighted;
              square_sum += weighted * z;
            }
            own.z[q] += double(z_sum), own.squares[q] += double(square_sum);
          }
          PYVAE_UNROLL for (int j = 0; j < kPairs; ++j) sum += term[j];
          own.coefficient += double(sum);
        });
    add_to_sums(add_warps(memory.sums, own), sums, own_share, k, first, chunk.first);
    for (int64_t part = own_share + shares; chunk.first && part < sums.parts; part += shares)
      add_to_sums(WarpSums<kQ>(), sums, part, k, first, true);
  }
}

}  // namespace
}  // namespace pyvae
