// SPDX-License-Identifier: MIT
// The backward pass of the mixtures with full covariances, and the sums of an EM step by the same
// kernels. With g the coefficient of a score the gradients are, as in full/density.cpp,
//   d/dx = -sum_k g W'y,   d/dmu = W' sum_n g y,   d/dL = tril(W' sum_n g y y') - diag(W) sum_n g.
#pragma once

#include "cuda/full/sums.h"

namespace pyvae {
namespace {

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

// The sums of every component and part, and the gradients by points where they are wanted: a chunk
// of points after the other, and of its survivors as many tiles as there is memory for.
template <class Op, class T = typename Op::Number>
class FullBackward {
 public:
  FullBackward(const Problem& problem, const Runtime& runtime, const Inverses<T>& inverses)
      : problem_(problem), runtime_(runtime), inverses_(inverses) {
    const int64_t components = problem.batch * problem.k;
    const int64_t bytes = FullSums::footprint(problem.d) * int64_t(sizeof(double));
    const int64_t most = smaller(kManyBlocks, kPartialSumBytes / bytes);
    parts_ = smaller(divide_up(problem.n, kSlab<T>), most / larger<int64_t>(1, components));
    parts_ = larger<int64_t>(1, parts_);
    partial_ = take<double>(runtime, components * parts_ * FullSums::footprint(problem.d));
  }

  int64_t parts() const { return parts_; }
  double* run() {
    with_tile<T>(problem_, [&]<class Tile>(std::type_identity<Tile>) { run_tiles<Tile>(); });
    return partial_;
  }

 private:
  // Blocks among which the survivors of all components are divided: as components have more or
  // fewer of them, several a multiprocessor.
  static constexpr int64_t kManyBlocks = 4 * kFullGrid;

  bool by_points() const { return Op::kByPoint >= 0 && problem_.operand[Op::kByPoint].data; }

  template <class Tile>
  void run_tiles() {
    Pairs<T> pairs = take_pairs<Tile>(problem_, runtime_, by_points());
    if (Op::kScores)
      launch(ratio_kernel<T>, problem_.batch, kThreads, kWarps * sizeof(T), runtime_.stream,
             inverses_, pairs.ratio);
    const int64_t tile = kSlab<T> * inverses_.padded_d, each = divide_up(pairs.capacity, kSlab<T>);
    const int64_t tiles = larger<int64_t>(1, pairs.components * each);
    int64_t at_once = tiles;
    if (by_points())
      at_once = smaller(
          tiles, pyvae_cuda_tuning.chunk_bytes / (larger<int64_t>(1, tile) * int64_t(sizeof(T))));
    at_once = larger<int64_t>(1, at_once);
    T* const terms = by_points() ? take<T>(runtime_, at_once * tile) : nullptr;
    do {
      pairs.count = smaller(pairs.capacity, problem_.n - pairs.first);
      find_pairs<Op, Tile>(problem_, runtime_, inverses_, pairs);
      for (int64_t begin = 0; begin < tiles; begin += at_once)
        sum<Tile>(pairs, {begin, begin + at_once, terms});
      pairs.first += pairs.capacity;
    } while (pairs.first < problem_.n);
  }

  template <class Tile>
  void sum(const Pairs<T>& pairs, const TileRange<T>& range) const {
    using Pair = PairTile<T, Tile::kSlabs == 1 ? 4 : 2>;
    launch(full_sums_kernel<Pair, Op::kMoments>, pairs.components * parts_, kThreads,
           Pair::bytes(inverses_), runtime_.stream, problem_, inverses_, pairs, range, Op::kPoint,
           Op::kParameters, parts_, pairs.first == 0 && range.begin == 0, partial_);
    if (by_points())
      launch(full_points_kernel<T>, problem_.batch * pairs.used_words(), kThreads,
             sizeof(PointMemory), runtime_.stream, problem_, inverses_, pairs, range, Op::kByPoint);
  }

  const Problem& problem_;
  const Runtime& runtime_;
  const Inverses<T>& inverses_;
  int64_t parts_;
  double* partial_;
};

}  // namespace
}  // namespace pyvae
