// SPDX-License-Identifier: MIT
// mixture_log_prob, mixture_posterior and mixture_predict: the log-sum-exp of the scores, and
// beside it the normalised scores themselves, or which is the largest.
#include "common/beside.h"
#include "common/most_probable.h"
#include "common/vectors.h"
#include "kernels.h"
#include "tiles/terms.h"

namespace pyvae {
namespace {

// Operands: x, log_weights, means, logvars -> [log_posterior | component,] log_prob.
template <Beside kBeside, class V>
void mixture_forward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  constexpr bool kPosterior = kBeside == Beside::kPosterior;
  const PackedMixture<V> mixture(problem, runtime, 1, false);
  const Schedule schedule = tile_schedule<V>(problem, runtime);
  const Scratch<V> scratch(problem, runtime, schedule, 1, 1);
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
    for_each_chunk(components, [&](const Chunk& chunk) {
      score_chunk<V>(components, points, nullptr, chunk, strip);
      total.add_rows(strip, kChunk<V>, chunk.columns);
      if constexpr (kBeside == Beside::kComponent)
        leading.follow_rows(total, strip, kChunk<V>, chunk.columns, chunk.first);
      if (kPosterior && !single)
        for (int64_t n = 0; n < block.count; ++n)
          log_posterior.write(block.first + n, chunk.first, strip + n * kChunk<V>, chunk.count);
    });
    const T* const values = total.finish(points.unreachable);
    if constexpr (kBeside == Beside::kComponent) leading.finish(values);
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
// these are responsibilities. Operands of the arguments start at `first`, their gradients at `out`.
template <bool kResponsibilities, class V, class Weigh, class Fill>
void mixture_backward(const Problem& problem, const Runtime& runtime, int first, int log_prob_at,
                      int out, const Weigh& weigh, const Fill& fill) {
  using T = ScalarOf<V>;
  const PackedMixture<V> mixture(problem, runtime, first + 1, true);
  const Schedule schedule = tile_schedule<V>(problem, runtime);
  const Scratch<V> scratch(problem, runtime, schedule, 2, 2);
  const TileSums<V> totals(problem, runtime, schedule, mixture);
  const Peaks<T> peaks(runtime, schedule, padded_components<V>(problem));
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
    for_each_chunk(components, [&](const Chunk& chunk) {
      Terms<V> terms(components, chunk, weights, negligible, schedule.points(),
                     peaks.of_task(block.task), sums, scratch.strip(block.worker, 0),
                     kResponsibilities ? scratch.strip(block.worker, 1) : nullptr);
      if (kResponsibilities) score_chunk<V>(components, points, nullptr, chunk, terms.strip());
      for (int64_t n = 0; n < kBlock; ++n)
        if (n < block.count && log_prob.at(block.first + n) != -kInfinity<T>)
          fill(terms, block.entry, block.first + n, n, weights);
        else
          terms.skip(n);
      terms.accumulate(components, points, nullptr, gradient, sums);
    });
    for (int64_t n = 0; by_x.data && n < block.count; ++n)
      by_x.write(block.first + n, 0, gradient.by_point + n * components.padded_d, problem.d, T(-1));
  });
  totals.add_up(runtime);
  write_gradients(problem, runtime, totals, mixture, out + 1, LogWeights::kCoefficients);
}

// Operands: the gradient of log_prob; x, log_weights, means, logvars; log_prob; then the four
// gradients.
template <class V>
void mixture_log_prob_backward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  const auto upstream = [&](int64_t entry, int64_t n) {
    return Column<T>(problem, 0, entry).at(n);
  };
  const auto fill = [&](Terms<V>& terms, int64_t entry, int64_t n, int64_t row,
                        const PointWeights<V>&) {
    terms.weigh(row, Column<T>(problem, 5, entry).at(n));
  };
  mixture_backward<true, V>(problem, runtime, 1, 5, 6, upstream, fill);
}

// Operands: the gradients of log_posterior and log_prob; the four arguments; log_posterior,
// log_prob; four gradients. What weighs a log-posterior is unbounded: no term is negligible.
template <class V>
void mixture_posterior_backward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  const PosteriorGradient<T> by{problem, 0, 1, 6};
  const auto rest = [&](int64_t entry, int64_t n) { return by.rest(entry, n); };
  const auto fill = [&](Terms<V>& terms, int64_t entry, int64_t n, int64_t row,
                        const PointWeights<V>& weights) {
    terms.take(row, [&](int64_t k) {
      return k < problem.k ? by.by_score(entry, n, k, weights.value[row]) : T(0);
    });
  };
  mixture_backward<false, V>(problem, runtime, 2, 7, 8, rest, fill);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_log_prob = {
    {mixture_forward<Beside::kNothing, Float>, mixture_forward<Beside::kNothing, Double>},
    {mixture_log_prob_backward<Float>, mixture_log_prob_backward<Double>}};
const KernelPair mixture_posterior = {
    {mixture_forward<Beside::kPosterior, Float>, mixture_forward<Beside::kPosterior, Double>},
    {mixture_posterior_backward<Float>, mixture_posterior_backward<Double>}};
const KernelPair mixture_predict = {
    {mixture_forward<Beside::kComponent, Float>, mixture_forward<Beside::kComponent, Double>}, {}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
