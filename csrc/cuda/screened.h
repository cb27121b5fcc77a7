// SPDX-License-Identifier: MIT
// What is left after screening (screen.h): a warp a point computes the scores of the groups of
// components that its bounds have kept, by differences, with lanes over coordinates.
#pragma once

#include "common/beside.h"
#include "common/negligible.h"
#include "cuda/density.h"
#include "cuda/gradients.h"
#include "cuda/screen.h"

namespace pyvae {
namespace {

// How a warp shares a group: kLanes lanes a component, each with kPieces pieces of its coordinates.
template <int kLanes_, int kPieces_>
struct GroupShape {
  static constexpr int kLanes = kLanes_, kPieces = kPieces_;
  static constexpr int kAtOnce = kWarp / kLanes, kRounds = kGroup / kAtOnce;
};

// A point in the registers of a warp, every subgroup of kLanes lanes with a copy.
template <class T, class Shape>
class ScreenedPoint {
 public:
  __device__ ScreenedPoint(const Column<const T>& points, int64_t n, int64_t d,
                           const Panels<T>& panels)
      : panels_(panels) {
    PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
      PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
        const int64_t at = coordinate(p) + i;
        x_[p].value[i] = at < d ? points.at(n, at) : T(0);
      }
    }
  }

  // The first of the coordinates in a piece of this lane.
  __device__ static int64_t coordinate(int piece) {
    return (piece * Shape::kLanes + lane() % Shape::kLanes) * int64_t(kWidth<T>);
  }

  // The score of the component that this lane speaks for, the lane's number modulo kGroup.
  __device__ T score(int64_t group) const {
    T own = 0;
    PYVAE_UNROLL for (int round = 0; round < Shape::kRounds; ++round) {
      const int64_t k = group * kGroup + round * Shape::kAtOnce + lane() / Shape::kLanes;
      T sum = 0;
      PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
        const Factors of(panels_, k, coordinate(p));
        PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
          const T z = of.standardised(x_[p].value[i], i);
          sum += z * z;
        }
      }
      sum = sum_over_lanes(sum, Shape::kLanes);
      const int slot = lane() % kGroup;
      const T got = __shfl_sync(kAllLanes, sum, slot % Shape::kAtOnce * Shape::kLanes);
      if (slot / Shape::kAtOnce == round) own = got;
    }
    const T constant = panels_.constant[component(group)];
    return constant == -kInfinity<T> ? constant : constant - T(0.5) * own;
  }

  __device__ static int64_t component(int64_t group) { return group * kGroup + lane() % kGroup; }

  // Adds to sum_k term z/sigma of the pieces. Every subgroup has the components of its rounds.
  __device__ void add_gradient(int64_t group, T term, Piece<T> (&sum)[Shape::kPieces]) const {
    PYVAE_UNROLL for (int round = 0; round < Shape::kRounds; ++round) {
      const int slot = round * Shape::kAtOnce + lane() / Shape::kLanes;
      const T weight = __shfl_sync(kAllLanes, term, slot);
      if (weight == 0) continue;  // and a component that counts for nothing may hold anything
      PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
        const Factors of(panels_, group * kGroup + slot, coordinate(p));
        PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) sum[p].value[i] +=
            weight * of.standardised(x_[p].value[i], i) * of.scale.value[i];
      }
    }
  }

 private:
  struct Factors {
    Piece<T> scale = {}, mean = {};

    __device__ Factors(const Panels<T>& panels, int64_t k, int64_t d) {
      if (d >= panels.padded_d) return;
      scale = load_piece(panels.row_scale + k * panels.padded_d + d);
      mean = load_piece(panels.row_mean + k * panels.padded_d + d);
    }
    __device__ T standardised(T x, int i) const {
      return standardise<false>(x, scale.value[i], mean.value[i]);
    }
  };
  __device__ static int lane() { return int(threadIdx.x) % kWarp; }

  const Panels<T>& panels_;
  Piece<T> x_[Shape::kPieces];
};

