// SPDX-License-Identifier: MIT
// mixture_elbo_terms: E_q(z)[log N(w; mu_z, sigma_z^2)] and KL(q(z) || p(z)) in one stream over the
// components.
#pragma once

#include "common/elbo.h"
#include "common/log_sum_exp.h"
#include "tiles/workspace.h"

namespace pyvae {
namespace {

// The sums of a block, one a point; kLogits where l is not made from the scores.
template <bool kLogits, class V>
struct ElboSums {
  using T = ScalarOf<V>;
  static constexpr int kLanes = kLanesOf<V>;
  T top[kBlock], mass[kBlock], entropy[kBlock], log_weight[kBlock], density[kBlock];
  T impossible[kBlock];  // above 0: q > 0 where the weight is zero
  T dense[kBlock];       // above 0: some component has a density at the point

  ElboSums() {
    for (int n = 0; n < kBlock; ++n) {
      top[n] = -kInfinity<T>;
      mass[n] = entropy[n] = log_weight[n] = density[n] = impossible[n] = dense[n] = 0;
    }
  }

  // One chunk of kLanes points from n on: l, and the scores with their log_weights still in them.
  void add(int64_t n, const T* l, const T* score, int64_t stride, const T* log_weights,
           const T* constants, int64_t columns) {
    const V before = load<V>(top + n);
    const V after = Largest()(before, largest_of_rows<V>(l, stride, columns));
    carry(n, before, after);
    const V shift = finite_or_zero(after);
    V m[kLanes], e[kLanes], w[kLanes], s[kLanes], no[kLanes], yes[kLanes];
    for (int i = 0; i < kLanes; ++i) {
      m[i] = e[i] = w[i] = s[i] = no[i] = yes[i] = V{};
      for (int64_t c = 0; c < columns; c += kLanes) {
        const ElboShare<V> share(load<V>(l + i * stride + c) - shift[i],
                                 load<V>(score + i * stride + c), load<V>(log_weights + c),
                                 load<V>(constants + c));
        m[i] += share.mass, e[i] += share.entropy;
        w[i] += share.log_weight, s[i] += share.density;
        if constexpr (kLogits) {
          no[i] = Largest()(no[i], share.impossible);
          yes[i] = Largest()(yes[i], share.dense);
        }
      }
    }
    store<V>(top + n, after);
    gather<Add>(mass + n, m), gather<Add>(entropy + n, e), gather<Add>(log_weight + n, w);
    gather<Add>(density + n, s);
    if constexpr (kLogits) gather<Largest>(impossible + n, no), gather<Largest>(dense + n, yes);
  }

  // Turns the sums into values: of entropy into kl_z, of density into the expected log-density, of
  // the tops into the normalizer.
  void finish(int64_t n) {
    const ElboValues<V> values(totals(n), load<V>(top + n));
    store<V>(entropy + n, values.kl), store<V>(density + n, values.expected);
    store<V>(top + n, values.normalizer);
  }

 private:
  template <class Reduce>
  static void gather(T* to, V (&rows)[kLanes]) {
    store<V>(to, Reduce()(load<V>(to), fold_rows(Reduce(), rows)));
  }

  ElboTotals<V> totals(int64_t n) const {
    return {load<V>(mass + n), load<V>(entropy + n), load<V>(log_weight + n), load<V>(density + n)};
  }

  // Moves the sums of kLanes points from one maximum to the next.
  void carry(int64_t n, V before, V after) {
    ElboTotals<V> moved = totals(n);
    moved.move(before, after);
    store<V>(mass + n, moved.mass), store<V>(entropy + n, moved.entropy);
    store<V>(log_weight + n, moved.log_weight), store<V>(density + n, moved.density);
  }
};

// The strips of one worker: scores under q(w|x) (or at w) and l; the same strip where they are the
// same numbers.
template <class Source, class V>
struct ElboBlock {
  using T = ScalarOf<V>;
  static constexpr bool kTwoStrips = Source::kSample >= 0 || Source::kLogits >= 0;
  static constexpr int kRows = 2 + (Source::kSpread >= 0) * 2 + (Source::kSample >= 0) * 2;
  static constexpr int kStrips = kTwoStrips ? 2 : 1;

  const Problem& problem;
  const Components<V>& components;
  Block block;
  PointBlock<V> points, sample;
  T *scales = nullptr, *scores, *l;
  bool unreachable[kBlock];

