// SPDX-License-Identifier: MIT
// The log-densities of points that have been screened, and their most probable components.
#pragma once

#include "common/beside.h"
#include "common/negligible.h"
#include "cuda/large/screen.h"
#include "cuda/large/screened_point.h"

namespace pyvae {
namespace {

// Below this the best score is taken for none, and every component is asked.
inline constexpr float kLeastScore = -1e30f;

// A sum of e^score, of two lanes each a share, about a score that is near the largest, and moves
// only for one that is well above it.
template <class T>
struct SumAbout {
  T shift, sum = 0;

  __device__ void add(T score) {
    const T gap = score - shift;
    if (gap > T(4)) sum *= exp_of_summand(T(0) - gap), shift = score;
    sum += exp_of_summand(score - shift);
  }
  // Those of both lanes, in each of them.
  __device__ void join() {
    const T highest = largest_over_lanes(shift, kBounded);
    if (shift < highest) sum *= exp_of_summand(shift - highest);
    shift = highest, sum = sum_over_lanes(sum, kBounded);
  }
  __device__ T value() const { return shift + log(sum); }
};

// What is found of a point: all lanes know it.
template <class T>
struct Density {
  SumAbout<T> sum;
  int64_t component = 0;
};

template <class T, class Shape, Beside kBeside>
class ScreenedDensity {
 public:
  using Point = ScreenedPoint<T, Shape>;

  __device__ explicit ScreenedDensity(const Panels<T>& panels)
      : groups_(panels), constants_(panels.constant) {}

  __device__ Density<T> of(const Point& point, const uint16_t* bounds, int groups) const {
    const BestGroup best(bounds, groups);
    const T first = score(point, best.group), top = largest_over_lanes(first, kBounded);
    // The best of the group is a lower bound of the best of all.
    const bool known = size_of(best.bound) < kInfinity<float> && top > T(kLeastScore);
    return known ? of_kept(point, bounds, groups, best.group, first, top) : of_all(point, groups);
  }

 private:
  __device__ T score(const Point& point, int group) const {
    return point.score(groups_.read(group), constants_);
  }

  __device__ Density<T> of_kept(const Point& point, const uint16_t* bounds, int groups, int best,
                                T first, T top) const {
    Density<T> density = {{top}};
    RunningLargest<T> largest;
    for_each_kept(bounds, groups, float(top + kLogNegligible<T>), [&](int group) {
      T here = first;
      if (group != best) here = score(point, group);
      density.sum.add(here);
      note(largest, here, group);
    });
    density.sum.join();
    if constexpr (kBeside == Beside::kComponent) density.component = largest.value(top, kBounded);
    return density;
  }

  // Of a point that has no density, or is not finite.
  __device__ Density<T> of_all(const Point& point, int groups) const {
    RunningSum<T> sum;
    RunningLargest<T> largest;
    for (int group = 0; group < groups; ++group) {
      const T here[1] = {score(point, group)};
      sum.add(here);
      note(largest, here[0], group);
    }
    Density<T> density = {{sum.value(kBounded), T(1)}};
    if constexpr (kBeside == Beside::kComponent)
      density.component = largest.value(density.sum.shift, kBounded);
    return density;
  }

  __device__ static void note(RunningLargest<T>& largest, T score, int group) {
    if constexpr (kBeside == Beside::kComponent)
      largest.add(score, int64_t(group) * kBounded + Shape::slot());
  }

  const GroupReader<T, Shape> groups_;
  const T* const constants_;
};

// Operands as those of wide_density_kernel; of `count` points from `begin`, whose bounds are known.
template <class T, class Shape, Beside kBeside>
__global__ void __launch_bounds__(kThreads, Shape::kPieces == 1 ? 4 : 2)
    screened_density_kernel(const __grid_constant__ Problem problem, int log_prob_at,
                            const __grid_constant__ Panels<T> panels,
                            const __grid_constant__ Screen screen, int64_t begin, int64_t count) {
  if (!screen.chosen()) return;
  const Column<const T> points(problem, 0, 0);
  const bool whole = in_pieces(points, problem.d);
  const ScreenedDensity<T, Shape, kBeside> density(panels);
  const int lane = Shape::lane();
  for_each_turn(count, [&](int64_t first, int turn) {
    Density<T> own = {{T(0), T(1)}};
    for (int i = 0; i < turn; ++i) {
      const ScreenedPoint<T, Shape> point(points, begin + first + i, problem.d, whole);
      const Density<T> found = density.of(point, screen.bounds(first + i), int(screen.groups));
      if (lane == i) own = found;
    }
    if (lane >= turn) return;
    const int64_t n = begin + first + lane;
    Column<T>(problem, log_prob_at, 0).at(n) = own.sum.value();
    if constexpr (kBeside == Beside::kComponent)
      Column<int64_t>(problem, 4, 0).at(n) = own.component;
  });
}

// Of `count` points from `begin` on.
template <Beside kBeside, class T>
void run_screened_density(const Problem& problem, const Runtime& runtime, int log_prob_at,
                          const Panels<T>& panels, const Screen& screen, int64_t begin,
                          int64_t count) {
  find_bounds(problem, runtime, 0, panels, screen, begin, count);
  with_group_shape(panels.padded_d, [&](auto shape) {
    launch(screened_density_kernel<T, decltype(shape), kBeside>, blocks_of_turns(count), kThreads,
           0, runtime.stream, problem, log_prob_at, panels, screen, begin, count);
  });
}

}  // namespace
}  // namespace pyvae
