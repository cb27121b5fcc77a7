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
  static constexpr int kAtOnce = kWarp / kLanes, kRounds = kBounded / kAtOnce;
  static_assert(kAtOnce <= kBounded);
  static constexpr int kBlocks = kPieces == 1 ? 4 : 2;  // of a multiprocessor
};

// A group of components in the registers of a warp, round by round.
template <class T, class Shape>
struct GroupFactors {
  int64_t group;
  Piece<T> scale[Shape::kRounds][Shape::kPieces], mean[Shape::kRounds][Shape::kPieces];

  __device__ GroupFactors(const Panels<T>& panels, int64_t of) : group(of) {
    PYVAE_UNROLL for (int round = 0; round < Shape::kRounds; ++round) {
      const int64_t row = (group * kBounded + member(round)) * panels.padded_d;
      PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
        const int64_t d = coordinate(p);
        const bool inside = d < panels.padded_d;
        scale[round][p] = inside ? load_piece(panels.row_scale + row + d) : Piece<T>{};
        mean[round][p] = inside ? load_piece(panels.row_mean + row + d) : Piece<T>{};
      }
    }
  }

  __device__ static int lane() { return int(threadIdx.x) % kWarp; }
  // Which component of the group this lane has in a round, and which it speaks for.
  __device__ static int member(int round) {
    return round * Shape::kAtOnce + lane() / Shape::kLanes;
  }
  __device__ static int slot() { return lane() % kBounded; }
  __device__ int64_t component() const { return group * kBounded + slot(); }
  // The first of the coordinates in a piece of this lane.
  __device__ static int64_t coordinate(int piece) {
    return (piece * Shape::kLanes + lane() % Shape::kLanes) * int64_t(kWidth<T>);
  }
};

// A point in the registers of a warp, every subgroup of kLanes lanes with a copy.
template <class T, class Shape>
class ScreenedPoint {
 public:
  using Group = GroupFactors<T, Shape>;

  __device__ ScreenedPoint(const Column<const T>& points, int64_t n, int64_t d) {
    PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
      PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
        const int64_t at = Group::coordinate(p) + i;
        x_[p].value[i] = at < d ? points.at(n, at) : T(0);
      }
    }
  }

  // Of the component that this lane speaks for.
  __device__ T score(const Group& group, const T* constants) const {
    T own = 0;
    PYVAE_UNROLL for (int round = 0; round < Shape::kRounds; ++round) {
      T sum = 0;
      PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
        PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
          const T z = standardised(group, round, p, i);
          sum += z * z;
        }
      }
      sum = sum_over_lanes(sum, Shape::kLanes);
      const T got = __shfl_sync(kAllLanes, sum, Group::slot() % Shape::kAtOnce * Shape::kLanes);
      if (Group::slot() / Shape::kAtOnce == round) own = got;
    }
    const T constant = constants[group.component()];
    return constant == -kInfinity<T> ? constant : constant - T(0.5) * own;
  }

  // Adds to sum_k term z/sigma of the pieces, a lane for the components that it has.
  __device__ void add_gradient(const Group& group, T term, Piece<T> (&sum)[Shape::kPieces]) const {
    PYVAE_UNROLL for (int round = 0; round < Shape::kRounds; ++round) {
      const T weight = __shfl_sync(kAllLanes, term, Group::member(round));
      PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
        PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
          const T z = standardised(group, round, p, i);
          if (weight != 0) sum[p].value[i] += weight * z * group.scale[round][p].value[i];
        }
      }
    }
  }

 private:
  __device__ T standardised(const Group& group, int round, int p, int i) const {
    return standardise<false>(x_[p].value[i], group.scale[round][p].value[i],
                              group.mean[round][p].value[i]);
  }

  Piece<T> x_[Shape::kPieces];
};

