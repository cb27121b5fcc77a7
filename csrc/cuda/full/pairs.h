// SPDX-License-Identifier: MIT
// Which pairs of a point and a component count under full covariances: lists of the points of each
// component.
//
// A pair survives where it counts for its point, or for its component beside the largest term that
// this has in the chunk (common/negligible.h). A point's sum takes only the former, so that it does
// not depend on the points beside.
#pragma once

#include "common/negligible.h"
#include "cuda/full/terms.h"

namespace pyvae {
namespace {

// An entry a block: the most that 1/sigma of a coordinate, given the others, differs by over the
// factors in use; infinite where one is.
template <class T>
__global__ void __launch_bounds__(kThreads)
    ratio_kernel(const __grid_constant__ Inverses<T> inverses, T* ratio) {
  struct Memory {
    T of_warp[kWarps];
  };
  auto& memory = shared_memory<Memory>();
  const int64_t entry = blockIdx.x;
  T most = 1;
  for (int64_t j = threadIdx.x; j < inverses.d; j += kThreads) {
    T low = kInfinity<T>, high = 0;
    for (int64_t k = 0; k < inverses.factors; ++k) {
      if (inverses.factors > 1 && !inverses.alive(entry, k)) continue;
      const T square = inverses.squares[inverses.factor_of(entry, k) * inverses.d + j];
      low = smaller(low, square), high = larger(high, square);
    }
    if (high > 0) most = larger(most, high / low);
  }
  most = largest_of_block(most, memory.of_warp);
  if (threadIdx.x == 0) ratio[entry] = exp(T(0.5) * log(most));
}

// Words of a component that a block marks: a few for each of its warps.
inline constexpr int kWordsEach = 8, kBlockWords = kWarps * kWordsEach;

// Which pairs survive. A component and some of its words a block.
template <class Op, class T>
__global__ void __launch_bounds__(kThreads)
    mark_kernel(const __grid_constant__ Problem problem,
                const __grid_constant__ Inverses<T> inverses, Pairs<T> pairs, int64_t blocks) {
  struct Memory {
    T of_warp[kWarps];
  };
  auto& memory = shared_memory<Memory>();
  const int64_t component = blockIdx.x / blocks, words = pairs.used_words();
  const int64_t entry = component / problem.k, k = component % problem.k;
  const T constant = inverses.constant_of(entry, k);
  T of_point = 0, of_component = 0;
  if (Op::kScores) {  // what else weighs a term is unbounded, and nothing is left out
    T largest = 0, lowest = -kInfinity<T>;
    for (int64_t i = threadIdx.x; i < words; i += kThreads) {
      largest = Largest()(largest, pairs.largest[component * pairs.words() + i]);
      lowest = Largest()(lowest, -pairs.lowest[entry * pairs.words() + i]);
    }
    largest = largest_of_block(largest, memory.of_warp);
    lowest = -largest_of_block(lowest, memory.of_warp);
    of_point = exp(log_negligible(pairs.ratio[entry]));
    of_component =
        largest * exp(log_negligible_of_component(problem.n, constant, lowest, T(log(largest))));
  }
  const Column<const T> weights(problem, 0, entry);
  const int lane = int(threadIdx.x) % kWarp;
  const int64_t first = blockIdx.x % blocks * kBlockWords + int(threadIdx.x) / kWarp * kWordsEach;
  T term[kWordsEach], weight[kWordsEach];
  PYVAE_UNROLL for (int i = 0; i < kWordsEach; ++i) {
    const int64_t n = (first + i) * kWordBits + lane;
    const bool there = constant != -kInfinity<T> && n < pairs.count;
    term[i] = there ? pairs.terms[component * pairs.capacity + n] : T(0);
    weight[i] = there && Op::kScores ? weights.at(pairs.first + n) : T(0);
  }
  PYVAE_UNROLL for (int i = 0; i < kWordsEach; ++i) {
    const T size = size_of(term[i]);  // NaN survives every comparison
    const bool of_points = term[i] != 0 && !(size < of_point * size_of(weight[i]));
    const bool survives = term[i] != 0 && (of_points || !(size < of_component));
    const unsigned point_bits = __ballot_sync(kAllLanes, of_points);
    const unsigned bits = __ballot_sync(kAllLanes, survives);
    if (lane != 0 || first + i >= words) continue;
    pairs.of_points[component * pairs.words() + first + i] = point_bits;
    pairs.survivors[component * pairs.words() + first + i] = bits;
  }
}

// The sum of what the threads before have. Barriers before and behind.
__device__ inline int sum_before(int own, int (&of_thread)[kThreads], int& total) {
  __syncthreads();
  of_thread[threadIdx.x] = own;
  __syncthreads();
  for (int gap = 1; gap < kThreads; gap *= 2) {
    const int other = int(threadIdx.x) >= gap ? of_thread[threadIdx.x - gap] : 0;
    __syncthreads();
    of_thread[threadIdx.x] += other;
    __syncthreads();
  }
  total = of_thread[kThreads - 1];
  return of_thread[threadIdx.x] - own;
}

struct CountMemory {
  int of_thread[kThreads];
};

// Lists the survivors of a component, in the order of the points. A component a block.
template <class T>
__global__ void __launch_bounds__(kThreads) list_kernel(Pairs<T> pairs) {
  auto& memory = shared_memory<CountMemory>();
  const int64_t row = blockIdx.x * pairs.words();
  const Range mine = share(pairs.used_words(), threadIdx.x, kThreads);
  int own = 0, total = 0;
  for (int64_t word = mine.begin; word < mine.end; ++word)
    own += __popc(pairs.survivors[row + word]);
  int at = sum_before(own, memory.of_thread, total);
  if (threadIdx.x == 0) pairs.survived[blockIdx.x] = total;
  for (int64_t word = mine.begin; word < mine.end; ++word) {
    pairs.before[row + word] = at;
    for (unsigned bits = pairs.survivors[row + word]; bits; bits &= bits - 1)
      pairs.list[blockIdx.x * pairs.capacity + at++] = int(word * kWordBits) + __ffs(int(bits)) - 1;
  }
}

// Where the tiles of every component begin. One block.
template <class T>
__global__ void __launch_bounds__(kThreads) first_tiles_kernel(Pairs<T> pairs) {
  auto& memory = shared_memory<CountMemory>();
  const Range mine = share(pairs.components, threadIdx.x, kThreads);
  const auto tiles_of = [&](int64_t i) { return divide_up(pairs.survived[i], kSlab<T>); };
  int own = 0, total = 0;
  for (int64_t i = mine.begin; i < mine.end; ++i) own += tiles_of(i);
  int at = sum_before(own, memory.of_thread, total);
  for (int64_t i = mine.begin; i < mine.end; ++i) pairs.first_tile[i] = at, at += tiles_of(i);
  if (threadIdx.x == 0) pairs.first_tile[pairs.components] = total;
}

// The pairs of a chunk of points that survive.
template <class Op, class Tile, class T = typename Tile::T>
void find_pairs(const Problem& problem, const Runtime& runtime, const Inverses<T>& inverses,
                const Pairs<T>& pairs) {
  make_full_terms<Op, Tile>(problem, runtime, inverses, pairs);
  const int64_t blocks = divide_up(pairs.used_words(), int64_t(kBlockWords));
  launch(mark_kernel<Op, T>, pairs.components * blocks, kThreads, kWarps * sizeof(T),
         runtime.stream, problem, inverses, pairs, blocks);
  launch(list_kernel<T>, pairs.components, kThreads, sizeof(CountMemory), runtime.stream, pairs);
  launch(first_tiles_kernel<T>, 1, kThreads, sizeof(CountMemory), runtime.stream, pairs);
}

}  // namespace
}  // namespace pyvae
