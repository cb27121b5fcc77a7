// SPDX-License-Identifier: MIT
// mixture_statistics: the sums of one EM step, Bishop (2006), equations 9.24 to 9.28, about the
// current means, so that nothing cancels.
#include "common/statistics.h"

#include "common/log_sum_exp.h"
#include "common/vectors.h"
#include "kernels.h"
#include "tiles/workspace.h"

namespace pyvae {
namespace {

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
  const Schedule schedule = tile_schedule<V>(problem, runtime);
  const int64_t chunks = divide_up(divide_up(problem.k, Components<V>::kPanel), kChunkPanels);
  const Scratch<V> scratch(problem, runtime, schedule, 1, int(chunks));
  const TileSums<V> totals(problem, runtime, schedule, mixture);
  const LogLikelihoods likelihoods(runtime, schedule);
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
    T weight[kBlock] = {};
    const Column<const T> sample_weight(problem, 4, block.entry);
    for (int64_t n = 0; n < block.count; ++n) {
      weight[n] = likelihoods.add(block.task, sample_weight.at(block.first + n), log_prob[n]);
      if (weight[n] == 0) points.clear(n);
    }
    ComponentSums<V> sums = totals.of_task(block.task);
    for_each_chunk(components, [&](const Chunk& chunk) {
      T* const strip = strip_of(chunk);
      for (int64_t n = 0; n < kBlock; ++n) {
        T* const row = strip + n * kChunk<V>;
        for (int64_t c = 0; c < chunk.columns; c += kLanesOf<V>)
          store<V>(row + c,
                   weight[n] == 0 ? V{} : weight[n] * exp_of_gap(load<V>(row + c) - log_prob[n]));
      }
      accumulate<V>({components, points, nullptr, chunk, strip}, {}, sums);
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
