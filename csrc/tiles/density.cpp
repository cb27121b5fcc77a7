// SPDX-License-Identifier: MIT
// mixture_log_prob, with lists and without, mixture_posterior and mixture_predict.
#include "tiles/density.h"

#include "common/vectors.h"
#include "kernels.h"

namespace pyvae {
namespace {

// Operands: the gradient of log_prob; x, log_weights, means, logvars; log_prob[, lists]; then the
// four gradients.
template <bool kFromLists, class V>
void log_prob_backward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  const auto upstream = [&](int64_t entry, int64_t n) {
    return Column<T>(problem, 0, entry).at(n);
  };
  const auto fill = [&](Terms<V>& terms, int64_t entry, int64_t n, int64_t row,
                        const PointWeights<V>&) {
    terms.weigh(row, Column<T>(problem, 5, entry).at(n));
  };
  mixture_backward<true, V>(problem, runtime, 1, 5, kFromLists ? 6 : kNoLists, kFromLists ? 8 : 6,
                            upstream, fill);
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
  mixture_backward<false, V>(problem, runtime, 2, 7, kNoLists, 8, rest, fill);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_log_prob = {
    {mixture_forward<Beside::kNothing, Float>, mixture_forward<Beside::kNothing, Double>},
    {log_prob_backward<false, Float>, log_prob_backward<false, Double>}};
const KernelPair mixture_log_prob_listed = {
    {mixture_forward<Beside::kLists, Float>, mixture_forward<Beside::kLists, Double>},
    {log_prob_backward<true, Float>, log_prob_backward<true, Double>}};
const KernelPair mixture_posterior = {
    {mixture_forward<Beside::kPosterior, Float>, mixture_forward<Beside::kPosterior, Double>},
    {mixture_posterior_backward<Float>, mixture_posterior_backward<Double>}};
const KernelPair mixture_predict = {
    {mixture_forward<Beside::kComponent, Float>, mixture_forward<Beside::kComponent, Double>}, {}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
