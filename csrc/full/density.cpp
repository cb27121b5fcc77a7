// SPDX-License-Identifier: MIT
// mixture_log_prob_tril, with lists and without, mixture_posterior_tril and mixture_predict_tril.
//
// With y = W (x - mu), W = L^-1, and g the coefficient of a score, the gradients are
//   d/dx = -sum_k g W'y,   d/dmu = W' sum_n g y,   d/dL = tril(W' sum_n g y y') - diag(W) sum_n g.
#include "common/beside.h"
#include "common/most_probable.h"
#include "common/vectors.h"
#include "full/gradient.h"
#include "full/recall.h"
#include "kernels.h"

namespace pyvae {
namespace {

// Operands: x, log_weights, means, scale_trils -> [log_posterior | component,] log_prob[, lists].
template <Beside kBeside, class V>
void full_forward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  constexpr bool kPosterior = kBeside == Beside::kPosterior, kListing = kBeside == Beside::kLists;
  const PackedFullMixture<V> mixture(problem, runtime, 1, kListing);
  const Schedule schedule = full_schedule<V>(problem, runtime);
  const FullScratch<V> scratch(problem, runtime, schedule, 1, kChunkComponents + 3);
  const int64_t room = kListing ? schedule.workers * schedule.block : 0;
  auto* const growing = allocate<GrowingList<V>>(runtime, room);
  int* const resting = allocate<int>(runtime, schedule.tasks);
  for (int64_t task = 0; task < schedule.tasks; ++task) resting[task] = 0;
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
    const Lists<V> lists(log_negligible(mixture.scale_ratios[block.entry]), problem.k,
                         kListing ? block.count : 0, growing + block.worker * schedule.block,
                         resting[block.task]);
    for (int64_t first = 0; first < problem.k; first += kChunkComponents) {
      const int64_t rows = smaller<int64_t>(kChunkComponents, problem.k - first);
      for (int64_t r = 0; r < rows; ++r)
        score_component<V>(components, first + r, slab, scratch.gap(block.worker), nullptr,
                           scratch.strip(block.worker, r));
      total.add_columns(scratch.strip(block.worker, 0), schedule.block, rows);
      if constexpr (kBeside == Beside::kComponent)
        leading.follow_columns(total, scratch.strip(block.worker, 0), schedule.block, first);
      if constexpr (kListing)
        lists.template follow_columns<kChunkComponents>(total, scratch.strip(block.worker, 0),
                                                        schedule.block, rows, first);
      for (int64_t n = 0; kPosterior && n < block.count; ++n)
        for (int64_t r = 0; r < rows; ++r)
          log_posterior.at(block.first + n, first + r) = scratch.strip(block.worker, r)[n];
    }
    const T* const values = total.finish(slab.unreachable);
    if constexpr (kBeside == Beside::kComponent) leading.finish(values);
    if constexpr (kListing)
      lists.finish(values, ListColumns<T>(problem, 5, block.entry), block.first);
    for (int64_t n = 0; n < block.count; ++n) {
      log_prob.at(block.first + n) = values[n];
      if constexpr (kPosterior) normalise_row(log_posterior, block.first + n, problem.k, values[n]);
    }
  });
}

