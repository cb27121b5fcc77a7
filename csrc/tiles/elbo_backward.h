// SPDX-License-Identifier: MIT
// The gradients of mixture_elbo_terms.
#pragma once

#include "tiles/elbo.h"
#include "tiles/terms.h"

namespace pyvae {
namespace {

template <class Source, class V>
class ElboBackward {
  using T = ScalarOf<V>;
  static constexpr int kFirst = 2, kParameters = kFirst + Source::kArguments,
                       kOut = kParameters + 3, kGradients = kOut + 3;
  // Terms of a point are bounded by its responsibilities, unless it is sampled or has logits.
  static constexpr bool kBounded = !ElboBlock<Source, V>::kTwoStrips;
  static constexpr int kLogWeights = ElboBlock<Source, V>::kStrips, kOfPoints = kLogWeights + 1,
                       kStrips = kOfPoints + kBounded;

 public:
  ElboBackward(const Problem& problem, const Runtime& runtime)
      : problem_(problem),
        mixture_(problem, runtime, kParameters, true),
        schedule_(tile_schedule<V>(problem, runtime)),
        scratch_(problem, runtime, schedule_, ElboBlock<Source, V>::kRows, kStrips),
        totals_(problem, runtime, schedule_, mixture_),
        peaks_(runtime, schedule_, padded_components<V>(problem)) {
    for_each_block(problem, runtime, schedule_, [&](const Block& block) { run(block); });
    totals_.add_up(runtime);
    write_gradients(problem, runtime, totals_, mixture_, kGradients + Source::kArguments,
                    LogWeights::kTheirOwn);
  }

 private:
  void run(const Block& block) const {
    const Components<V>& components = mixture_.entries[block.entry];
    ElboBlock<Source, V> work(problem_, components, block, scratch_, kFirst);
    ComponentSums<V> sums = totals_.of_task(block.task);
    PointWeights<V> weights;
    for (int64_t n = 0; n < block.count; ++n) {
      const ElboPoint<T> point(problem_, block.entry, block.first + n, kOut);
      weights.set(n, size_of(point.by_expected) + size_of(point.by_kl), point.normalizer);
      if (!point.reachable() || !point.dense) work.clear_point(n);
      if (!point.reachable()) work.clear_sample(n);
    }
    weights.finish();
    PointGradient<V> by_point, by_sample;
    by_point.by_point = cleared(block, 1);
    if constexpr (Source::kSpread >= 0) by_point.by_spread = cleared(block, 3);
    if constexpr (Source::kSample >= 0) by_sample.by_point = cleared(block, 5);
    for_each_chunk(components, [&](const Chunk& chunk) {
      work.score(chunk);
      if constexpr (kBounded)
        add_bounded(work, chunk, weights, by_point, sums);
      else
        add_all(work, chunk, by_point, by_sample, sums);
      if constexpr (Source::kLogits >= 0) write_logits(work, chunk);
    });
    write_points(components, block, Source::kPoint, by_point.by_point, T(-1));
    if constexpr (Source::kSpread >= 0)
      write_points(components, block, Source::kSpread, by_point.by_spread, T(-0.5));
    if constexpr (Source::kSample >= 0)
      write_points(components, block, Source::kSample, by_sample.by_point, T(-1));
  }

  ElboPoint<T> point_of(const ElboBlock<Source, V>& work, int64_t n) const {
    return ElboPoint<T>(problem_, work.block.entry, work.block.first + n, kOut);
  }
  static ElboCoefficients<V> coefficients(const ElboBlock<Source, V>& work, const Chunk& chunk,
                                          const ElboPoint<T>& point, int64_t n, int64_t c) {
    return ElboCoefficients<V>(point, load<V>(work.l + n * kChunk<V> + c),
                               load<V>(work.scores + n * kChunk<V> + c),
                               load<V>(work.components.log_weight + chunk.first + c),
                               load<V>(work.components.constant + chunk.first + c));
  }

