// SPDX-License-Identifier: MIT
// The gradients of mixture_elbo_terms.
#pragma once

#include "tiles/elbo.h"

namespace pyvae {
namespace {

template <class Source, class V>
class ElboBackward {
  using T = ScalarOf<V>;
  static constexpr int kFirst = 2, kParameters = kFirst + Source::kArguments,
                       kOut = kParameters + 3, kGradients = kOut + 3;

 public:
  ElboBackward(const Problem& problem, const Runtime& runtime)
      : problem_(problem),
        mixture_(problem, runtime, kParameters, true),
        schedule_(tile_schedule<V>(problem, runtime)),
        scratch_(problem, runtime, schedule_, ElboBlock<Source, V>::kRows,
                 ElboBlock<Source, V>::kStrips + 1),
        totals_(problem, runtime, schedule_, mixture_) {
    for_each_block(problem, runtime, schedule_, [&](const Block& block) { run(block); });
    totals_.add_up(runtime);
    write_gradients(problem, runtime, totals_, mixture_, kGradients + Source::kArguments);
  }

 private:
  void run(const Block& block) const {
    const Components<V>& components = mixture_.entries[block.entry];
    ElboBlock<Source, V> work(problem_, components, block, scratch_, kFirst);
    ComponentSums<V> sums = totals_.of_task(block.task);
    for (int64_t n = 0; n < block.count; ++n) {
      const ElboPoint<T> point(problem_, block.entry, block.first + n, kOut);
      if (!point.reachable() || !point.dense) work.clear_point(n);
      if (!point.reachable()) work.clear_sample(n);
    }
    PointGradient<V> by_point, by_sample;
    by_point.by_point = cleared(block, 1);
    if constexpr (Source::kSpread >= 0) by_point.by_spread = cleared(block, 3);
    if constexpr (Source::kSample >= 0) by_sample.by_point = cleared(block, 5);
    T* const log_weights = scratch_.strip(block.worker, ElboBlock<Source, V>::kStrips);
    for_each_chunk(components, [&](const Chunk& chunk) {
      work.score(chunk);
      for (int64_t n = 0; n < kBlock; ++n) fill(work, chunk, n, log_weights + n * kChunk<V>);
      add_rows<V>(log_weights, block.count, chunk, sums.log_weights);
      accumulate<V>({components, work.points, work.scales, chunk, work.scores}, by_point, sums);
      if constexpr (Source::kSample >= 0)
        accumulate<V>({components, work.sample, nullptr, chunk, work.l}, by_sample, sums);
      if constexpr (Source::kLogits >= 0) write_logits(work, chunk);
    });
    write_points(components, block, Source::kPoint, by_point.by_point, T(-1));
    if constexpr (Source::kSpread >= 0)
      write_points(components, block, Source::kSpread, by_point.by_spread, T(-0.5));
    if constexpr (Source::kSample >= 0)
      write_points(components, block, Source::kSample, by_sample.by_point, T(-1));
  }

  // Turns the strips of scores and l into the coefficients of the scores (and of l, where it has a
  // strip of its own).
  void fill(ElboBlock<Source, V>& work, const Chunk& chunk, int64_t n, T* by_log_weight) const {
    T *const score = work.scores + n * kChunk<V>, *const l = work.l + n * kChunk<V>;
    const int64_t at = n < work.block.count ? n : 0;
    const ElboPoint<T> point(problem_, work.block.entry, work.block.first + at, kOut);
    const bool skip = n >= work.block.count || !point.reachable();
    for (int64_t c = 0; c < chunk.columns; c += kLanesOf<V>) {
      if (skip) {
        store<V>(score + c, V{}), store<V>(l + c, V{}), store<V>(by_log_weight + c, V{});
        continue;
      }
      const int64_t k = chunk.first + c;
      const ElboCoefficients<V> by(point, load<V>(l + c), load<V>(score + c),
                                   load<V>(work.components.log_weight + k),
                                   load<V>(work.components.constant + k));
      if constexpr (ElboBlock<Source, V>::kTwoStrips) store<V>(l + c, by.by_logit);
      store<V>(score + c,
               ElboBlock<Source, V>::kTwoStrips ? by.by_score : by.by_score + by.by_logit);
      store<V>(by_log_weight + c,
               Source::kLogits >= 0 ? by.by_log_weight : by.by_log_weight + by.by_logit);
    }
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
};

template <class Source, class V>
void elbo_backward(const Problem& problem, const Runtime& runtime) {
  ElboBackward<Source, V>(problem, runtime);
}

}  // namespace
}  // namespace pyvae
