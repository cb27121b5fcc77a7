// SPDX-License-Identifier: MIT
// mixture_statistics_tril: the sums of one EM step with full or tied covariances, about the current
// means. The scores of the first pass are kept for a slab, so the second needs no triangular
// product.
#include "common/statistics.h"

#include "common/vectors.h"
#include "full/sums.h"
#include "full/terms.h"
#include "kernels.h"

namespace pyvae {
namespace {

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
  enum { kX, kGap, kWeighted, kPackedX, kSlabs };
  const PackedFullMixture<V> mixture(problem, runtime, 1, false);
  const Schedule schedule = full_schedule<V>(problem, runtime);
  enum { kTop = SlabTerms<V>::kStrips, kSum, kWeight, kLogSize, kScores };
  const FullScratch<V> scratch(problem, runtime, schedule, kSlabs, kScores + problem.k);
  const FullTaskSums<V> totals(problem, runtime, schedule, mixture);
  const LogLikelihoods likelihoods(runtime, schedule);
  const Peaks<T> peaks(runtime, schedule, problem.k);
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const FullComponents<V>& components = mixture.entries[block.entry];
    const auto strip = [&](int64_t index) { return scratch.strip(block.worker, index); };
    Slab<V> slab = load_slab<V>(problem, block, scratch, kX);
    LogSumExp<V> total{strip(kTop), strip(kSum), slab.points()};
    total.clear();
    for (int64_t k = 0; k < problem.k; ++k)
      score_component<V>(components, k, slab, scratch.gap(block.worker), nullptr,
                         strip(kScores + k));
    total.add_columns(strip(kScores), schedule.block, problem.k);
    const T* const log_prob = total.finish(slab.unreachable);
    SlabWeights<V> weights{strip(kWeight), strip(kLogSize)};
    const Column<const T> sample_weight(problem, 4, block.entry);
    for (int64_t n = 0; n < slab.points(); ++n) {
      const bool inside = n < block.count;
      const T given = inside ? sample_weight.at(block.first + n) : T(0);
      weights.set(n, inside ? likelihoods.add(block.task, given, log_prob[n]) : T(0),
                  inside ? log_prob[n] : -kInfinity<T>);
      if (weights.value[n] == 0) slab.clear(n);
    }
    weights.finish(slab.points());
    T *const gap = scratch.slab(block.worker, kGap),
             *const weighted = scratch.slab(block.worker, kWeighted),
             *const packed_x = scratch.slab(block.worker, kPackedX);
    const FullSums<V> sums = totals.of_task(block.task);
    SlabTerms<V> terms(scratch, block.worker);
    const auto add = [&](int64_t k, const Slab<V>& of, const T* term) {
      for (int64_t g = 0; g < of.groups; ++g)
        subtract_mean<V>(of.x + of.group(g), components.mean + k * problem.d, problem.d,
                         gap + of.group(g));
      weigh_slab<V>(of, gap, term, weighted);
      sums.add(of, k, components.factor_of(k), term, weighted, gap);
    };
    for (int64_t k = 0; k < problem.k; ++k) {
      if (!components.alive(k)) continue;
      terms.term = strip(kScores + k);
      terms.weigh(weights, log_prob, slab.points(),
                  limits_of(components, k, schedule.points(), weights, sums.coefficients[k],
                            kLogNegligible<T>, peaks.of_task(block.task)));
      if (terms.kept.count == 0) continue;
      if (!terms.few(slab)) {
        add(k, slab, terms.term);
        continue;
      }
      const Slab<V> few = packed_slab(slab, terms.kept, packed_x);
      pack_rows(slab, slab.x, terms.kept, few, packed_x, terms.room);
      pack_terms(slab, terms.term, terms.kept, few, terms.packed);
      add(k, few, terms.packed);
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
