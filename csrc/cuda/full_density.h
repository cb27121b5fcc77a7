// SPDX-License-Identifier: MIT
// mixture_log_prob_tril, mixture_posterior_tril and mixture_predict_tril, forward.
#pragma once

#include "common/beside.h"
#include "cuda/full.h"

namespace pyvae {
namespace {

template <class Shape>
struct FullTile {
  int64_t entry, first;

  __device__ FullTile(int64_t block, int64_t tiles)
      : entry(block / tiles), first(block % tiles * Shape::kPoints) {}
};

template <class Shape>
struct FullMemory {
  ProductChunk<Shape> chunk;
  bool skip[Shape::kPoints];
};

// Operands: x, log_weights, means, scale_trils -> [log_posterior | component,] log_prob.
template <class Shape, Beside kBeside, class T = typename Shape::T>
__global__ void __launch_bounds__(kThreads, 1)
    full_kernel(const __grid_constant__ Problem problem, int log_prob_at, Inverses<T> inverses) {
  constexpr int kP = Shape::kPointsEach;
  constexpr bool kPosterior = kBeside == Beside::kPosterior;
  auto& memory = shared_memory<FullMemory<Shape>>();
  const FullTile<Shape> tile(blockIdx.x, divide_up(problem.n, Shape::kPoints));
  const FullParameters<T> from(problem, 1, tile.entry);
  const Points<T> points(problem, 0, tile.entry, tile.first, Shape::kPoints, memory.skip);
  const Column<T> log_posterior(problem, 4, tile.entry), log_prob(problem, log_prob_at, tile.entry);
  mark_unreachable(points, Shape::kPoints, problem.d, memory.skip);
  __syncthreads();
  RunningSum<T> sum[kP];
  RunningLargest<T> largest[kBeside == Beside::kComponent ? kP : 1];
  const int row = row_of_thread() * kP;
  // A component after the other; all threads of a row have the score, and one adds it.
  for (int64_t k = 0; k < problem.k; ++k) {
    const FullComponent<T> component(inverses, from, tile.entry, k);
    const bool mine = k % kSide == column_of_thread();
    T score[kP];
    PYVAE_UNROLL for (int i = 0; i < kP; ++i) score[i] = -kInfinity<T>;
    if (component.alive())
      full_scores(memory.chunk, component, points, static_cast<T*>(nullptr), score);
    PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
      if (!mine) continue;
      const T only[1] = {score[i]};
      sum[i].add(only);
      if constexpr (kBeside == Beside::kComponent) largest[i].add(score[i], k);
      if (kPosterior && row + i < points.count)
        log_posterior.at(points.first + row + i, k) = score[i];
    }
  }
  PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
    const T found = sum[i].value();
    const T value = memory.skip[row + i] ? -kInfinity<T> : found;
    int64_t component = 0;
    if constexpr (kBeside == Beside::kComponent) component = largest[i].value(value);
    if (row + i >= points.count) continue;
    const int64_t n = points.first + row + i;
    if (column_of_thread() == 0) log_prob.at(n) = value;
    if constexpr (kBeside == Beside::kComponent)
      if (column_of_thread() == 0) Column<int64_t>(problem, 4, tile.entry).at(n) = component;
    for (int64_t k = column_of_thread(); kPosterior && k < problem.k; k += kSide)
      normalise(&log_posterior.at(n, k), 1, value);
  }
}

// Calls body(shape): narrow tiles for small D.
template <class T, class Body>
void with_shape(const Problem& problem, const Body& body) {
  if (problem.d <= 32)
    body(FullShape<T, 2>());
  else
    body(FullShape<T, 4>());
}

template <Beside kBeside, class T>
void full_density(const Problem& problem, const Runtime& runtime, int log_prob_at,
                  const Inverses<T>& inverses) {
  with_shape<T>(problem, [&]<class Shape>(Shape) {
    launch(full_kernel<Shape, kBeside>, problem.batch * divide_up(problem.n, Shape::kPoints),
           kThreads, sizeof(FullMemory<Shape>), runtime.stream, problem, log_prob_at, inverses);
  });
}

}  // namespace
}  // namespace pyvae
