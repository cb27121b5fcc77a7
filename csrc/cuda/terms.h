// SPDX-License-Identifier: MIT
// The terms of sums over points and components: responsibilities times what the point weighs, and
// which of them are not negligible (common/negligible.h).
//
// A pair survives where it counts for its point, or for a component that has as much as one point
// of the largest weight; whether it has is asked at the end (settle.h).
#pragma once

#include "common/negligible.h"
#include "cuda/chunk.h"
#include "cuda/wide_scores.h"

namespace pyvae {
namespace {

template <class T>
struct TermMemory {
  static constexpr int kWords = kWide<T> / kWordBits;
  WideScoreMemory<T> scores;
  unsigned by_point[kWide<T>][kWords], by_component[kWide<T>][kWords];
  T lowest[kWarps], ratio[kWarps];
  int survivors[kWarps];
};

// What a thread knows of its points.
template <class T>
struct OwnPoints {
  T weight[kEach<T>], log_prob[kEach<T>];
  T lowest = kInfinity<T>;  // of the log-densities, where there is one

  __device__ OwnPoints(const Problem& problem, PointOperands operands, int64_t first) {
    const Column<const T> weights(problem, operands.weight, 0),
        log_probs(problem, operands.log_prob, 0);
    PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
      const int64_t n = first + place<T>(row_of_thread(), i);
      weight[i] = n < problem.n ? weights.at(n) : T(0);
      log_prob[i] = n < problem.n ? log_probs.at(n) : -kInfinity<T>;
      if (log_prob[i] > -kInfinity<T>) lowest = Smallest()(lowest, log_prob[i]);
    }
  }
};

// From here on down a term counts for nothing; `own` is that of the component.
template <class T>
__device__ T negligible_of(TermMemory<T>& memory, const Panels<T>& panels, T lowest,
                           bool by_points) {
  T ratio = 1;
  for (int64_t d = threadIdx.x; by_points && d < panels.padded_d; d += kThreads)
    ratio = Largest()(ratio, panels.ratio[d]);
  ratio = largest_over_lanes(ratio, kWarp);
  lowest = -largest_over_lanes(-lowest, kWarp);
  const int warp = int(threadIdx.x) / kWarp;
  if (int(threadIdx.x) % kWarp == 0) memory.lowest[warp] = lowest, memory.ratio[warp] = ratio;
  __syncthreads();
  for (int other = 0; other < kWarps; ++other) ratio = Largest()(ratio, memory.ratio[other]);
  return log_negligible(ratio);
}
template <class T>
__device__ T lowest_of(const TermMemory<T>& memory) {
  T lowest = kInfinity<T>;
  for (int warp = 0; warp < kWarps; ++warp) lowest = Smallest()(lowest, memory.lowest[warp]);
  return lowest;
}

// Turns the scores of one point into terms; returns which survive, a bit a column.
template <class T>
__device__ inline unsigned weigh(T (&score)[kEach<T>], T log_prob, T weight,
                                 const T (&cut)[kEach<T>], const bool (&alive)[kEach<T>]) {
  const bool skip = log_prob == -kInfinity<T>, unbounded = weight - weight != 0;
  unsigned survivors = 0;
  bool any = false;
  PYVAE_UNROLL for (int j = 0; j < kEach<T>; ++j) {
    score[j] -= log_prob;
    const bool counts = !skip && alive[j];
    if (counts && (unbounded || !(score[j] < cut[j]))) survivors |= 1u << j;
    any |= counts && !(score[j] < T(ExpTable<T>::kSmallestNormal));
  }
  if (any) {
    PYVAE_UNROLL for (int j = 0; j < kEach<T>; ++j) score[j] =
        alive[j] ? weight * exp_of_gap(score[j]) : T(0);
  } else {
    PYVAE_UNROLL for (int j = 0; j < kEach<T>; ++j) score[j] = 0;
  }
  return survivors;
}

// Adds to the words of the block what survives among a thread's pairs, a row of `survivors` a
// point.
template <class T>
__device__ inline void mark(TermMemory<T>& memory, const unsigned (&survivors)[kEach<T>]) {
  constexpr unsigned kPieceBits = (1u << kWidth<T>)-1;
  PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
    const int row = place<T>(row_of_thread(), i);
    PYVAE_UNROLL for (int half = 0; half < 2; ++half) {
      const int column = place<T>(column_of_thread(), half * kWidth<T>);
      const unsigned bits = survivors[i] >> half * kWidth<T> & kPieceBits;
      if (bits) atomicOr(&memory.by_point[row][column / kWordBits], bits << column % kWordBits);
    }
  }
  PYVAE_UNROLL for (int j = 0; j < kEach<T>; ++j) {
    const int column = place<T>(column_of_thread(), j);
    PYVAE_UNROLL for (int half = 0; half < 2; ++half) {
      const int row = place<T>(row_of_thread(), half * kWidth<T>);
      unsigned bits = 0;
      PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) bits |=
          (survivors[half * kWidth<T> + i] >> j & 1) << i;
      if (bits) atomicOr(&memory.by_component[column][row / kWordBits], bits << row % kWordBits);
    }
  }
}

