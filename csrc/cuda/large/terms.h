// SPDX-License-Identifier: MIT
// The terms of sums over points and components: responsibilities times what the point weighs, and
// which of them are not negligible (common/negligible.h).
//
// A pair survives where it counts for its point, or for a component that has as much as one point
// of the largest weight; whether it has is asked at the end (settle.h).
#pragma once

#include "common/negligible.h"
#include "cuda/large/chunk.h"
#include "cuda/large/scores.h"
#include "cuda/large/screened_terms.h"

namespace pyvae {
namespace {

// Of two tiles of components by turns: which pairs survive, and from where on down a term of a
// component counts for nothing.
template <class T>
struct TermMemory {
  static constexpr int kWords = kWide<T> / kWordBits;
  struct Survivors {
    unsigned by_point[kWide<T>][kWords], by_component[kWide<T>][kWords];
  } survivors[2];
  T cut[2][kWide<T>];
  bool alive[2][kWide<T>];
  T lowest[kWarps], ratio[kWarps];
};

// What a thread knows of its points.
template <class T>
struct OwnPoints {
  T weight[kEach<T>], log_prob[kEach<T>];

  // Points of weight zero may be such that nobody looks at.
  __device__ OwnPoints(const Problem& problem, PointOperands operands, int64_t first,
                       bool none_of_zero) {
    const Column<const T> weights(problem, operands.weight, 0),
        log_probs(problem, operands.log_prob, 0);
    PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
      const int64_t n = first + place<T>(row_of_thread(), i);
      weight[i] = n < problem.n ? weights.at(n) : T(0);
      log_prob[i] = n < problem.n ? log_probs.at(n) : -kInfinity<T>;
      if (none_of_zero && weight[i] == 0) log_prob[i] = -kInfinity<T>;
    }
  }
  // Of the log-densities, where there is one.
  __device__ T lowest() const {
    T found = kInfinity<T>;
    PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
      if (log_prob[i] > -kInfinity<T>) found = Smallest()(found, log_prob[i]);
    }
    return found;
  }
};

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
__device__ inline void mark(typename TermMemory<T>::Survivors& memory,
                            const unsigned (&survivors)[kEach<T>]) {
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

// The terms of one tile of points, a tile of components after the other.
template <class T>
class TermTile {
 public:
  using Memory = TermMemory<T>;

  // All threads come. `points` is how many the sums of a component have; with `by_points` there are
  // sums over the components, too.
  __device__ TermTile(Memory& memory, const Problem& problem, const Panels<T>& panels,
                      const Chunk<T>& chunk, PointOperands operands, int64_t first, int64_t points,
                      bool by_points, bool none_of_zero)
      : memory_(memory),
        panels_(panels),
        chunk_(chunk),
        own_(problem, operands, first, none_of_zero),
        first_(first),
        points_(points) {
    clear(0), clear(1);
    measure(by_points);
    judge(0);
    __syncthreads();
  }

  // Scores into terms, of one tile after the other. A barrier inside.
  __device__ void add(int64_t tile, T (&score)[kEach<T>][kEach<T>]) {
    const int64_t column = tile * kWide<T>;
    const int turn = int(tile % 2);
    T cut[kEach<T>];
    bool alive[kEach<T>];
    PYVAE_UNROLL for (int j = 0; j < kEach<T>; ++j) {
      const int own = place<T>(column_of_thread(), j);
      cut[j] = memory_.cut[turn][own], alive[j] = memory_.alive[turn][own];
    }
    unsigned survivors[kEach<T>];
    int count = 0;
    PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
      survivors[i] = weigh(score[i], own_.log_prob[i], own_.weight[i], cut, alive);
      count += __popc(survivors[i]);
      store_own(chunk_.row(first_ + place<T>(row_of_thread(), i)) + column, column_of_thread(),
                score[i]);
    }
    if (count) mark<T>(memory_.survivors[turn], survivors);
    count_ += count;
    if (column + kWide<T> < panels_.padded_k) judge(tile + 1);
    __syncthreads();
    write(column, turn);
  }

  // Adds to the number of survivors.
  __device__ void finish() {
    const int count = sum_over_lanes(count_, kWarp);
    if (int(threadIdx.x) % kWarp == 0 && count) atomicAdd(chunk_.survivors, count);
  }

 private:
  static constexpr int kWords = Memory::kWords, kAllWords = kWide<T> * kWords;

  // Every thread clears, and later writes, words of its own.
  __device__ void clear(int turn) {
    typename Memory::Survivors& of = memory_.survivors[turn];
    for (int at = int(threadIdx.x); at < kAllWords; at += kThreads)
      of.by_point[at / kWords][at % kWords] = of.by_component[at / kWords][at % kWords] = 0;
  }
  __device__ void write(int64_t column, int turn) {
    const typename Memory::Survivors& of = memory_.survivors[turn];
    for (int at = int(threadIdx.x); at < kAllWords; at += kThreads) {
      const int row = at / kWords, word = at % kWords;
      chunk_.components_of(first_ + row)[column / kWordBits + word] = of.by_point[row][word];
      chunk_.points_of(column + row)[first_ / kWordBits + word] = of.by_component[row][word];
    }
    clear(turn);
  }

  // A component of the tile a thread.
  __device__ void judge(int64_t tile) {
    const int own = int(threadIdx.x), turn = int(tile % 2);
    if (own >= kWide<T>) return;
    const T constant = panels_.constant[tile * kWide<T> + own];
    memory_.alive[turn][own] = constant != -kInfinity<T>;
    memory_.cut[turn][own] =
        smaller(negligible_, log_negligible_of_component(points_, constant, lowest_, T(0)));
  }

  // From where on down a term counts for nothing to a point, and the lowest log-density.
  __device__ void measure(bool by_points) {
    T ratio = 1, lowest = -own_.lowest();
    for (int64_t d = threadIdx.x; by_points && d < panels_.padded_d; d += kThreads)
      ratio = Largest()(ratio, panels_.ratio[d]);
    ratio = largest_over_lanes(ratio, kWarp), lowest = largest_over_lanes(lowest, kWarp);
    const int warp = int(threadIdx.x) / kWarp;
    if (int(threadIdx.x) % kWarp == 0) memory_.lowest[warp] = -lowest, memory_.ratio[warp] = ratio;
    __syncthreads();
    lowest_ = kInfinity<T>;
    for (int other = 0; other < kWarps; ++other) {
      ratio = Largest()(ratio, memory_.ratio[other]);
      lowest_ = Smallest()(lowest_, memory_.lowest[other]);
    }
    negligible_ = log_negligible(ratio);
  }

  Memory& memory_;
  const Panels<T>& panels_;
  const Chunk<T>& chunk_;
  const OwnPoints<T> own_;
  const int64_t first_, points_;
  T negligible_, lowest_;
  int count_ = 0;
};

