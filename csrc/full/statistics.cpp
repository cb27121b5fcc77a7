// SPDX-License-Identifier: MIT
// mixture_statistics_tril: the sums of one EM step with full or tied covariances, about the current
// means. The scores of the first pass are kept for a slab, so the second needs no triangular
// product.
#include "common/statistics.h"

#include "common/vectors.h"
#include "full/scores.h"
#include "full/sums.h"
#include "kernels.h"

namespace pyvae {
namespace {

// Responsibilities of one component, from its scores; a weight of zero leaves the point out.
template <class V>
void responsibilities(const ScalarOf<V>* weight, const ScalarOf<V>* log_prob, int64_t points,
                      ScalarOf<V>* scores) {
  using T = ScalarOf<V>;
  for (int64_t n = 0; n < points; n += kLanesOf<V>) {
    const V sample_weight = load<V>(weight + n);
    const V found = sample_weight * exp_of_gap(load<V>(scores + n) - load<V>(log_prob + n));
    store<V>(scores + n, sample_weight == T(0) ? V{} : found);
  }
}

template <class V>
void write_full_moments(const Problem& problem, const FullSums<V>& sums,
                        const FullComponents<V>& components, int64_t entry, int first) {
  const Column<double> counts(problem, first, entry), by_gap(problem, first + 1, entry);
  const int64_t d = problem.d;
  for (int64_t k = 0; k < problem.k; ++k) {
    counts.at(k) = sums.coefficients[k];
    for (int64_t i = 0; i < d; ++i) by_gap.at(k, i) = sums.rows[k * d + i];
  }
  const int64_t* const stride = problem.operand[first + 2].stride;
  double* const to = data_of<double>(problem, first + 2, entry);
  for (int64_t f = 0; f < components.factors; ++f)
    for (int64_t i = 0; i < d; ++i)
      for (int64_t j = 0; j < d; ++j) {
        const int64_t row = larger(i, j), column = smaller(i, j);
        to[f * stride[0] + i * stride[1] + j * stride[2]] =
            sums.outer[(f * FullSums<V>::triangle(d)) + FullSums<V>::triangle(row) + column];
      }
}

// Operands: x, log_weights, means, scale_trils, sample_weight -> log_likelihood, counts, sum_dx,
// sum_dx2.
template <class V>
void full_statistics(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  enum { kX, kGap, kWeighted, kSlabs };
  const PackedFullMixture<V> mixture(problem, runtime, 1, false);
  const Schedule schedule = full_schedule<V>(problem, runtime);
  const int64_t top = problem.k, sum = top + 1, weights = top + 2;
  const FullScratch<V> scratch(problem, runtime, schedule, kSlabs, problem.k + 3);
  const FullTaskSums<V> totals(problem, runtime, schedule, mixture);
  const LogLikelihoods likelihoods(runtime, schedule);
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const FullComponents<V>& components = mixture.entries[block.entry];
    const auto strip = [&](int64_t index) { return scratch.strip(block.worker, index); };
    Slab<V> slab = load_slab<V>(problem, block, scratch, 0);
    LogSumExp<V> total{strip(top), strip(sum), slab.points()};
    total.clear();
    for (int64_t k = 0; k < problem.k; ++k)
      score_component<V>(components, k, slab, scratch.gap(block.worker), nullptr, strip(k));
    total.add_columns(strip(0), schedule.block, problem.k);
    T* const weight = strip(weights);
    const T* const log_prob = total.finish(slab.unreachable);
    const Column<const T> sample_weight(problem, 4, block.entry);
    for (int64_t n = 0; n < slab.points(); ++n) {
      weight[n] = n < block.count
                      ? likelihoods.add(block.task, sample_weight.at(block.first + n), log_prob[n])
                      : T(0);
      if (weight[n] == 0) slab.clear(n);
    }
    T *const gap = scratch.slab(block.worker, kGap), *const weighted =
                                                         scratch.slab(block.worker, kWeighted);
    const FullSums<V> sums = totals.of_task(block.task);
    for (int64_t k = 0; k < problem.k; ++k) {
      if (!components.alive(k)) continue;
      responsibilities<V>(weight, log_prob, slab.points(), strip(k));
      if (all_zero(strip(k), slab.points())) continue;
      for (int64_t g = 0; g < slab.groups; ++g)
        subtract_mean<V>(slab.x + slab.group(g), components.mean + k * problem.d, problem.d,
                         gap + slab.group(g));
      weigh_slab<V>(slab, gap, strip(k), weighted);
      sums.add(slab, k, components.factor_of(k), strip(k), weighted, gap);
    }
  });
  totals.add_up(runtime);
  likelihoods.write(problem, 5);
  for (int64_t entry = 0; entry < problem.batch; ++entry)
    write_full_moments(problem, totals.of_entry(entry), mixture.entries[entry], entry, 6);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_statistics_tril = {{full_statistics<Float>, full_statistics<Double>}, {}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
