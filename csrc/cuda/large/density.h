// SPDX-License-Identifier: MIT
// mixture_log_prob, mixture_posterior and mixture_predict of large problems, forward. Every thread
// keeps a log-sum-exp of its own columns until the last tile.
#pragma once

#include "common/beside.h"
#include "cuda/large/screened_density.h"

namespace pyvae {
namespace {

// Calls body(j, k) for the components that a thread has of a tile, in ascending order.
template <class T, class Body>
__device__ inline void for_each_column(int64_t tile, int64_t components, const Body& body) {
  PYVAE_UNROLL for (int j = 0; j < kEach<T>; ++j) {
    const int64_t k = tile * kWide<T> + place<T>(column_of_thread(), j);
    if (k < components) body(j, k);
  }
}

template <class T>
__device__ inline void write_scores(const Column<T>& to, const Problem& problem, int64_t first,
                                    int64_t tile, const T (&score)[kEach<T>][kEach<T>]) {
  const bool whole = in_pieces(to, problem.k);
  PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
    const int64_t n = first + place<T>(row_of_thread(), i);
    PYVAE_UNROLL for (int half = 0; n < problem.n && half < 2; ++half) {
      const int64_t k = tile * kWide<T> + place<T>(column_of_thread(), half * kWidth<T>);
      Piece<T> piece;
      PYVAE_UNROLL for (int j = 0; j < kWidth<T>; ++j) piece.value[j] =
          score[i][half * kWidth<T> + j];
      if (whole && k < problem.k) store_piece(&to.at(n, k), piece);
      PYVAE_UNROLL for (int j = 0; !whole && j < kWidth<T>; ++j) {
        if (k + j < problem.k) to.at(n, k + j) = piece.value[j];
      }
    }
  }
}

// Turns what the block has written into log p(z | x), a point a warp.
template <class T>
__device__ void normalise_tile(const Column<T>& log_posterior, const Column<T>& log_prob,
                               const Problem& problem, int64_t first) {
  const int warp = int(threadIdx.x) / kWarp, lane = int(threadIdx.x) % kWarp;
  const int64_t end = smaller(first + kWide<T>, problem.n);
  const bool whole = in_pieces(log_posterior, problem.k);
  for (int64_t n = first + warp; n < end; n += kWarps) {
    const T value = log_prob.at(n);
    for (int64_t k = lane * kWidth<T>; whole && k < problem.k; k += kWarp * kWidth<T>) {
      Piece<T> piece = load_piece(&log_posterior.at(n, k));
      normalise(piece.value, kWidth<T>, value);
      store_piece(&log_posterior.at(n, k), piece);
    }
    for (int64_t k = lane; !whole && k < problem.k; k += kWarp)
      normalise(&log_posterior.at(n, k), 1, value);
  }
}

// Operands: x, log_weights, means, logvars -> [log_posterior | component,] log_prob.
template <class T, Beside kBeside>
__global__ void __launch_bounds__(kThreads, 1)
    wide_density_kernel(const __grid_constant__ Problem problem, int log_prob_at,
                        const __grid_constant__ Panels<T> all,
                        const __grid_constant__ Screen screen) {
  if (screen.chosen()) return;
  auto& memory = shared_memory<WideScoreMemory<T>>();
  const int64_t blocks = divide_up(problem.n, kWide<T>), tiles = all.padded_k / kWide<T>;
  const int64_t entry = blockIdx.x / blocks, first = blockIdx.x % blocks * kWide<T>;
  const Panels<T> panels = all.of_entry(entry);
  WideScores<T> scores(memory, panels, PointReader<T>(problem, 0, entry, first));
  const Column<T> log_posterior(problem, 4, entry), log_prob(problem, log_prob_at, entry);
  RunningSum<T> sum[kEach<T>];
  RunningLargest<T> largest[kBeside == Beside::kComponent ? kEach<T> : 1];
  scores.begin(0);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    T score[kEach<T>][kEach<T>];
    scores.score(tile, tile + 1 < tiles ? tile + 1 : -1, score);
    PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
      sum[i].add(score[i]);
      if constexpr (kBeside == Beside::kComponent)
        for_each_column<T>(tile, problem.k,
                           [&](int j, int64_t k) { largest[i].add(score[i][j], k); });
    }
    if constexpr (kBeside == Beside::kPosterior)
      write_scores(log_posterior, problem, first, tile, score);
  }
  scores.mark_unreachable();
  PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
    const int row = place<T>(row_of_thread(), i);
    const int64_t n = first + row;
    const T found = sum[i].value();
    const T value = memory.unreachable[row] ? -kInfinity<T> : found;
    int64_t component = 0;
    if constexpr (kBeside == Beside::kComponent) component = largest[i].value(value);
    if (n >= problem.n) continue;
    if (column_of_thread() == 0) log_prob.at(n) = value;
    if constexpr (kBeside == Beside::kComponent)
      if (column_of_thread() == 0) Column<int64_t>(problem, 4, entry).at(n) = component;
  }
  if constexpr (kBeside == Beside::kPosterior) {
    __syncthreads();
    normalise_tile(log_posterior, log_prob, problem, first);
  }
}

// Of the bytes that the terms of a chunk may take, so many parts are for bounds: they stay in the
// cache.
inline constexpr int64_t kBoundShare = 4;

template <Beside kBeside, class T>
void run_wide_density(const Problem& problem, const Runtime& runtime, int log_prob_at) {
  const bool screens = kBeside != Beside::kPosterior && may_screen<T>(problem);
  const Panels<T> panels = pack_panels<T>(problem, runtime, 1, screens);
  Screen screen;
  if constexpr (kBeside != Beside::kPosterior && kScreens<T>) {
    const int64_t row = larger<int64_t>(1, bound_bytes(problem, panels, kWide<T>));
    const int64_t tiles = larger<int64_t>(1, pyvae_cuda_tuning.chunk_bytes / kBoundShare / row);
    const int64_t capacity = smaller(tiles, divide_up(problem.n, kWide<T>)) * kWide<T>;
    if (screens) screen = make_screen(problem, runtime, 0, panels, capacity);
    for (int64_t begin = 0; screen.tried && begin < problem.n; begin += capacity)
      run_screened_density<kBeside>(problem, runtime, log_prob_at, panels, screen, begin,
                                    smaller(capacity, problem.n - begin));
  }
  launch(wide_density_kernel<T, kBeside>, problem.batch * divide_up(problem.n, kWide<T>), kThreads,
         sizeof(WideScoreMemory<T>), runtime.stream, problem, log_prob_at, panels, screen);
}

}  // namespace
}  // namespace pyvae
