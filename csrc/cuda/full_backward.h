// SPDX-License-Identifier: MIT
// The backward pass of the mixtures with full covariances, and the sums of an EM step by the same
// kernels. With g the coefficient of a score the gradients are, as in full/density.cpp,
//   d/dx = -sum_k g W'y,   d/dmu = W' sum_n g y,   d/dL = tril(W' sum_n g y y') - diag(W) sum_n g.
#pragma once

#include "cuda/coefficients.h"
#include "cuda/full_density.h"
#include "cuda/tuning.h"

namespace pyvae {
namespace {

template <class Op, class Shape>
struct FullBackwardMemory : FullMemory<Shape> {
  typename Shape::T coefficient[Shape::kPoints];
  typename Op::State state[Shape::kPoints];
};

// What the op keeps of a tile of points. A barrier behind.
template <class Op, class Shape>
__device__ void load_states(const Problem& problem, FullBackwardMemory<Op, Shape>& memory,
                            int64_t entry, int64_t first) {
  for (int n = row_of_thread(); n < Shape::kPoints; n += kSide) {
    const int64_t last = problem.n - 1;  // rows past it repeat it: all lanes must come
    const typename Op::State state(problem, entry, smaller(first + n, last));
    if (column_of_thread() != 0) continue;
    memory.state[n] = state;
    memory.skip[n] = state.skips();
  }
  __syncthreads();
}

// The coefficients of one component for a tile of points, into shared memory; y into the block's
// scratch. Barriers before and behind.
template <class Op, class Shape, class T = typename Shape::T>
__device__ void full_coefficients(const Problem& problem, FullBackwardMemory<Op, Shape>& memory,
                                  const FullComponent<T>& component, const Points<T>& points,
                                  int64_t entry, int64_t k, T* y) {
  T score[Shape::kPointsEach];
  full_scores(memory.chunk, component, points, y, score);
  __syncthreads();
  PYVAE_UNROLL for (int i = 0; i < Shape::kPointsEach; ++i) {
    const int n = row_of_thread() * Shape::kPointsEach + i;
    if (column_of_thread() != i % kSide) continue;
    T found = 0;
    if (n < points.count)
      found = memory.state[n]
                  .coefficients(problem, entry, points.first + n, k, T(0), score[i], T(0),
                                component.constant)
                  .by_score;
    memory.coefficient[n] = found;
  }
  __syncthreads();
}

// d/dx of a tile of points. y takes d * kPoints numbers of scratch.
template <class Op, class Shape, class T = typename Shape::T>
__device__ void full_point_gradients(const Problem& problem, FullBackwardMemory<Op, Shape>& memory,
                                     const Inverses<T>& inverses, int64_t entry, int64_t first,
                                     T* y) {
  constexpr int kP = Shape::kPointsEach, kR = Shape::kRowsEach;
  const FullParameters<T> from(problem, Op::kParameters, entry);
  const Column<T> by_x(problem, Op::kByPoint, entry);
  const Points<T> points(problem, Op::kPoint, entry, first, Shape::kPoints, memory.skip);
  load_states(problem, memory, entry, first);
  const int row = row_of_thread() * kP, column = column_of_thread() * kR;
  const auto add = [&](int64_t d0, const T(&sum)[kP][kR]) {
    PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
      PYVAE_UNROLL for (int q = 0; q < kR; ++q) {
        const int64_t d = d0 + column + q;
        if (row + i >= points.count || d >= problem.d) continue;
        by_x.at(first + row + i, d) -= memory.coefficient[row + i] * sum[i][q];
      }
    }
  };
  for (int64_t d0 = 0; d0 < problem.d; d0 += Shape::kRows)
    for (int i = 0; i < kP; ++i)
      for (int q = 0; q < kR; ++q)
        if (row + i < points.count && d0 + column + q < problem.d)
          by_x.at(first + row + i, d0 + column + q) = 0;
  for (int64_t k = 0; k < problem.k; ++k) {
    const FullComponent<T> component(inverses, from, entry, k);
    if (!component.alive()) continue;
    full_coefficients<Op>(problem, memory, component, points, entry, k, y);
    for (int64_t d0 = 0; d0 < problem.d; d0 += Shape::kRows) {
      T sum[kP][kR] = {};
      multiply(
          memory.chunk, d0, problem.d, [&](int64_t i, int n) { return y[i * Shape::kPoints + n]; },
          [&](int64_t i, int r) { return d0 + r < problem.d ? component.weight(i, d0 + r) : T(0); },
          sum);
      add(d0, sum);
    }
  }
}

// Sums over points of one component, in double: of g, g y and g y y' (its lower triangle).
struct FullSums {
  double *coefficient, *rows, *outer;