// Of kernels that make scores, and terms of them.
template <class T>
struct ScoredTermMemory {
  WideScoreMemory<T> scores;
  TermMemory<T> terms;
};

// A tile of points a block, whose log-densities are known.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    terms_kernel(const __grid_constant__ Problem problem, const __grid_constant__ Panels<T> panels,
                 const __grid_constant__ Chunk<T> chunk, PointOperands operands, int64_t points,
                 bool by_points) {
  if (chunk.screen.chosen()) return;
  auto& memory = shared_memory<ScoredTermMemory<T>>();
  const int64_t tiles = panels.padded_k / kWide<T>, first = int64_t(blockIdx.x) * kWide<T>;
  TermTile<T> terms(memory.terms, problem, panels, chunk, operands, first, points, by_points,
                    false);
  WideScores<T> scores(memory.scores, panels, PointReader<T>(problem, operands.point, 0, first));
  scores.begin(0);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    T score[kEach<T>][kEach<T>];
    scores.score(tile, tile + 1 < tiles ? tile + 1 : -1, score);
    terms.add(tile, score);
  }
  terms.finish();
}

template <class T>
void make_terms(const Problem& problem, const Runtime& runtime, const Panels<T>& panels,
                const Chunk<T>& chunk, PointOperands operands, int64_t points, bool by_points) {
  if constexpr (kScreens<T>) {
    if (chunk.screen.tried) {
      find_bounds(problem, runtime, operands.point, panels, chunk.screen, 0, chunk.count);
      make_screened_terms(problem, runtime, panels, chunk, operands, points, by_points, false);
    }
  }
  launch(terms_kernel<T>, divide_up(chunk.count, kWide<T>), kThreads, sizeof(ScoredTermMemory<T>),
         runtime.stream, problem, panels, chunk, operands, points, by_points);
}

}  // namespace
}  // namespace pyvae