// A tile of points by a tile of components a block. With kScored the chunk holds the scores, else
// they are made.
template <class T, bool kScored>
__global__ void __launch_bounds__(kThreads, 1)
    terms_kernel(const __grid_constant__ Problem problem, const __grid_constant__ Panels<T> panels,
                 Chunk<T> chunk, PointOperands operands, int64_t points, bool by_points) {
  using Memory = TermMemory<T>;
  auto& memory = shared_memory<Memory>();
  const int64_t tiles = panels.padded_k / kWide<T>, tile = blockIdx.x % tiles;
  const int64_t first = blockIdx.x / tiles * kWide<T>, column = tile * kWide<T>;
  T score[kEach<T>][kEach<T>];
  if constexpr (kScored) {
    PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) load_own(
        score[i], chunk.row(first + place<T>(row_of_thread(), i)) + column, column_of_thread());
  } else {
    WideScores<T> scores(memory.scores, panels, PointReader<T>(problem, operands.point, 0, first));
    scores.begin(tile);
    scores.score(tile, -1, score);
  }
  for (int i = int(threadIdx.x); i < kWide<T> * Memory::kWords; i += kThreads) {
    memory.by_point[i / Memory::kWords][i % Memory::kWords] = 0;
    memory.by_component[i / Memory::kWords][i % Memory::kWords] = 0;
  }
  const OwnPoints<T> own(problem, operands, first);
  const T negligible = negligible_of(memory, panels, own.lowest, by_points);
  const T lowest = lowest_of(memory);
  T cut[kEach<T>];
  bool alive[kEach<T>];
  PYVAE_UNROLL for (int j = 0; j < kEach<T>; ++j) {
    const T constant = panels.constant[column + place<T>(column_of_thread(), j)];
    alive[j] = constant != -kInfinity<T>;
    cut[j] = smaller(negligible, log_negligible_of_component(points, constant, lowest));
  }
  unsigned survivors[kEach<T>];
  int count = 0;
  PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
    survivors[i] = weigh(score[i], own.log_prob[i], own.weight[i], cut, alive);
    count += __popc(survivors[i]);
    store_own(chunk.row(first + place<T>(row_of_thread(), i)) + column, column_of_thread(),
              score[i]);
  }
  if (count) mark(memory, survivors);
  count = sum_over_lanes(count, kWarp);
  if (int(threadIdx.x) % kWarp == 0) memory.survivors[int(threadIdx.x) / kWarp] = count;
  __syncthreads();
  for (int i = int(threadIdx.x); i < kWide<T> * Memory::kWords; i += kThreads) {
    const int row = i / Memory::kWords, word = i % Memory::kWords;
    chunk.components_of(first + row)[column / kWordBits + word] = memory.by_point[row][word];
    chunk.points_of(column + row)[first / kWordBits + word] = memory.by_component[row][word];
  }
  if (threadIdx.x != 0) return;
  int total = 0;
  for (int warp = 0; warp < kWarps; ++warp) total += memory.survivors[warp];
  if (total) atomicAdd(chunk.survivors, total);
}

template <bool kScored, class T>
void make_terms(const Problem& problem, const Runtime& runtime, const Panels<T>& panels,
                const Chunk<T>& chunk, PointOperands operands, int64_t points, bool by_points) {
  launch(terms_kernel<T, kScored>, divide_up(chunk.count, kWide<T>) * (panels.padded_k / kWide<T>),
         kThreads, sizeof(TermMemory<T>), runtime.stream, problem, panels, chunk, operands, points,
         by_points);
}

}  // namespace
}  // namespace pyvae