  PYVAE_HD static int64_t footprint(int64_t d) { return 1 + d + d * d; }
  PYVAE_HD FullSums(double* memory, int64_t d)
      : coefficient(memory), rows(memory + 1), outer(memory + 1 + d) {}
};

// With kMoments y is x - mean.
template <class Op, class Shape, bool kMoments, class T = typename Shape::T>
__device__ void full_component_sums(const Problem& problem, FullBackwardMemory<Op, Shape>& memory,
                                    const Inverses<T>& inverses, int64_t entry, int64_t k,
                                    Range tiles, T* y, const FullSums& sums) {
  constexpr int kP = Shape::kPointsEach, kR = Shape::kRowsEach;
  static_assert(Shape::kPoints % Shape::kDepth == 0);
  const int64_t d = problem.d;
  for (int64_t i = threadIdx.x; i < FullSums::footprint(d); i += kThreads) sums.coefficient[i] = 0;
  __syncthreads();
  const FullComponent<T> component(inverses, FullParameters<T>(problem, Op::kParameters, entry),
                                   entry, k);
  if (!component.alive()) return;
  for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
    const Points<T> points(problem, Op::kPoint, entry, tile * Shape::kPoints, Shape::kPoints,
                           memory.skip);
    load_states(problem, memory, entry, points.first);
    full_coefficients<Op>(problem, memory, component, points, entry, k, kMoments ? nullptr : y);
    if constexpr (kMoments) {
      for (int64_t i = threadIdx.x; i < d * Shape::kPoints; i += kThreads)
        y[i] = component.gap(points, int(i % Shape::kPoints), i / Shape::kPoints);
      __syncthreads();
    }
    for (int64_t i = threadIdx.x; i <= d; i += kThreads) {
      T total = 0;
      for (int n = 0; n < Shape::kPoints; ++n)
        total += memory.coefficient[n] * (i < d ? y[i * Shape::kPoints + n] : T(1));
      (i < d ? sums.rows[i] : *sums.coefficient) += double(total);
    }
    for (int64_t i0 = 0; i0 < d; i0 += Shape::kPoints)
      for (int64_t j0 = 0; j0 < smaller(d, i0 + Shape::kPoints); j0 += Shape::kRows) {
        T sum[kP][kR] = {};
        multiply(
            memory.chunk, 0, Shape::kPoints,
            [&](int64_t n, int i) {
              return i0 + i < d ? memory.coefficient[n] * y[(i0 + i) * Shape::kPoints + n] : T(0);
            },
            [&](int64_t n, int j) { return j0 + j < d ? y[(j0 + j) * Shape::kPoints + n] : T(0); },
            sum);
        PYVAE_UNROLL for (int p = 0; p < kP; ++p) {
          PYVAE_UNROLL for (int q = 0; q < kR; ++q) {
            const int64_t i = i0 + row_of_thread() * kP + p, j = j0 + column_of_thread() * kR + q;
            if (i < d && j <= i) sums.outer[i * d + j] += double(sum[p][q]);
          }
        }
      }
    __syncthreads();
  }
}

struct FullPlan {
  int64_t point_tiles = 0, point_blocks = 0, tasks = 0, parts = 1, sum_blocks = 0;

