// SPDX-License-Identifier: MIT
// The coefficients of the scores under full covariances: of a chunk of the points of every batch
// entry.
#pragma once

#include "cuda/coefficients.h"
#include "cuda/full/scores.h"
#include "cuda/tuning.h"

namespace pyvae {
namespace {

template <class T>
struct Pairs {
  int64_t first = 0, count = 0;      // of the points
  int64_t components = 0, capacity;  // components of all entries; points that there is room for
  T* terms;                          // (components, capacity): zero behind the last point
  T *largest, *lowest;  // of a word of points: of the sizes of a component's terms; log_prob
  T* ratio;             // of an entry: by which 1/sigma differs over the components
  unsigned *survivors, *of_points;  // (components, words): a bit a point
  int *before, *list;  // of a component's survivors: how many are before a word; which they are
  int *survived, *first_tile;  // of a component: how many; which tile of survivors is its first

  PYVAE_HD int64_t words() const { return capacity / kWordBits; }
  PYVAE_HD int64_t used_words() const { return divide_up(count, int64_t(kWordBits)); }
};

// Where terms by points wait for their turn, there is room for those of kTurns turns at most: with
// more, few components have one at a time, and few blocks work. So many points fill a GPU, though.
inline constexpr int64_t kTurns = 4, kLeastPoints = 8192;

template <class Tile, class T = typename Tile::T>
Pairs<T> take_pairs(const Problem& problem, const Runtime& runtime, bool by_points) {
  Pairs<T> pairs;
  pairs.components = problem.batch * problem.k;
  const int64_t components = larger<int64_t>(1, pairs.components);
  const int64_t row = components * int64_t(sizeof(T) + sizeof(int));
  int64_t points = smaller(problem.n, pyvae_cuda_tuning.chunk_bytes / row);
  if (by_points) {
    const int64_t waiting = components * larger<int64_t>(1, problem.d) * int64_t(sizeof(T));
    const int64_t most = kTurns * pyvae_cuda_tuning.chunk_bytes / waiting;
    points = smaller(points, larger(most, kLeastPoints));
  }
  const int64_t tiles = divide_up(points, int64_t(Tile::kPoints));
  pairs.capacity = larger<int64_t>(1, tiles) * Tile::kPoints;
  const int64_t words = pairs.components * pairs.words();
  Carver::carve(runtime, [&](Carver& memory) {
    pairs.terms = memory.take<T>(pairs.components * pairs.capacity);
    pairs.list = memory.take<int>(pairs.components * pairs.capacity);
    pairs.largest = memory.take<T>(words);
    pairs.lowest = memory.take<T>(problem.batch * pairs.words());
    pairs.ratio = memory.take<T>(problem.batch);
    pairs.survivors = memory.take<unsigned>(words);
    pairs.of_points = memory.take<unsigned>(words);
    pairs.before = memory.take<int>(words);
    pairs.survived = memory.take<int>(pairs.components);
    pairs.first_tile = memory.take<int>(pairs.components + 1);
  });
  return pairs;
}

// What a tile of points leaves behind for a chunk. A thread has points of its own; all lanes of a
// warp come, whose points are a word.
template <class T>
class ChunkTile {
 public:
  __device__ ChunkTile(const Pairs<T>& pairs, int64_t components, int64_t entry, int64_t begin)
      : pairs_(pairs), components_(components), entry_(entry), begin_(begin) {}

  __device__ T& term(int64_t k, int n) const {
    return pairs_.terms[(entry_ * components_ + k) * pairs_.capacity + begin_ + n];
  }
  __device__ void put_term(int64_t k, int n, T found) const {
    term(k, n) = found;
    const T size = size_of(found) < kInfinity<T> ? size_of(found) : T(0);
    const T largest = largest_over_lanes(size, kWarp);
    if (writes()) pairs_.largest[(entry_ * components_ + k) * pairs_.words() + word(n)] = largest;
  }
  // Infinity where there is no density.
  __device__ void put_lowest(int n, T log_prob) const {
    const T lowest = -largest_over_lanes(-log_prob, kWarp);
    if (writes()) pairs_.lowest[entry_ * pairs_.words() + word(n)] = lowest;
  }

 private:
  __device__ int64_t word(int n) const { return (begin_ + n) / kWordBits; }
  __device__ static bool writes() { return int(threadIdx.x) % kWarp == 0; }