  // Turns the scores into their coefficients and adds these up, without what is negligible.
  void add_bounded(ElboBlock<Source, V>& work, const Chunk& chunk, const PointWeights<V>& weights,
                   const PointGradient<V>& by_point, ComponentSums<V>& sums) const {
    const int64_t worker = work.block.worker;
    T* const log_weights = scratch_.strip(worker, kLogWeights);
    // A spread is weighed by the square of 1/sigma.
    const T ratio = work.components.scale_ratio;
    const T negligible = log_negligible(Source::kSpread >= 0 ? ratio * ratio : ratio);
    Terms<V> terms(work.components, chunk, weights, negligible, schedule_.points(),
                   peaks_.of_task(work.block.task), sums, work.scores,
                   scratch_.strip(worker, kOfPoints));
    for (int64_t n = 0; n < kBlock; ++n) {
      const bool inside = n < work.block.count;
      const ElboPoint<T> point = point_of(work, inside ? n : 0);
      if (!inside || !point.reachable()) {
        terms.skip(n), clear(log_weights + n * kChunk<V>, chunk.columns);
        continue;
      }
      terms.begin(n);
      for (int64_t c = 0; c < chunk.columns; c += kLanesOf<V>) {
        const V log_share = load<V>(work.l + n * kChunk<V> + c) - point.normalizer;
        const auto choice = terms.choose(n, c, log_share);
        V by_score{}, by_log_weight{};
        if (choice.kept) {
          const ElboCoefficients<V> by = coefficients(work, chunk, point, n, c);
          by_score = by.by_score + by.by_logit, by_log_weight = by.by_log_weight + by.by_logit;
        }
        terms.put(n, c, choice, by_score);
        terms.put(log_weights, n, c, choice.left_out, by_log_weight);
      }
      terms.end(n);
    }
    add_rows<V>(log_weights, work.block.count, chunk, sums.log_weights);
    terms.accumulate(work.components, work.points, work.scales, by_point, sums);
  }

  // Turns the strips of scores and l into the coefficients of each, and adds these up.
  void add_all(ElboBlock<Source, V>& work, const Chunk& chunk, const PointGradient<V>& by_point,
               const PointGradient<V>& by_sample, ComponentSums<V>& sums) const {
    T* const log_weights = scratch_.strip(work.block.worker, kLogWeights);
    for (int64_t n = 0; n < kBlock; ++n) {
      const bool inside = n < work.block.count;
      const ElboPoint<T> point = point_of(work, inside ? n : 0);
      for (int64_t c = 0; c < chunk.columns; c += kLanesOf<V>) {
        const int64_t at = n * kChunk<V> + c;
        if (!inside || !point.reachable()) {
          store<V>(work.scores + at, V{}), store<V>(work.l + at, V{});
          store<V>(log_weights + at, V{});
          continue;
        }
        const ElboCoefficients<V> by = coefficients(work, chunk, point, n, c);
        store<V>(work.l + at, by.by_logit), store<V>(work.scores + at, by.by_score);
        store<V>(log_weights + at,
                 Source::kLogits >= 0 ? by.by_log_weight : by.by_log_weight + by.by_logit);
      }
    }
    const int64_t count = work.block.count;
    add_rows<V>(log_weights, count, chunk, sums.log_weights);
    accumulate<V>(work.components, work.points, work.scales, chunk, work.scores, by_point, sums);
    if constexpr (Source::kSample >= 0)
      accumulate<V>(work.components, work.sample, nullptr, chunk, work.l, by_sample, sums);
  }

  T* cleared(const Block& block, int index) const {
    T* const rows = scratch_.rows(block.worker, index);
    clear(rows, scratch_.row_size);
    return rows;
  }

  void write_points(const Components<V>& components, const Block& block, int argument,
                    const T* rows, T factor) const {
    const Column<T> to(problem_, kGradients + argument, block.entry);
    for (int64_t n = 0; to.data && n < block.count; ++n)
      to.write(block.first + n, 0, rows + n * components.padded_d, problem_.d, factor);
  }

  void write_logits(const ElboBlock<Source, V>& work, const Chunk& chunk) const {
    const Column<T> to(problem_, kGradients + Source::kLogits, work.block.entry);
    for (int64_t n = 0; to.data && n < work.block.count; ++n)
      to.write(work.block.first + n, chunk.first, work.l + n * kChunk<V>, chunk.count);
  }

  const Problem& problem_;
  const PackedMixture<V> mixture_;
  const Schedule schedule_;
  const Scratch<V> scratch_;
  const TileSums<V> totals_;
  const Peaks<T> peaks_;
};

template <class Source, class V>
void elbo_backward(const Problem& problem, const Runtime& runtime) {
  ElboBackward<Source, V>(problem, runtime);
}

}  // namespace
}  // namespace pyvae