  template <class Shape>
  static FullPlan of(const Problem& problem, bool by_points, bool by_components) {
    FullPlan plan;
    plan.point_tiles = divide_up(problem.n, Shape::kPoints);
    // Every block has scratch memory of its own.
    plan.point_blocks = by_points ? smaller(problem.batch * plan.point_tiles, 4 * kFullGrid) : 0;
    plan.tasks = by_components ? problem.batch * problem.k : 0;
    const int64_t bytes = FullSums::footprint(problem.d) * int64_t(sizeof(double));
    const int64_t most =
        smaller(kFullGrid, kPartialSumBytes / bytes) / larger<int64_t>(plan.tasks, 1);
    plan.parts = larger<int64_t>(1, smaller(most, plan.point_tiles));
    plan.sum_blocks = smaller(plan.tasks * plan.parts, pyvae_cuda_tuning.sum_blocks);
    return plan;
  }
};

template <class Op, class Shape, bool kMoments, class T = typename Shape::T>
__global__ void __launch_bounds__(kThreads, 1)
    full_backward_kernel(const __grid_constant__ Problem problem, FullPlan plan,
                         Inverses<T> inverses, T* scratch, double* partial) {
  auto& memory = shared_memory<FullBackwardMemory<Op, Shape>>();
  T* const y = scratch + int64_t(blockIdx.x) * problem.d * Shape::kPoints;
  if (blockIdx.x < plan.point_blocks) {
    for (int64_t at = blockIdx.x; at < problem.batch * plan.point_tiles; at += plan.point_blocks) {
      const FullTile<Shape> tile(at, plan.point_tiles);
      full_point_gradients<Op>(problem, memory, inverses, tile.entry, tile.first, y);
      __syncthreads();
    }
    return;
  }
  for (int64_t task = int64_t(blockIdx.x) - plan.point_blocks; task < plan.tasks * plan.parts;
       task += plan.sum_blocks) {
    const int64_t part = task % plan.parts;
    const int64_t k = task / plan.parts % problem.k, entry = task / plan.parts / problem.k;
    full_component_sums<Op, Shape, kMoments>(
        problem, memory, inverses, entry, k, share(plan.point_tiles, part, plan.parts), y,
        FullSums(partial + task * FullSums::footprint(problem.d), problem.d));
    __syncthreads();  // y is the next task's
  }
}

// Adds the parts of every component into its first, and those of all components of a tied factor
// into the outer products of the first component. A block a factor. With kMoments a component
// without points has no sums, whatever it holds.
template <bool kMoments>
__device__ inline void add_up(const Problem& problem, int64_t parts, int64_t factors, int64_t entry,
                              Range components, double* partial) {
  const int64_t each = FullSums::footprint(problem.d), head = 1 + problem.d;
  const auto part_of = [&](int64_t k, int64_t part) {
    return partial + ((entry * problem.k + k) * parts + part) * each;
  };
  const auto without_points = [&](int64_t k) {
    bool none = true;
    for (int64_t part = 0; part < parts; ++part) none &= part_of(k, part)[0] == 0;
    return none;
  };
  const auto add = [&](int64_t i) {
    for (int64_t k = components.begin; k < components.end; ++k) {
      double sum = 0;
      for (int64_t part = 0; part < parts; ++part) sum += part_of(k, part)[i];
      if (kMoments && sum != sum && without_points(k)) sum = 0;
      part_of(k, 0)[i] = sum;
      if (factors == 1 && i >= head && k > components.begin) part_of(components.begin, 0)[i] += sum;
    }
  };
  for (int64_t i = 1 + threadIdx.x; i < each; i += kThreads) add(i);
  __syncthreads();  // the coefficients have been asked for
  if (threadIdx.x == 0) add(0);
  __syncthreads();
}

template <class Op, class Shape, bool kMoments, class T = typename Shape::T>
double* run_full_sums(const Problem& problem, const Runtime& runtime, const FullPlan& plan,
                      const Inverses<T>& inverses) {
  const int64_t blocks = plan.point_blocks + plan.sum_blocks;
  T* const scratch = take<T>(runtime, blocks * problem.d * Shape::kPoints);
  double* const partial =
      take<double>(runtime, plan.tasks * plan.parts * FullSums::footprint(problem.d));
  launch(full_backward_kernel<Op, Shape, kMoments>, blocks, kThreads,
         sizeof(FullBackwardMemory<Op, Shape>), runtime.stream, problem, plan, inverses, scratch,
         partial);
  return partial;
}

}  // namespace
}  // namespace pyvae