// Calls body(group) for the groups of a point whose bound is not below `cut`, in ascending order.
// All lanes of the warp come.
template <class Body>
__device__ inline void for_each_kept(const uint16_t* bounds, int64_t groups, float cut,
                                     const Body& body) {
  for_each_bound(bounds, groups, [&](int64_t first, const float (&of)[8]) {
    unsigned own = 0;
    PYVAE_UNROLL for (int i = 0; i < 8; ++i) own |= unsigned(first + i < groups && !(of[i] < cut))
                                                    << i;
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

// A sum of e^score about a score that is near the largest, and moves only for one far above it.
template <class T>
struct SumAbout {
  T shift, sum = 0;

  __device__ void add(T score) {
    const T gap = score - shift;
    if (gap > T(64)) sum *= exp_of_summand(T(0) - gap), shift = score;
    sum += exp_of_summand(score - shift);
  }
  // Of so many neighbouring lanes, in each of them.
  __device__ T value(int width) const {
    const T highest = largest_over_lanes(shift, width);
    const T total = sum_over_lanes(carry_over(sum, shift, highest), width);
    return highest + log(total);
  }
};

// The log-density of a point, whose bounds are known, and its most probable component.
template <class T, class Shape, Beside kBeside>
class ScreenedDensity {
 public:
  using Group = GroupFactors<T, Shape>;
  using Point = ScreenedPoint<T, Shape>;

  __device__ ScreenedDensity(const Panels<T>& panels, const uint16_t* bounds, int64_t groups,
                             const Point& point)
      : panels_(panels), point_(point) {
    const BestGroup best(bounds, groups);
    const T first = score_of(best.group), top = largest_over_lanes(first, kBounded);
    // The best of the group is a lower bound of the best of all.
    if (best.bound < kInfinity<float> && top > T(kLeastScore))
      add_kept(bounds, groups, best.group, first, top);
    else
      add_all(groups);
  }

  T log_prob;
  int64_t component = 0;

 private:
  __device__ T score_of(int64_t group) const {
    return point_.score(Group(panels_, group), panels_.constant);
  }

  __device__ void add_kept(const uint16_t* bounds, int64_t groups, int64_t best, T first, T top) {
    SumAbout<T> sum = {top};
    RunningLargest<T> largest;
    for_each_kept(bounds, groups, float(top + kLogNegligible<T>), [&](int64_t group) {
      const T score = group == best ? first : score_of(group);
      sum.add(score);
      note(largest, score, group);
    });
    log_prob = sum.value(kBounded);
    choose(largest);
  }

  // Of a point that has no density, or is not finite.
  __device__ void add_all(int64_t groups) {
    RunningSum<T> sum;
    RunningLargest<T> largest;
    for (int64_t group = 0; group < groups; ++group) {
      const T score[1] = {score_of(group)};
      sum.add(score);
      note(largest, score[0], group);
    }
    log_prob = sum.value(kBounded);
    choose(largest);
  }

  __device__ static void note(RunningLargest<T>& largest, T score, int64_t group) {
    if constexpr (kBeside == Beside::kComponent)
      largest.add(score, group * kBounded + Group::slot());
  }
  __device__ void choose(const RunningLargest<T>& largest) {
    if constexpr (kBeside == Beside::kComponent) component = largest.value(log_prob, kBounded);
  }

  const Panels<T>& panels_;
  const Point& point_;
};

// Operands as those of wide_density_kernel; of `count` points from `begin`, whose bounds are known.
// A point a warp, by turns.
template <class T, class Shape, Beside kBeside>
__global__ void __launch_bounds__(kThreads, Shape::kBlocks)
    screened_density_kernel(const __grid_constant__ Problem problem, int log_prob_at,
                            const __grid_constant__ Panels<T> panels,
                            const __grid_constant__ Screen screen, int64_t begin, int64_t count) {
  if (!screen.chosen()) return;
  const Column<const T> points(problem, 0, 0);
  for (int64_t i = first_of_warp(); i < count; i += step_of_warps()) {
    const ScreenedPoint<T, Shape> point(points, begin + i, problem.d);
    const ScreenedDensity<T, Shape, kBeside> found(panels, screen.bounds(i), screen.groups, point);
    if (int(threadIdx.x) % kWarp != 0) continue;
    Column<T>(problem, log_prob_at, 0).at(begin + i) = found.log_prob;
    if constexpr (kBeside == Beside::kComponent)
      Column<int64_t>(problem, 4, 0).at(begin + i) = found.component;
  }
}

// The terms of what survives, in the chunk, and its words by components; and the gradients by
// points. What a term is left out by is as in terms.h, but for each point by itself.
template <class T, class Shape>
__global__ void __launch_bounds__(kThreads, Shape::kBlocks)
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
  for (int64_t n = first_of_warp(); n < problem.n; n += step_of_warps()) {
    const T weight = weights.at(n), log_prob = log_probs.at(n);
    const bool unbounded = weight - weight != 0;
    // Of the component that needs the most, for all of them.
    const T cut =
        smaller(negligible, log_negligible_of_component(points, constant, log_prob, T(0)));
    const ScreenedPoint<T, Shape> point(x, n, problem.d);
    Piece<T> sum[Shape::kPieces] = {};
    const bool skip = log_prob == -kInfinity<T> || (none_of_zero && weight == 0);
    if (!skip)
      for_each_kept(screen.bounds(n), screen.groups,
                    unbounded ? -kInfinity<float> : float(log_prob + cut), [&](int64_t of) {
                      const GroupFactors<T, Shape> group(panels, of);
                      const int64_t k = group.component();
                      const T gap = point.score(group, panels.constant) - log_prob;
                      const bool survives =
                          panels.constant[k] != -kInfinity<T> && (unbounded || !(gap < cut));
                      const T term = survives ? weight * exp_of_gap(gap) : T(0);
                      if (survives && lane < kBounded) {
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
        const int64_t d = GroupFactors<T, Shape>::coordinate(p) + q;
        if (lane < Shape::kLanes && d < problem.d) by_point.at(n, d) = T(0) - total;
      }
    }
  }
}

// Calls run(shape) with how warps share groups of so many coordinates.
template <class Run>
void with_group_shape(int64_t padded_d, const Run& run) {
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
    launch(screened_density_kernel<T, decltype(shape), kBeside>, blocks_of_warps(count), kThreads,
           0, runtime.stream, problem, log_prob_at, panels, screen, begin, count);
  });
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    clear_words_kernel(const __grid_constant__ Chunk<T> chunk) {
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
  launch(clear_words_kernel<T>, kSparseBlocks, kThreads, 0, runtime.stream, chunk);
  with_group_shape(panels.padded_d, [&](auto shape) {
    launch(screened_terms_kernel<T, decltype(shape)>, blocks_of_warps(problem.n), kThreads,
           2 * kWarps * sizeof(T), runtime.stream, problem, panels, chunk, operands, points,
           by_points, none_of_zero);
  });
}

}  // namespace
}  // namespace pyvae