// What the two backward passes share: `weigh(entry, n)` gives a number a point, and `fill(block,
// slab, k, weights, log_prob, limits, terms)` turns the scores of a component into terms. Operands
// of the arguments start at `first`, their gradients at `out`; there may be lists.
template <class V, class Weigh, class Fill>
void full_backward(const Problem& problem, const Runtime& runtime, int first, int log_prob_at,
                   int lists_at, int out, const Weigh& weigh, const Fill& fill) {
  using T = ScalarOf<V>;
  const bool wants_x = problem.operand[out].data, wants_factors = problem.operand[out + 3].data;
  const PackedFullMixture<V> mixture(problem, runtime, first + 1, wants_x);
  const Schedule schedule = full_schedule<V>(problem, runtime);
  constexpr int kSlabs = 1 + SlabGradient<V>::kSlabs, kStrips = SlabTerms<V>::kStrips;
  const FullScratch<V> scratch(problem, runtime, schedule, kSlabs + RecalledSlab<V>::kSlabs,
                               kStrips + 3 + RecalledSlab<V>::kStrips);
  const FullTaskSums<V> sums(problem, runtime, schedule, mixture);
  const Peaks<T> peaks(runtime, schedule, problem.k);
  // Whether y is kept while the scores are computed: not where it was of use to few pairs before.
  bool* const keeps_y = allocate<bool>(runtime, schedule.tasks);
  for (int64_t task = 0; task < schedule.tasks; ++task) keeps_y[task] = true;
  const Recalled<V> recalled(
      problem, runtime, schedule, log_prob_at, lists_at, weigh,
      [&](int64_t entry) { return log_negligible(mixture.scale_ratios[entry]); },
      [&](int64_t entry) { return mixture.entries[entry].constant; });
  recalled.raise(schedule, peaks);
  const LinkedRoom<T> linked(runtime, recalled.has_lists() ? schedule.workers : 0, problem.k,
                             schedule.block);
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const FullComponents<V>& components = mixture.entries[block.entry];
    const auto strip = [&](int64_t index) { return scratch.strip(block.worker, kStrips + index); };
    Slab<V> slab = load_slab<V>(problem, block, scratch, first);
    const Column<T> log_prob(problem, log_prob_at, block.entry), by_x(problem, out, block.entry);
    T* const normalizer = strip(0);
    SlabWeights<V> weights{strip(1), strip(2)};
    for (int64_t n = 0; n < slab.points(); ++n) {
      normalizer[n] = n < block.count ? log_prob.at(block.first + n) : -kInfinity<T>;
      const bool reachable = normalizer[n] != -kInfinity<T>;
      weights.set(n, reachable ? weigh(block.entry, block.first + n) : T(0), normalizer[n]);
      if (!reachable) slab.clear(n);
    }
    weights.finish(slab.points());
    SlabTerms<V> terms(scratch, block.worker);
    const SlabGradient<V> gradient(slab, components, scratch, block.worker, wants_x, wants_factors);
    const FullSums<V> total = sums.of_task(block.task);
    const T of_points = log_negligible(mixture.scale_ratios[block.entry]);
    LinkedTerms<T> links = linked.of_worker(block.worker);
    const RecalledSlab<V> here(recalled, block, slab, normalizer, weights, of_points, links,
                               scratch.slab(block.worker, kSlabs), strip(3), terms.room);
    bool& has_y = keeps_y[block.task];
    int64_t pairs = 0;
    for (int64_t k = 0; k < problem.k; ++k) {
      if (!components.alive(k)) continue;
      if (here.fill(components, k, scratch.gap(block.worker), terms)) {
        gradient.add(k, terms, false, total);
        continue;
      }
      score_component<V>(components, k, slab, scratch.gap(block.worker),
                         has_y ? gradient.y : nullptr, terms.term);
      const auto limits = limits_of(components, k, schedule.points(), weights,
                                    total.coefficients[k], of_points, peaks.of_task(block.task));
      fill(block, slab, k, weights, normalizer, limits, terms);
      gradient.add(k, terms, has_y, total);
      pairs += terms.kept.count;
    }
    has_y = 4 * pairs > problem.k * block.count;
    for (int64_t n = 0; wants_x && n < block.count; ++n)
      for (int64_t i = 0; i < problem.d; ++i)
        by_x.at(block.first + n, i) = -gradient.by_x[slab.at(n) + i * kGroupPoints<V>];
  });
  sums.add_up(runtime);
  write_gradients(problem, runtime, sums, mixture, out + 1);
}

// Operands: the gradient of log_prob; x, log_weights, means, scale_trils; log_prob[, lists]; then
// the four gradients.
template <bool kFromLists, class V>
void full_log_prob_backward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  const auto upstream = [&](int64_t entry, int64_t n) {
    return Column<T>(problem, 0, entry).at(n);
  };
  const auto fill = [&](const Block&, const Slab<V>& slab, int64_t, const SlabWeights<V>& weights,
                        const T* normalizer, const SlabLimits<T>& limits, SlabTerms<V>& terms) {
    terms.weigh(weights, normalizer, slab.points(), limits);
  };
  full_backward<V>(problem, runtime, 1, 5, kFromLists ? 6 : kNoLists, kFromLists ? 8 : 6, upstream,
                   fill);
}

// Operands: the gradients of log_posterior and log_prob; the four arguments; log_posterior,
// log_prob; four gradients. What weighs a log-posterior is unbounded: no term is negligible.
template <class V>
void full_posterior_backward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  const PosteriorGradient<T> by{problem, 0, 1, 6};
  const auto rest = [&](int64_t entry, int64_t n) { return by.rest(entry, n); };
  const auto fill = [&](const Block& block, const Slab<V>& slab, int64_t k,
                        const SlabWeights<V>& weights, const T* normalizer, const SlabLimits<T>&,
                        SlabTerms<V>& terms) {
    for (int64_t n = 0; n < slab.points(); ++n)
      terms.term[n] = normalizer[n] == -kInfinity<T>
                          ? T(0)
                          : by.by_score(block.entry, block.first + n, k, weights.value[n]);
    terms.take(slab.points());
  };
  full_backward<V>(problem, runtime, 2, 7, kNoLists, 8, rest, fill);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_log_prob_tril = {
    {full_forward<Beside::kNothing, Float>, full_forward<Beside::kNothing, Double>},
    {full_log_prob_backward<false, Float>, full_log_prob_backward<false, Double>}};
const KernelPair mixture_log_prob_tril_listed = {
    {full_forward<Beside::kLists, Float>, full_forward<Beside::kLists, Double>},
    {full_log_prob_backward<true, Float>, full_log_prob_backward<true, Double>}};
const KernelPair mixture_posterior_tril = {
    {full_forward<Beside::kPosterior, Float>, full_forward<Beside::kPosterior, Double>},
    {full_posterior_backward<Float>, full_posterior_backward<Double>}};
const KernelPair mixture_predict_tril = {
    {full_forward<Beside::kComponent, Float>, full_forward<Beside::kComponent, Double>}, {}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
