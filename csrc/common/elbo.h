// SPDX-License-Identifier: MIT
// mixture_elbo_terms: where q(z) comes from, and the coefficients of its gradients.
//
// With E = expected_log_prob, upstream gradients gE and gKL,
// and
//   alpha_k = q_k (gE (c_k - E) + gKL ((log q_k - log_weights_k) - kl_z)),
// the loss changes by alpha_k with the logit of q_k, by gE q_k with c_k, and by -gKL q_k with
// log_weights_k itself.
#pragma once

#include "common/column.h"

namespace pyvae {
namespace {

// Where q(z) comes from, and with it the arguments in front of log_weights, means, logvars.
struct Exact {  // w: p(z | w)
  static constexpr int kPoint = 0, kSpread = -1, kSample = -1, kLogits = -1, kArguments = 1;
};
struct Gaussian {  // mean_q, logvar_q: softmax(log_weights + E_q(w|x) log N), the maximiser of the
                   // mean-field bound
  static constexpr int kPoint = 0, kSpread = 1, kSample = -1, kLogits = -1, kArguments = 2;
};
struct Sampled {  // w, mean_q, logvar_q: p(z | w) at the sample, expectations under q(w | x)
  static constexpr int kPoint = 1, kSpread = 2, kSample = 0, kLogits = -1, kArguments = 3;
};
struct Logits {  // mean_q, logvar_q, logits_q: softmax(logits_q)
  static constexpr int kPoint = 0, kSpread = 1, kSample = -1, kLogits = 2, kArguments = 3;
};

// One point's numbers on the way back. Where a value is infinite it is a constant and passes no
// gradient.
template <class T>
struct ElboPoint {
  T expected, kl, normalizer, by_expected, by_kl;
  bool dense;

  PYVAE_HD ElboPoint(const Problem& problem, int64_t entry, int64_t n, int out) {
    const auto at = [&](int operand) { return Column<const T>(problem, operand, entry).at(n); };
    expected = at(out), kl = at(out + 1), normalizer = at(out + 2);
    by_expected = at(0), by_kl = at(1);
    dense = expected != -kInfinity<T>;
    if (!dense) by_expected = expected = 0;
    if (kl == kInfinity<T>) by_kl = kl = 0;
  }
  PYVAE_HD bool reachable() const { return normalizer != -kInfinity<T>; }
};

// alpha and gE q of one vector of components.
template <class V>
struct ElboCoefficients {
  V by_logit, by_score, by_log_weight;

  PYVAE_HD ElboCoefficients(const ElboPoint<ScalarOf<V>>& point, V l, V score, V prior,
                            V constant) {
    using T = ScalarOf<V>;
    const V log_q = l - point.normalizer;
    const V q = exp(log_q);
    const auto absent = (q == T(0)) | (constant == splat<V>(-kInfinity<T>));
    const V gap = point.by_expected * (score - prior - point.expected) +
                  point.by_kl * (log_q - prior - point.kl);
    by_logit = absent ? V{} : q * gap;
    by_score = point.by_expected * q;
    by_log_weight = -point.by_kl * q;
  }
};

}  // namespace
}  // namespace pyvae