// Calls body(group) for the groups of a point whose bound is not below `cut`, in ascending order.
// All lanes of the warp come.
template <class Body>
__device__ inline void for_each_kept(const uint16_t* bounds, int64_t groups, float cut,
                                     const Body& body) {
  for_each_bound(bounds, groups, [&](int64_t first, const float (&of)[8]) {
    unsigned own = 0;
    PYVAE_UNROLL for (int i = 0; i < 8; ++i) own |=
        unsigned(first + i < groups && !(of[i] < cut)) << i;
    const int64_t base = first - int(threadIdx.x) % kWarp * 8;
    for (unsigned lanes = __ballot_sync(kAllLanes, own != 0); lanes; lanes &= lanes - 1) {
      const int lane = __ffs(int(lanes)) - 1;
      for (unsigned kept = __shfl_sync(kAllLanes, own, lane); kept; kept &= kept - 1)
        body(base + lane * 8 + __ffs(int(kept)) - 1);
    }
  });
}

// Below this the best score is taken for none, and every component is asked.
inline constexpr float kLeastScore = -1e30f;

// Operands as those of wide_density_kernel; of `count` points from `begin`, whose bounds are known.
template <class T, class Shape, Beside kBeside>
__global__ void __launch_bounds__(kThreads, 4)
    screened_density_kernel(const __grid_constant__ Problem problem, int log_prob_at,
                            const __grid_constant__ Panels<T> panels,
                            const __grid_constant__ Screen screen, int64_t begin, int64_t count) {
  const int64_t i = int64_t(blockIdx.x) * kWarps + int(threadIdx.x) / kWarp, n = begin + i;
  if (!screen.chosen() || i >= count) return;
  const uint16_t* const bounds = screen.bounds(i);
  const BestGroup best(bounds, screen.groups);
  const ScreenedPoint<T, Shape> point(Column<const T>(problem, 0, 0), n, problem.d, panels);
  const T first = point.score(best.group), top = largest_over_lanes(first, kGroup);
  // The best of the group is a lower bound of the best of all.
  const bool known = best.bound < kInfinity<float> && top > T(kLeastScore);
  RunningSum<T> sum;
  RunningLargest<T> largest;
  for_each_kept(bounds, screen.groups,
                known ? float(top + kLogNegligible<T>) : -kInfinity<float>, [&](int64_t group) {
                  const T score[1] = {group == best.group ? first : point.score(group)};
                  sum.add(score);
                  if constexpr (kBeside == Beside::kComponent)
                    largest.add(score[0], point.component(group));
                });
  const T value = sum.value(kGroup);
  int64_t component = 0;
  if constexpr (kBeside == Beside::kComponent) component = largest.value(value, kGroup);
  if (int(threadIdx.x) % kWarp != 0) return;
  Column<T>(problem, log_prob_at, 0).at(n) = value;
  if constexpr (kBeside == Beside::kComponent) Column<int64_t>(problem, 4, 0).at(n) = component;
}

// Points of a warp, one after the other.
inline constexpr int kPointsOfWarp = 4;

