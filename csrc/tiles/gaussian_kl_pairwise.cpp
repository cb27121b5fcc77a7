// SPDX-License-Identifier: MIT
// KL(q_n || p_k) of N diagonal Gaussians against K, on the packing and the gradient sums of the
// mixtures.
//
// With z = (mean_q - mean_p)/sigma_p and u = sigma_q/sigma_p a coordinate adds 1/2 (z^2 + ((u^2 -
// 1)
// - (logvar_q - logvar_p))). The bracket is formed before it is summed, so that nothing of the
// size of D cancels: near q = p each coordinate is wrong by a few units in the last place of 1 (an
// exponential a coordinate and pair would be exact and several times slower), and the sum is cut
// off at zero.
#include "common/vectors.h"
#include "kernels.h"
#include "tiles/workspace.h"

namespace pyvae {
namespace {

// A block of q: means about the centre, standard deviations and log-variances, in rows of padded_d.
template <class V>
struct GaussianBlock {
  using T = ScalarOf<V>;
  static constexpr int kRows = 3;
  PointBlock<V> means;
  T *scales, *logvars;

  GaussianBlock(const Problem& problem, const Components<V>& components, const Block& block,
                const Scratch<V>& scratch, int first) {
    means.row = scratch.rows(block.worker, 0);
    scales = scratch.rows(block.worker, 1);
    logvars = scratch.rows(block.worker, 2);
    means.count = block.count;
    means.padded_d = components.padded_d;
    const Column<const T> mean(problem, first, block.entry),
        logvar(problem, first + 1, block.entry);
    for (int64_t n = 0; n < kBlock; ++n) {
      const int64_t at = n * components.padded_d;
      for (int64_t d = 0; d < components.padded_d; ++d) {
        const bool inside = n < block.count && d < components.d;
        means.row[at + d] = inside ? mean.at(block.first + n, d) - components.centre[d] : T(0);
        logvars[at + d] = inside ? logvar.at(block.first + n, d) : -kInfinity<T>;
      }
      for (int64_t d = 0; d < components.padded_d; d += kLanesOf<V>) {
        const V value = load<V>(logvars + at + d);
        store<V>(scales + at + d, exp(T(0.5) * value));
        store<V>(logvars + at + d, below_infinity(value));
      }
    }
    means.examine();
  }

  // u^2 = inf decides then; inf - inf would be NaN.
  static V below_infinity(V logvar) {
    const V largest = splat<V>(kLargestFinite<T>);
    return logvar > largest ? largest : logvar;
  }
};

// The log-variances of p in panels like those of Components.
template <class V>
struct LogvarPanels {
  using T = ScalarOf<V>;
  T* memory;
  int64_t each;

  LogvarPanels(const Problem& problem, const Runtime& runtime, int operand) {
    constexpr int kPanel = Components<V>::kPanel;
    each = Components<V>::padded(problem.k, kPanel) * problem.d;
    memory = allocate<T>(runtime, problem.batch * each);
    for (int64_t entry = 0; entry < problem.batch; ++entry) {
      const Column<const T> from(problem, operand, entry);
      T* to = memory + entry * each;
      for (int64_t first = 0; first < problem.k; first += kPanel)
        for (int64_t d = 0; d < problem.d; ++d)
          for (int64_t k = first; k < first + kPanel; ++k) {
            const T value = k < problem.k ? from.at(k, d) : T(0);
            *to++ = value < -kLargestFinite<T> ? -kLargestFinite<T> : value;
          }
    }
  }
  const T* of_entry(int64_t entry) const { return memory + entry * each; }
};

// The divergences of kTilePoints of a block to the first kVectors vectors of a panel.
template <bool kCentred, int kVectors, class V>
inline void divergence_tile(const GaussianBlock<V>& q, int64_t n, int64_t dimension,
                            const ScalarOf<V>* panel, const ScalarOf<V>* logvars,
                            ScalarOf<V>* strip) {
  using T = ScalarOf<V>;
  constexpr int kLanes = kLanesOf<V>, kPanel = 2 * kLanes;
  const int64_t stride = q.means.padded_d;
  V sum[kTilePoints][kVectors] = {};
  for (int64_t d = 0; d < dimension; ++d, panel += 2 * kPanel, logvars += kPanel)
    for (int v = 0; v < kVectors; ++v) {
      const V inverse_scale = load<V>(panel + v * kLanes),
              shift = load<V>(panel + kPanel + v * kLanes), logvar = load<V>(logvars + v * kLanes);
      for (int p = 0; p < kTilePoints; ++p) {
        const int64_t at = (n + p) * stride + d;
        const V z = standardise<kCentred>(splat<V>(q.means.row[at]), inverse_scale, shift);
        const V u = splat<V>(q.scales[at]) * inverse_scale;
        sum[p][v] += (u * u - T(1)) + (logvar - q.logvars[at]);
        sum[p][v] += z * z;
      }
    }
  for (int p = 0; p < kTilePoints; ++p)
    for (int v = 0; v < kVectors; ++v) {
      const V value = T(0.5) * sum[p][v];
      store<V>(strip + p * kChunk<V> + v * kLanes, value < T(0) ? V{} : value);
    }
}

template <bool kCentred, class V>
void divergence_chunk(const Components<V>& components, const GaussianBlock<V>& q,
                      const ScalarOf<V>* logvars, const Chunk& chunk, ScalarOf<V>* strip) {
  constexpr int kPanel = Components<V>::kPanel;
  for (int64_t p = 0; p < chunk.panels; ++p) {
    const int64_t index = chunk.first_panel + p;
    const auto tile = components.vectors_in(index) == 2 ? divergence_tile<kCentred, 2, V>
                                                        : divergence_tile<kCentred, 1, V>;
    for (int64_t n = 0; n < q.means.count; n += kTilePoints)
      tile(q, n, components.d, components.panel_at(index), logvars + index * kPanel * components.d,
           strip + n * kChunk<V> + p * kPanel);
  }
}

// Operands: mean_q, logvar_q, mean_p, logvar_p -> kl.
template <class V>
void gaussian_kl_pairwise_forward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  const PackedMixture<V> packed(problem, runtime, 2, false, false);
  const LogvarPanels<V> logvars(problem, runtime, 3);
  const Schedule schedule = tile_schedule<V>(problem, runtime);
  const Scratch<V> scratch(problem, runtime, schedule, GaussianBlock<V>::kRows, 1);
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const Components<V>& components = packed.entries[block.entry];
    const GaussianBlock<V> q(problem, components, block, scratch, 0);
    const Column<T> kl(problem, 4, block.entry);
    T* const strip = scratch.strip(block.worker);
    for_each_chunk(components, [&](const Chunk& chunk) {
      const T* const panels = logvars.of_entry(block.entry);
      components.centred ? divergence_chunk<true>(components, q, panels, chunk, strip)
                         : divergence_chunk<false>(components, q, panels, chunk, strip);
      const int64_t columns = smaller(chunk.columns, problem.k - chunk.first);
      for (int64_t n = 0; n < block.count; ++n)
        kl.write(block.first + n, chunk.first, strip + n * kChunk<V>, columns);
    });
  });
}

