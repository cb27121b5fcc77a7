// SPDX-License-Identifier: MIT
// mixture_log_prob_tril, mixture_posterior_tril and mixture_predict_tril.
//
// With y = W (x - mu), W = L^-1, and g the coefficient of a score, the gradients are
//   d/dx = -sum_k g W'y,   d/dmu = W' sum_n g y,   d/dL = tril(W' sum_n g y y') - diag(W) sum_n g.
#include "common/beside.h"
#include "common/most_probable.h"
#include "common/vectors.h"
#include "full/scores.h"
#include "full/sums.h"
#include "kernels.h"

namespace pyvae {
namespace {

// Operands: x, log_weights, means, scale_trils -> [log_posterior | component,] log_prob.
template <Beside kBeside, class V>
void full_forward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  constexpr bool kPosterior = kBeside == Beside::kPosterior;
  const PackedFullMixture<V> mixture(problem, runtime, 1, false);
  const Schedule schedule = full_schedule<V>(problem, runtime);
  const FullScratch<V> scratch(problem, runtime, schedule, 1, kChunkComponents + 3);
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const FullComponents<V>& components = mixture.entries[block.entry];
    const Slab<V> slab = load_slab<V>(problem, block, scratch, 0);
    const Column<T> log_posterior(problem, 4, block.entry),
        log_prob(problem, log_prob_operand(kBeside), block.entry);
    LogSumExp<V> total{scratch.strip(block.worker, kChunkComponents),
                       scratch.strip(block.worker, kChunkComponents + 1), slab.points()};
    total.clear();
    const MostProbable<V> leading{scratch.strip(block.worker, kChunkComponents + 2),
                                  {problem, 4, block.entry},
                                  block.first,
                                  block.count};
    if constexpr (kBeside == Beside::kComponent) leading.clear();
    for (int64_t first = 0; first < problem.k; first += kChunkComponents) {
      const int64_t rows = smaller<int64_t>(kChunkComponents, problem.k - first);
      for (int64_t r = 0; r < rows; ++r)
        score_component<V>(components, first + r, slab, scratch.gap(block.worker), nullptr,
                           scratch.strip(block.worker, r));
      total.add_columns(scratch.strip(block.worker, 0), schedule.block, rows);
      if constexpr (kBeside == Beside::kComponent)
        leading.follow_columns(total, scratch.strip(block.worker, 0), schedule.block, first);
      for (int64_t n = 0; kPosterior && n < block.count; ++n)
        for (int64_t r = 0; r < rows; ++r)
          log_posterior.at(block.first + n, first + r) = scratch.strip(block.worker, r)[n];
    }
    const T* const values = total.finish(slab.unreachable);
    if constexpr (kBeside == Beside::kComponent) leading.finish(values);
    for (int64_t n = 0; n < block.count; ++n) {
      log_prob.at(block.first + n) = values[n];
      if constexpr (kPosterior) normalise_row(log_posterior, block.first + n, problem.k, values[n]);
    }
  });
}