// The terms of what survives, in the chunk, and its words by components; and the gradients by
// points. What a term is left out by is as in terms.h, for each point by itself.
template <class T, class Shape>
__global__ void __launch_bounds__(kThreads)
    screened_terms_kernel(const __grid_constant__ Problem problem,
                          const __grid_constant__ Panels<T> panels,
                          const __grid_constant__ Chunk<T> chunk, PointOperands operands,
                          int64_t points, bool by_points, bool none_of_zero) {
  const Screen& screen = chunk.screen;
  if (!screen.chosen()) return;
  struct Memory {
    T constant[kWarps], ratio[kWarps];
  };
  auto& memory = shared_memory<Memory>();
  const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp;
  T constant = -kInfinity<T>, ratio = 1;
  for (int64_t k = threadIdx.x; k < panels.padded_k; k += kThreads)
    constant = Largest()(constant, panels.constant[k]);
  for (int64_t d = threadIdx.x; by_points && d < panels.padded_d; d += kThreads)
    ratio = Largest()(ratio, panels.ratio[d]);
  constant = largest_over_lanes(constant, kWarp), ratio = largest_over_lanes(ratio, kWarp);
  if (lane == 0) memory.constant[warp] = constant, memory.ratio[warp] = ratio;
  __syncthreads();
  for (int other = 0; other < kWarps; ++other) {
    constant = Largest()(constant, memory.constant[other]);
    ratio = Largest()(ratio, memory.ratio[other]);
  }
  const T negligible = log_negligible(ratio);
  const Column<const T> weights(problem, operands.weight, 0),
      log_probs(problem, operands.log_prob, 0), x(problem, operands.point, 0);
  const bool wanted = operands.by_point >= 0 && problem.operand[operands.by_point].data;
  for (int i = 0; i < kPointsOfWarp; ++i) {
    const int64_t n = (int64_t(blockIdx.x) * kWarps + warp) * kPointsOfWarp + i;
    if (n >= problem.n) break;
    const T weight = weights.at(n), log_prob = log_probs.at(n);
    const bool unbounded = weight - weight != 0;
    const auto cut_of = [&](T of) {
      return smaller(negligible, log_negligible_of_component(points, of, log_prob, T(0)));
    };
    const ScreenedPoint<T, Shape> point(x, n, problem.d, panels);
    Piece<T> sum[Shape::kPieces] = {};
    const bool skip = log_prob == -kInfinity<T> || (none_of_zero && weight == 0);
    if (!skip)
      for_each_kept(
          screen.bounds(n), screen.groups,
          unbounded ? -kInfinity<float> : float(log_prob + cut_of(constant)), [&](int64_t group) {
            const int64_t k = point.component(group);
            const T gap = point.score(group) - log_prob, of = panels.constant[k];
            const bool survives = of != -kInfinity<T> && (unbounded || !(gap < cut_of(of)));
            const T term = survives ? weight * exp_of_gap(gap) : T(0);
            if (survives && lane < kGroup) {
              chunk.row(n)[k] = term;
              atomicOr(&chunk.points_of(k)[n / kWordBits], 1u << n % kWordBits);
            }
            if (wanted) point.add_gradient(group, term, sum);
          });
    if (!wanted) continue;
    const Column<T> by_point(problem, operands.by_point, 0);
    PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
      PYVAE_UNROLL for (int q = 0; q < kWidth<T>; ++q) {
        T total = sum[p].value[q];
        for (int gap = kWarp / 2; gap >= Shape::kLanes; gap /= 2)
          total += __shfl_xor_sync(kAllLanes, total, gap);
        const int64_t d = point.coordinate(p) + q;
        if (lane < Shape::kLanes && d < problem.d) by_point.at(n, d) = T(0) - total;
      }
    }
  }
}

// Calls run(shape) with how warps share groups of so many coordinates.
template <class Run>
void with_group_shape(int64_t padded_d, const Run& run) {
  if (padded_d <= 32) return run(GroupShape<8, 1>());
  if (padded_d <= 64) return run(GroupShape<16, 1>());
  if (padded_d <= 128) return run(GroupShape<32, 1>());
  run(GroupShape<32, 2>());
}

// Of `count` points from `begin` on.
template <Beside kBeside, class T>
void run_screened_density(const Problem& problem, const Runtime& runtime, int log_prob_at,
                          const Panels<T>& panels, const Screen& screen, int64_t begin,
                          int64_t count) {
  find_bounds(problem, runtime, 0, panels, screen, begin, count);
  with_group_shape(panels.padded_d, [&](auto shape) {
    launch(screened_density_kernel<T, decltype(shape), kBeside>, divide_up(count, kWarps), kThreads,
           0, runtime.stream, problem, log_prob_at, panels, screen, begin, count);
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads) clear_words_kernel(const __grid_constant__ Chunk<T> chunk) {
  if (!chunk.screen.chosen()) return;
  const int64_t words = chunk.padded_k * (chunk.capacity / kWordBits);
  for (int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x; i < words;
       i += int64_t(gridDim.x) * kThreads)
    chunk.by_component[i] = 0;
}

// Of a chunk whose bounds have been found.
template <class T>
void make_screened_terms(const Problem& problem, const Runtime& runtime, const Panels<T>& panels,
                         const Chunk<T>& chunk, PointOperands operands, int64_t points,
                         bool by_points, bool none_of_zero) {
  launch(clear_words_kernel<T>, kOneWave, kThreads, 0, runtime.stream, chunk);
  with_group_shape(panels.padded_d, [&](auto shape) {
    launch(screened_terms_kernel<T, decltype(shape)>,
           divide_up(problem.n, kWarps * kPointsOfWarp), kThreads, 2 * kWarps * sizeof(T),
           runtime.stream, problem, panels, chunk, operands, points, by_points, none_of_zero);
  });
}

}  // namespace
}  // namespace pyvae
