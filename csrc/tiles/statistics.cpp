// SPDX-License-Identifier: MIT
// mixture_statistics: the sums of one EM step, Bishop (2006), equations 9.24 to 9.28, about the
// current means, so that nothing cancels.
#include "common/statistics.h"

#include "common/log_sum_exp.h"
#include "common/vectors.h"
#include "kernels.h"
#include "tiles/terms.h"

namespace pyvae {
namespace {

// Below this 1/sigma its square comes near underflow, or is 0 times an infinite sigma.
template <class T>
inline constexpr T kLeastRowScale = sizeof(T) == sizeof(float) ? T(0x1p-60) : T(0x1p-500);

// The rows that the sums are taken by have z = x - mu where 1/sigma is too small, or is NaN, which
// without a point must not show.
template <class V>
void unscale_rows(const Problem& problem, const PackedMixture<V>& mixture) {
  using T = ScalarOf<V>;
  for (int64_t entry = 0; entry < problem.batch; ++entry) {
    const Components<V>& components = mixture.entries[entry];
    const Parameters<T> from(problem, 1, entry, true);
    for (int64_t k = 0; k < problem.k; ++k)
      for (int64_t d = 0; d < problem.d; ++d) {
        const int64_t at = k * components.padded_d + d;
        if (!components.alive(k) || components.row_scale[at] >= kLeastRowScale<T>) continue;
        components.row_scale[at] = 1;
        components.row_shift[at] = from.mean(k, d) - components.centre[d];
      }
  }
}

// Turns sums of r z and r z^2 into sums of r (x - mu) and r (x - mu)^2 of one component.
template <class V>
void write_moments(const Problem& problem, const Components<V>& components,
                   const ComponentSums<V>& sums, int64_t entry, int64_t k, int first) {
  const Column<double> counts(problem, first, entry), by_gap(problem, first + 1, entry),
      by_square(problem, first + 2, entry);
  const bool alive = components.alive(k), isotropic = problem.operand[first + 2].size[1] == 1;
  const int64_t row = k * components.padded_d;
  counts.at(k) = alive ? sums.coefficients[k] : 0;
  double total = 0;
  for (int64_t d = 0; d < problem.d; ++d) {
    const double scale = 1 / double(components.row_scale[row + d]);
    by_gap.at(k, d) = alive ? scale * sums.z[row + d] : 0;
    const double square = alive ? scale * scale * sums.squares[row + d] : 0;
    total += square;
    if (!isotropic) by_square.at(k, d) = square;
  }
  if (isotropic) by_square.at(k, 0) = total;
}

// Operands: x, log_weights, means, logvars, sample_weight -> log_likelihood, counts, sum_dx,
// sum_dx2.
template <class V>
void statistics_forward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  const PackedMixture<V> mixture(problem, runtime, 1, true);
  unscale_rows(problem, mixture);
  const Schedule schedule = tile_schedule<V>(problem, runtime);
  const int64_t chunks = divide_up(divide_up(problem.k, Components<V>::kPanel), kChunkPanels);
  const Scratch<V> scratch(problem, runtime, schedule, 1, int(chunks));
  const TileSums<V> totals(problem, runtime, schedule, mixture);
  const LogLikelihoods likelihoods(runtime, schedule);
  const Peaks<T> peaks(runtime, schedule, padded_components<V>(problem));
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const Components<V>& components = mixture.entries[block.entry];
    PointBlock<V> points;
    points.row = scratch.rows(block.worker, 0);
    points.load(Column<const T>(problem, 0, block.entry), block.first, block.count, problem.n,
                components);
    const auto strip_of = [&](const Chunk& chunk) {
      return scratch.strip(block.worker, int(chunk.first_panel / kChunkPanels));
    };
    T top[kBlock], sum[kBlock];
    LogSumExp<V> total{top, sum, padded_count<V>(block.count)};
    total.clear();
    for_each_chunk(components, [&](const Chunk& chunk) {
      T* const strip = strip_of(chunk);
      score_chunk<V>(components, points, nullptr, chunk, strip);
      total.add_rows(strip, kChunk<V>, chunk.columns);
    });
    const T* const log_prob = total.finish(points.unreachable);
    PointWeights<V> weights;
    const Column<const T> sample_weight(problem, 4, block.entry);
    for (int64_t n = 0; n < block.count; ++n) {
      const T weight = likelihoods.add(block.task, sample_weight.at(block.first + n), log_prob[n]);
      weights.set(n, weight, log_prob[n]);
      if (weight == 0) points.clear(n);
    }
    weights.finish();
    ComponentSums<V> sums = totals.of_task(block.task);
    for_each_chunk(components, [&](const Chunk& chunk) {
      Terms<V> terms(components, chunk, weights, kLogNegligible<T>, schedule.points(),
                     peaks.of_task(block.task), sums, strip_of(chunk), nullptr);
      for (int64_t n = 0; n < kBlock; ++n)
        weights.value[n] == 0 ? terms.skip(n) : terms.weigh(n, log_prob[n]);
      terms.accumulate(components, points, nullptr, {}, sums);
    });
  });
  totals.add_up(runtime);
  likelihoods.write(problem, 5);
  for (int64_t entry = 0; entry < problem.batch; ++entry)
    for (int64_t k = 0; k < problem.k; ++k)
      write_moments(problem, mixture.entries[entry], totals.of_entry(entry), entry, k, 6);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_statistics = {{statistics_forward<Float>, statistics_forward<Double>}, {}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