// What the two backward passes share: `weigh(entry, n)` gives a number a point, and `fill(entry, n,
// weight, k, score)` the coefficient of a score. Operands of the arguments start at `first`, their
// gradients at `out`.
template <class V, class Weigh, class Fill>
void full_backward(const Problem& problem, const Runtime& runtime, int first, int log_prob_at,
                   int out, const Weigh& weigh, const Fill& fill) {
  using T = ScalarOf<V>;
  enum { kX, kY, kWeighted, kByX, kSlabs };
  const bool wants_x = problem.operand[out].data, wants_factors = problem.operand[out + 3].data;
  const PackedFullMixture<V> mixture(problem, runtime, first + 1, wants_x);
  const Schedule schedule = full_schedule<V>(problem, runtime);
  const FullScratch<V> scratch(problem, runtime, schedule, kSlabs, 3);
  const FullTaskSums<V> sums(problem, runtime, schedule, mixture);
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const FullComponents<V>& components = mixture.entries[block.entry];
    Slab<V> slab = load_slab<V>(problem, block, scratch, first);
    const Column<T> log_prob(problem, log_prob_at, block.entry), by_x(problem, out, block.entry);
    T* const coefficient = scratch.strip(block.worker, 0);
    T* const weight = scratch.strip(block.worker, 1);
    T* const normalizer = scratch.strip(block.worker, 2);
    T *const y = scratch.slab(block.worker, kY),
             *const weighted = scratch.slab(block.worker, kWeighted),
             *const gradient = scratch.slab(block.worker, kByX);
    clear(gradient, slab.d * slab.points());
    for (int64_t n = 0; n < slab.points(); ++n) {
      normalizer[n] = n < block.count ? log_prob.at(block.first + n) : -kInfinity<T>;
      weight[n] = n < block.count ? weigh(block.entry, block.first + n) : T(0);
      if (normalizer[n] == -kInfinity<T>) slab.clear(n);
    }
    const FullSums<V> total = sums.of_task(block.task);
    for (int64_t k = 0; k < problem.k; ++k) {
      if (!components.alive(k)) continue;
      score_component<V>(components, k, slab, scratch.gap(block.worker), y, coefficient);
      fill(block, slab, k, weight, normalizer, coefficient);
      if (all_zero(coefficient, slab.points())) continue;
      weigh_slab<V>(slab, y, coefficient, weighted);
      total.add(slab, k, components.factor_of(k), coefficient, weighted,
                wants_factors ? y : nullptr);
      for (int64_t g = 0; wants_x && g < slab.groups; ++g)
        add_transposed<V>(components, components.factor_of(k), weighted + slab.group(g),
                          gradient + slab.group(g));
    }
    for (int64_t n = 0; wants_x && n < block.count; ++n)
      for (int64_t i = 0; i < problem.d; ++i)
        by_x.at(block.first + n, i) = -gradient[slab.at(n) + i * kGroupPoints<V>];
  });
  sums.add_up(runtime);
  write_gradients(problem, runtime, sums, mixture, out + 1);
}

// Operands: the gradient of log_prob; x, log_weights, means, scale_trils; log_prob; then the four
// gradients.
template <class V>
void full_log_prob_backward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  const auto upstream = [&](int64_t entry, int64_t n) {
    return Column<T>(problem, 0, entry).at(n);
  };
  const auto fill = [&](const Block&, const Slab<V>& slab, int64_t, const T* weight,
                        const T* normalizer, T* row) {
    for (int64_t n = 0; n < slab.points(); n += kLanesOf<V>) {
      const V log_prob = load<V>(normalizer + n);
      const V found = load<V>(weight + n) * exp_of_gap(load<V>(row + n) - log_prob);
      store<V>(row + n, log_prob == splat<V>(-kInfinity<T>) ? V{} : found);
    }
  };
  full_backward<V>(problem, runtime, 1, 5, 6, upstream, fill);
}

// Operands: the gradients of log_posterior and log_prob; the four arguments; log_posterior,
// log_prob; four gradients.
template <class V>
void full_posterior_backward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  const PosteriorGradient<T> by{problem, 0, 1, 6};
  const auto rest = [&](int64_t entry, int64_t n) { return by.rest(entry, n); };
  const auto fill = [&](const Block& block, const Slab<V>& slab, int64_t k, const T* weight,
                        const T* normalizer, T* row) {
    for (int64_t n = 0; n < slab.points(); ++n)
      row[n] = normalizer[n] == -kInfinity<T>
                   ? T(0)
                   : by.by_score(block.entry, block.first + n, k, weight[n]);
  };
  full_backward<V>(problem, runtime, 2, 7, 8, rest, fill);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_log_prob_tril = {
    {full_forward<Beside::kNothing, Float>, full_forward<Beside::kNothing, Double>},
    {full_log_prob_backward<Float>, full_log_prob_backward<Double>}};
const KernelPair mixture_posterior_tril = {
    {full_forward<Beside::kPosterior, Float>, full_forward<Beside::kPosterior, Double>},
    {full_posterior_backward<Float>, full_posterior_backward<Double>}};
const KernelPair mixture_predict_tril = {
    {full_forward<Beside::kComponent, Float>, full_forward<Beside::kComponent, Double>}, {}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
