// SPDX-License-Identifier: MIT
// mixture_log_prob, mixture_posterior and mixture_predict, forward, in one launch.
#pragma once

#include "common/beside.h"
#include "cuda/small/scores.h"

namespace pyvae {
namespace {

template <class Shape>
struct DensityMemory {
  ScoreChunk<Shape, false> chunk;
  Constants<Shape> constants;
  bool unreachable[Shape::kPoints];
};

// The scores of one thread: those of the components that are there, in the caller's strides.
template <class Shape, class T = typename Shape::T>
__device__ inline void write_scores(const Column<T>& to, const Points<T>& points, int64_t first,
                                    int64_t components,
                                    const T (&score)[Shape::kPointsEach][Shape::kColumnsEach]) {
  const int row = row_of_thread() * Shape::kPointsEach;
  const int64_t column = first + column_of_thread() * Shape::kColumnsEach;
  PYVAE_UNROLL for (int i = 0; i < Shape::kPointsEach; ++i) {
    PYVAE_UNROLL for (int j = 0; j < Shape::kColumnsEach; ++j) {
      if (row + i < points.count && column + j < components)
        to.at(points.first + row + i, column + j) = score[i][j];
    }
  }
}

// A thread turns the scores that it wrote into log p(z | x).
template <class Shape, class T = typename Shape::T>
__device__ inline void normalise_scores(const Column<T>& to, int64_t n, int64_t components,
                                        T log_prob) {
  for (int64_t first = column_of_thread() * Shape::kColumnsEach; first < components;
       first += Shape::kColumns)
    for (int j = 0; j < Shape::kColumnsEach && first + j < components; ++j)
      normalise(&to.at(n, first + j), 1, log_prob);
}

// Operands: x, log_weights, means, logvars -> [log_posterior | component,] log_prob.
template <class Shape, Beside kBeside, class T = typename Shape::T>
__global__ void __launch_bounds__(kThreads, 1)
    density_kernel(const __grid_constant__ Problem problem, int log_prob_at) {
  auto& memory = shared_memory<DensityMemory<Shape>>();
  const PointTile<Shape> tile(problem, blockIdx.x);
  const ComponentView<T> components(problem, 1, true, tile.entry);
  const Points<T> points(problem, 0, tile.entry, tile.first, Shape::kPoints, memory.unreachable);
  const Column<T> log_posterior(problem, 4, tile.entry), log_prob(problem, log_prob_at, tile.entry);
  mark_unreachable(points, Shape::kPoints, problem.d, memory.unreachable);
  RunningSum<T> sum[Shape::kPointsEach];
  RunningLargest<T> largest[kBeside == Beside::kComponent ? Shape::kPointsEach : 1];
  for (int64_t first = 0; first < problem.k; first += Shape::kColumns) {
    T score[Shape::kPointsEach][Shape::kColumnsEach];
    memory.constants.load(components, first);
    score_tile(memory.chunk, memory.constants, components, first, points, nullptr, score);
    PYVAE_UNROLL for (int i = 0; i < Shape::kPointsEach; ++i) {
      sum[i].add(score[i]);
      if constexpr (kBeside == Beside::kComponent) {
        PYVAE_UNROLL for (int j = 0; j < Shape::kColumnsEach; ++j) largest[i].add(
            score[i][j], first + column_of_thread() * Shape::kColumnsEach + j);
      }
    }
    if constexpr (kBeside == Beside::kPosterior)
      write_scores<Shape>(log_posterior, points, first, problem.k, score);
    __syncthreads();  // the constants have been read
  }
  if (problem.k == 0) __syncthreads();  // `unreachable` has been written
  const int row = row_of_thread() * Shape::kPointsEach;
  PYVAE_UNROLL for (int i = 0; i < Shape::kPointsEach; ++i) {
    const T found = sum[i].value();
    const T value = memory.unreachable[row + i] ? -kInfinity<T> : found;
    int64_t component = 0;
    if constexpr (kBeside == Beside::kComponent) component = largest[i].value(value);
    if (row + i >= points.count) continue;
    const int64_t n = points.first + row + i;
    if (column_of_thread() == 0) log_prob.at(n) = value;
    if constexpr (kBeside == Beside::kComponent)
      if (column_of_thread() == 0) Column<int64_t>(problem, 4, tile.entry).at(n) = component;
    if constexpr (kBeside == Beside::kPosterior)
      normalise_scores<Shape>(log_posterior, n, problem.k, value);
  }
}

template <Beside kBeside, class T>
void run_density(const Problem& problem, const Runtime& runtime, int log_prob_at) {
  using Shape = SmallTile<T>;
  launch(density_kernel<Shape, kBeside>, PointTile<Shape>::count(problem), kThreads,
         sizeof(DensityMemory<Shape>), runtime.stream, problem, log_prob_at);
}

}  // namespace
}  // namespace pyvae
