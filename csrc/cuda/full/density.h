// SPDX-License-Identifier: MIT
// mixture_log_prob_tril, mixture_posterior_tril and mixture_predict_tril, forward.
#pragma once

#include "common/beside.h"
#include "cuda/full/scores.h"

namespace pyvae {
namespace {

// Operands: x, log_weights, means, scale_trils -> [log_posterior | component,] log_prob.
template <class Tile, Beside kBeside, class T = typename Tile::T>
__global__ void __launch_bounds__(kThreads, 2)
    full_kernel(const __grid_constant__ Problem problem, int log_prob_at,
                const __grid_constant__ Inverses<T> inverses) {
  constexpr bool kPosterior = kBeside == Beside::kPosterior;
  Tile tile(&shared_memory<T>(), inverses);
  const int64_t tiles = divide_up(problem.n, int64_t(Tile::kPoints)), entry = blockIdx.x / tiles;
  const FullParameters<T> from(problem, 1, entry);
  const Points<T> points(problem, 0, entry, blockIdx.x % tiles * Tile::kPoints, Tile::kPoints,
                         tile.skip);
  const Column<T> log_posterior(problem, 4, entry), log_prob(problem, log_prob_at, entry);
  mark_unreachable(points, Tile::kPoints, problem.d, tile.skip);
  __syncthreads();
  tile.load(points);
  RunningSum<T> sum[Tile::kOwn];
  RunningLargest<T> largest[kBeside == Beside::kComponent ? Tile::kOwn : 1];
  for (int64_t k = 0; k < problem.k; ++k) {
    const bool alive = inverses.alive(entry, k);
    if (alive) tile.measure(from, entry, k);
    Tile::for_each_own([&](int i, int n) {
      const T score[1] = {alive ? tile.score(n, inverses.constant_of(entry, k)) : -kInfinity<T>};
      sum[i].add(score);
      if constexpr (kBeside == Beside::kComponent) largest[i].add(score[0], k);
      if (kPosterior && n < points.count) log_posterior.at(points.first + n, k) = score[0];
    });
  }
  Tile::for_each_own([&](int i, int own) {
    if (own >= points.count) return;
    const T value = tile.skip[own] ? -kInfinity<T> : sum[i].own_value();
    const int64_t n = points.first + own;
    log_prob.at(n) = value;
    if constexpr (kBeside == Beside::kComponent)
      Column<int64_t>(problem, 4, entry).at(n) = largest[i].own_value(value);
    for (int64_t k = 0; kPosterior && k < problem.k; ++k)
      normalise(&log_posterior.at(n, k), 1, value);
  });
}

template <Beside kBeside, class T>
void full_density(const Problem& problem, const Runtime& runtime, int log_prob_at,
                  const Inverses<T>& inverses) {
  with_tile<T>(problem, [&]<class Tile>(std::type_identity<Tile>) {
    launch(full_kernel<Tile, kBeside>, Tile::count(problem, problem.n), kThreads,
           Tile::bytes(inverses), runtime.stream, problem, log_prob_at, inverses);
  });
}

}  // namespace
}  // namespace pyvae