  ElboBlock(const Problem& problem_, const Components<V>& components_, const Block& block_,
            const Scratch<V>& scratch, int first)
      : problem(problem_), components(components_), block(block_), first_(first) {
    scores = scratch.strip(block.worker);
    l = kTwoStrips ? scratch.strip(block.worker, 1) : scores;
    points.row = scratch.rows(block.worker, 0);
    points.load(source(Source::kPoint), block.first, block.count, problem.n, components);
    for (int64_t n = 0; n < block.count; ++n) unreachable[n] = points.unreachable[n];
    if constexpr (Source::kSpread >= 0) load_spread(scratch);
    if constexpr (Source::kSample >= 0) {
      sample.row = scratch.rows(block.worker, 4);
      sample.load(source(Source::kSample), block.first, block.count, problem.n, components);
      for (int64_t n = 0; n < block.count; ++n) unreachable[n] |= sample.unreachable[n];
    }
  }

  void score(const Chunk& chunk) {
    score_chunk<V>(components, points, scales, chunk, scores);
    if constexpr (Source::kSample >= 0) score_chunk<V>(components, sample, nullptr, chunk, l);
    if constexpr (Source::kLogits >= 0) {
      const Column<const T> logits(problem, first_ + Source::kLogits, block.entry);
      for (int64_t n = 0; n < block.count; ++n)
        for (int64_t c = 0; c < chunk.columns; ++c)
          l[n * kChunk<V> + c] = chunk.first + c < problem.k
                                     ? logits.at(block.first + n, chunk.first + c)
                                     : -kInfinity<T>;
    }
  }

  // A point without a density passes no gradient, and must not meet the components' numbers: 0 *
  // inf is NaN.
  void clear_point(int64_t n) {
    points.clear(n);
    if constexpr (Source::kSpread >= 0)
      clear(scales + n * components.padded_d, components.padded_d);
  }
  void clear_sample(int64_t n) {
    if constexpr (Source::kSample >= 0) sample.clear(n);
  }

 private:
  Column<const T> source(int argument) const {
    return Column<const T>(problem, first_ + argument, block.entry);
  }

  void load_spread(const Scratch<V>& scratch) {
    scales = scratch.rows(block.worker, 2);
    load_scales<V>(source(Source::kSpread), block.first, block.count, components, scales);
    const int64_t width = components.padded_d;
    for (int64_t n = 0; n < block.count; ++n) {
      bool infinite = false;  // an infinite spread leaves no density either
      for (int64_t d = 0; d < width; ++d) infinite |= scales[n * width + d] == kInfinity<T>;
      if (!infinite) continue;
      unreachable[n] = true;
      clear(scales + n * width, width);
    }
  }

  int first_;
};

// Operands: the source's arguments, log_weights, means, logvars -> expected_log_prob, kl_z,
// normalizer.
template <class Source, class V>
void elbo_forward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  constexpr int kFirst = Source::kArguments, kOut = kFirst + 3;
  const PackedMixture<V> mixture(problem, runtime, kFirst, false);
  const Schedule schedule = tile_schedule<V>(problem, runtime);
  const Scratch<V> scratch(problem, runtime, schedule, ElboBlock<Source, V>::kRows,
                           ElboBlock<Source, V>::kStrips);
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const Components<V>& components = mixture.entries[block.entry];
    ElboBlock<Source, V> work(problem, components, block, scratch, 0);
    ElboSums<(Source::kLogits >= 0), V> sums;
    for_each_chunk(components, [&](const Chunk& chunk) {
      work.score(chunk);
      for (int64_t n = 0; n < block.count; n += kLanesOf<V>)
        sums.add(n, work.l + n * kChunk<V>, work.scores + n * kChunk<V>, kChunk<V>,
                 components.log_weight + chunk.first, components.constant + chunk.first,
                 chunk.columns);
    });
    for (int64_t n = 0; n < block.count; n += kLanesOf<V>) sums.finish(n);
    const Column<T> expected(problem, kOut, block.entry), kl(problem, kOut + 1, block.entry),
        normalizer(problem, kOut + 2, block.entry);
    for (int64_t n = 0; n < block.count; ++n) {
      const bool reachable =
          !work.unreachable[n] && sums.mass[n] != 0 && (Source::kLogits < 0 || sums.dense[n] > 0);
      const bool impossible = sums.impossible[n] > 0 && sums.mass[n] == sums.mass[n];
      const T divergence = impossible ? kInfinity<T> : sums.entropy[n];
      expected.at(block.first + n) = reachable ? sums.density[n] : -kInfinity<T>;
      kl.at(block.first + n) = reachable ? divergence : T(0);
      normalizer.at(block.first + n) = reachable ? sums.top[n] : -kInfinity<T>;
    }
  });
}

}  // namespace
}  // namespace pyvae