  const Pairs<T>& pairs_;
  const int64_t components_, entry_, begin_;
};

// A tile of points a block: the coefficients of their scores.
template <class Op, class Tile, class T = typename Tile::T>
__global__ void __launch_bounds__(kThreads, 2)
    full_terms_kernel(const __grid_constant__ Problem problem,
                      const __grid_constant__ Inverses<T> inverses,
                      const __grid_constant__ Pairs<T> pairs) {
  using State = typename Op::State;
  T* const memory = &shared_memory<T>();
  State* const states = reinterpret_cast<State*>(memory);
  Tile tile(memory + Tile::kPoints * sizeof(State) / sizeof(T), inverses);
  const int64_t tiles = divide_up(pairs.count, int64_t(Tile::kPoints)), entry = blockIdx.x / tiles,
                begin = blockIdx.x % tiles * Tile::kPoints;
  const FullParameters<T> from(problem, Op::kParameters, entry);
  const Points<T> points(problem, Op::kPoint, entry, pairs.first + begin, Tile::kPoints, tile.skip);
  const ChunkTile<T> to(pairs, problem.k, entry, begin);
  for (int n = row_of_thread(); n < Tile::kPoints; n += kSide) {
    // Rows past the last repeat it: all lanes must come.
    const State state(problem, entry, smaller(points.first + n, problem.n - 1));
    if (column_of_thread() != 0) continue;
    states[n] = state;
    tile.skip[n] = state.skips();
  }
  __syncthreads();
  if constexpr (Op::kScores) {
    tile.load(points);
    Tile::for_each_own(
        [&](int, int n) { to.put_lowest(n, points.use(n) ? states[n].log_prob : kInfinity<T>); });
  }
  for (int64_t k = 0; k < problem.k; ++k) {
    if (!inverses.alive(entry, k)) continue;
    if (Op::kScores) tile.measure(from, entry, k);
    const T constant = inverses.constant_of(entry, k);
    Tile::for_each_own([&](int, int n) {
      T term = 0;
      if (n < points.count) {
        const T score = Op::kScores ? tile.score(n, constant) : T(0);
        term = states[n]
                   .coefficients(problem, entry, points.first + n, k, T(0), score, T(0), constant)
                   .by_score;
      }
      to.put_term(k, n, term);
    });
  }
}

// The same of an EM step, whose scores wait in the place of their responsibilities until the
// log-densities are known: these are its own to write. Points of weight zero are not looked at.
template <class Op, class Tile, class T = typename Tile::T>
__global__ void __launch_bounds__(kThreads, sizeof(T) == sizeof(float) ? 2 : 1)
    full_responsibilities_kernel(const __grid_constant__ Problem problem,
                                 const __grid_constant__ Inverses<T> inverses,
                                 const __grid_constant__ Pairs<T> pairs) {
  Tile tile(&shared_memory<T>(), inverses);
  const int64_t tiles = divide_up(pairs.count, int64_t(Tile::kPoints)), entry = blockIdx.x / tiles,
                begin = blockIdx.x % tiles * Tile::kPoints;
  const FullParameters<T> from(problem, Op::kParameters, entry);
  const Points<T> points(problem, Op::kPoint, entry, pairs.first + begin, Tile::kPoints, tile.skip);
  const ChunkTile<T> to(pairs, problem.k, entry, begin);
  const Column<const T> weights(problem, Op::kWeight, entry);
  const Column<T> log_probs(problem, Op::kLogProb, entry);
  mark_unreachable(points, Tile::kPoints, problem.d, tile.skip);
  __syncthreads();
  tile.load(points);
  RunningSum<T> sum[Tile::kOwn];
  for (int64_t k = 0; k < problem.k; ++k) {
    if (!inverses.alive(entry, k)) continue;
    tile.measure(from, entry, k);
    Tile::for_each_own([&](int i, int n) {
      const T score[1] = {tile.score(n, inverses.constant_of(entry, k))};
      sum[i].add(score);
      to.term(k, n) = score[0];
    });
  }
  Tile::for_each_own([&](int i, int own) {
    const int64_t n = points.first + own;
    const bool there = own < points.count;
    const T weight = there ? weights.at(n) : T(0);
    const bool skip = weight == 0 || tile.skip[own];
    const typename Op::State state(weight, skip ? -kInfinity<T> : sum[i].own_value());
    if (there) log_probs.at(n) = state.log_prob;
    to.put_lowest(own, state.skips() ? kInfinity<T> : state.log_prob);
    for (int64_t k = 0; k < problem.k; ++k) {
      if (!inverses.alive(entry, k)) continue;
      to.put_term(
          k, own,
          state.coefficients(problem, entry, n, k, T(0), to.term(k, own), T(0), T(0)).by_score);
    }
  });
}

template <class Op, class Tile, class T = typename Tile::T>
void make_full_terms(const Problem& problem, const Runtime& runtime, const Inverses<T>& inverses,
                     const Pairs<T>& pairs) {
  const int64_t tiles = Tile::count(problem, pairs.count);
  if constexpr (Op::kMoments)
    launch(full_responsibilities_kernel<Op, Tile>, tiles, kThreads, Tile::bytes(inverses),
           runtime.stream, problem, inverses, pairs);
  else
    launch(full_terms_kernel<Op, Tile>, tiles, kThreads,
           Tile::kPoints * sizeof(typename Op::State) + Tile::bytes(inverses), runtime.stream,
           problem, inverses, pairs);
}

}  // namespace
}  // namespace pyvae