// Minus the upstream gradients of a chunk: those of the scores, whose gradient sums serve here too.
template <class T>
void load_coefficients(const Column<const T>& upstream, const Block& block, int64_t components,
                       const Chunk& chunk, int64_t stride, T* strip) {
  for (int64_t n = 0; n < kBlock; ++n)
    for (int64_t c = 0; c < chunk.columns; ++c) {
      const bool inside = n < block.count && chunk.first + c < components;
      strip[n * stride + c] = inside ? -upstream.at(block.first + n, chunk.first + c) : T(0);
    }
}

// Operands: the gradient of the result, the four arguments, then their gradients.
template <class V>
void gaussian_kl_pairwise_backward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  const PackedMixture<V> packed(problem, runtime, 3, true, false);
  const Schedule schedule = tile_schedule<V>(problem, runtime);
  const Scratch<V> scratch(problem, runtime, schedule, GaussianBlock<V>::kRows + 2, 1);
  const TileSums<V> totals(problem, runtime, schedule, packed);
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const Components<V>& components = packed.entries[block.entry];
    const GaussianBlock<V> q(problem, components, block, scratch, 1);
    PointGradient<V> gradient;
    gradient.by_point = scratch.rows(block.worker, GaussianBlock<V>::kRows);
    gradient.by_spread = scratch.rows(block.worker, GaussianBlock<V>::kRows + 1);
    clear(gradient.by_point, scratch.row_size);
    clear(gradient.by_spread, scratch.row_size);
    T* const strip = scratch.strip(block.worker);
    ComponentSums<V> sums = totals.of_task(block.task);
    const Column<const T> upstream(problem, 0, block.entry);
    double total[kBlock] = {};
    for_each_chunk(components, [&](const Chunk& chunk) {
      load_coefficients(upstream, block, problem.k, chunk, kChunk<V>, strip);
      for (int64_t n = 0; n < block.count; ++n)
        for (int64_t c = 0; c < chunk.columns; ++c) total[n] += strip[n * kChunk<V> + c];
      accumulate<V>(components, q.means, q.scales, chunk, strip, gradient, sums);
    });
    const Column<T> by_mean(problem, 5, block.entry), by_logvar(problem, 6, block.entry);
    for (int64_t n = 0; n < block.count; ++n)
      for (int64_t d = 0; d < problem.d; ++d) {
        const int64_t at = n * components.padded_d + d;
        if (by_mean.data) by_mean.at(block.first + n, d) = -gradient.by_point[at];
        if (by_logvar.data)
          by_logvar.at(block.first + n, d) = T(0.5 * (total[n] - gradient.by_spread[at]));
      }
  });
  totals.add_up(runtime);
  write_gradients(problem, runtime, totals, packed, 7, LogWeights::kNone);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair gaussian_kl_pairwise = {
    {gaussian_kl_pairwise_forward<Float>, gaussian_kl_pairwise_forward<Double>},
    {gaussian_kl_pairwise_backward<Float>, gaussian_kl_pairwise_backward<Double>}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
