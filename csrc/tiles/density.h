// SPDX-License-Identifier: MIT
// The density of a mixture: the log-sum-exp of the scores, and beside it the normalised scores
// themselves, which is the largest, or which count.
#pragma once

#include "common/beside.h"
#include "common/most_probable.h"
#include "tiles/recall.h"

namespace pyvae {
namespace {

// Operands: x, log_weights, means, logvars -> [log_posterior | component,] log_prob[, lists].
template <Beside kBeside, class V>
void mixture_forward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  constexpr bool kPosterior = kBeside == Beside::kPosterior, kListing = kBeside == Beside::kLists;
  const PackedMixture<V> mixture(problem, runtime, 1, kListing);
  const Schedule schedule = tile_schedule<V>(problem, runtime);
  const Scratch<V> scratch(problem, runtime, schedule, 1, 1);
  int* const resting = allocate<int>(runtime, schedule.tasks);
  for (int64_t task = 0; task < schedule.tasks; ++task) resting[task] = 0;
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const Components<V>& components = mixture.entries[block.entry];
    const Column<T> log_posterior(problem, 4, block.entry),
        log_prob(problem, log_prob_operand(kBeside), block.entry);
    T* const strip = scratch.strip(block.worker);
    const bool single = components.panels <= kChunkPanels;  // the strip holds all scores
    PointBlock<V> points;
    points.row = scratch.rows(block.worker, 0);
    points.load(Column<const T>(problem, 0, block.entry), block.first, block.count, problem.n,
                components);
    T top[kBlock], sum[kBlock], best[kBlock];
    LogSumExp<V> total{top, sum, padded_count<V>(block.count)};
    total.clear();
    const MostProbable<V> leading{best, {problem, 4, block.entry}, block.first, block.count};
    if constexpr (kBeside == Beside::kComponent) leading.clear();
    GrowingList<V> growing[kListing ? kBlock : 1];
    const Lists<V> lists(log_negligible(components.scale_ratio), problem.k,
                         kListing ? block.count : 0, growing, resting[block.task]);
    for_each_chunk(components, [&](const Chunk& chunk) {
      score_chunk<V>(components, points, nullptr, chunk, strip);
      total.add_rows(strip, kChunk<V>, chunk.columns);
      if constexpr (kBeside == Beside::kComponent)
        leading.follow_rows(total, strip, kChunk<V>, chunk.columns, chunk.first);
      if constexpr (kListing)
        lists.follow_rows(total, strip, kChunk<V>, chunk.columns, chunk.first);
      if (kPosterior && !single)
        for (int64_t n = 0; n < block.count; ++n)
          log_posterior.write(block.first + n, chunk.first, strip + n * kChunk<V>, chunk.count);
    });
    const T* const values = total.finish(points.unreachable);
    if constexpr (kBeside == Beside::kComponent) leading.finish(values);
    if constexpr (kListing)
      lists.finish(values, ListColumns<T>(problem, 5, block.entry), block.first);
    for (int64_t n = 0; n < block.count; ++n) {
      log_prob.at(block.first + n) = values[n];
      if (kPosterior && single) {
        normalise(strip + n * kChunk<V>, problem.k, values[n]);
        log_posterior.write(block.first + n, 0, strip + n * kChunk<V>, problem.k);
      } else if (kPosterior) {
        normalise_row(log_posterior, block.first + n, problem.k, values[n]);
      }
    }
  });
}

// What the two backward passes share: `weigh(entry, n)` gives a number a point, and `fill(terms,
// entry, first, n, weights)` makes the row of point first + n of a chunk of terms: of scores, where
// these are responsibilities. Operands of the arguments start at `first`, their gradients at `out`;
// there may be lists.
template <bool kResponsibilities, class V, class Weigh, class Fill>
void mixture_backward(const Problem& problem, const Runtime& runtime, int first, int log_prob_at,
                      int lists_at, int out, const Weigh& weigh, const Fill& fill) {
  using T = ScalarOf<V>;
  const PackedMixture<V> mixture(problem, runtime, first + 1, true);
  const Schedule schedule = tile_schedule<V>(problem, runtime);
  const int more = lists_at == kNoLists ? 0 : 1;  // rows and a strip
  const Scratch<V> scratch(problem, runtime, schedule, 2 + more, 2 + more);
  const TileSums<V> totals(problem, runtime, schedule, mixture);
  const Peaks<T> peaks(runtime, schedule, padded_components<V>(problem));
  const Recalled<V> recalled(
      problem, runtime, schedule, log_prob_at, lists_at, weigh,
      [&](int64_t entry) { return log_negligible(mixture.entries[entry].scale_ratio); },
      [&](int64_t entry) { return mixture.entries[entry].constant; });
  recalled.raise(schedule, peaks);
  const OpenComponents<V> open(problem, runtime, schedule, mixture, recalled);
  for (int64_t worker = 0; recalled.has_lists() && worker < schedule.workers; ++worker)
    clear(scratch.strip(worker, 1 + more), kBlock * kChunk<V>);
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const Components<V>& components = mixture.entries[block.entry];
    const Column<T> log_prob(problem, log_prob_at, block.entry), by_x(problem, out, block.entry);
    PointBlock<V> points;
    points.row = scratch.rows(block.worker, 0);
    points.load(Column<const T>(problem, first, block.entry), block.first, block.count, problem.n,
                components);
    PointGradient<V> gradient;
    if (by_x.data) {
      gradient.by_point = scratch.rows(block.worker, 1);
      clear(gradient.by_point, scratch.row_size);
    }
    PointWeights<V> weights;
    for (int64_t n = 0; n < block.count; ++n) {
      weights.set(n, weigh(block.entry, block.first + n), log_prob.at(block.first + n));
      if (log_prob.at(block.first + n) == -kInfinity<T>) points.clear(n);
    }
    weights.finish();
    const T negligible = log_negligible(components.scale_ratio);
    ComponentSums<V> sums = totals.of_task(block.task);
    RecalledBlock<V> here(recalled, block, components, points, weights, log_prob,
                          scratch.rows(block.worker, 1 + more));
    const auto fill_all = [&](Terms<V>& terms) {
      for (int64_t n = 0; n < kBlock; ++n)
        if (n < block.count && log_prob.at(block.first + n) != -kInfinity<T>)
          fill(terms, block.entry, block.first + n, n, weights);
        else
          terms.skip(n);
    };
    for_each_chunk(components, [&](const Chunk& chunk) {
      if (here.accumulate(components, points, chunk, gradient, sums,
                          scratch.strip(block.worker, 1 + more), scratch.strip(block.worker, 0)))
        return;
      Terms<V> terms(components, chunk, weights, negligible, schedule.points(),
                     peaks.of_task(block.task), sums, scratch.strip(block.worker, 0),
                     kResponsibilities ? scratch.strip(block.worker, 1) : nullptr);
      if (kResponsibilities) score_chunk<V>(components, points, nullptr, chunk, terms.strip());
      fill_all(terms);
      terms.accumulate(components, points, nullptr, gradient, sums);
    });
    open.accumulate(block, points, weights, negligible, scratch.strip(block.worker, 0), fill_all);
    for (int64_t n = 0; by_x.data && n < block.count; ++n)
      by_x.write(block.first + n, 0, gradient.by_point + n * components.padded_d, problem.d, T(-1));
  });
  totals.add_up(runtime);
  open.replace(problem, runtime, totals);
  write_gradients(problem, runtime, totals, mixture, out + 1, LogWeights::kCoefficients);
}

}  // namespace
}  // namespace pyvae
