// SPDX-License-Identifier: MIT
// mixture_elbo_terms: where q(z) comes from, the sums of a point, and the coefficients of its
// gradients.
//
// With l the unnormalised log q, c the (expected) log-density and top = max l, four sums over e^(l
// - top) give
//   normalizer = top + log S,  expected_log_prob = V / S,  kl_z = T / S - log S - U / S,
// where S, T, U, V weigh 1, l - top, log_weights and c. Nothing large is subtracted from anything
// large.
//
// Backwards, with E = expected_log_prob, upstream gradients gE and gKL, and
//   alpha_k = q_k (gE (c_k - E) + gKL ((log q_k - log_weights_k) - kl_z)),
// the loss changes by alpha_k with the logit of q_k, by gE q_k with c_k, and by -gKL q_k with
// log_weights_k itself.
#pragma once

#include "common/column.h"
#include "math/log_sum_exp.h"

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

// What a component adds to the sums of a point: `gap` is l - top, the score has its log-weight in
// it. Above zero are `impossible` where q > 0 at a weight of zero, and `dense` where there is a
// density.
template <class V>
struct ElboShare {
  V mass, entropy, log_weight, density, impossible, dense;

  PYVAE_HD ElboShare(V gap, V score, V prior, V constant) {
    using T = ScalarOf<V>;
    const V weight = exp_of_gap(gap);
    const auto absent = weight == T(0);
    const auto dead = constant == -kInfinity<T>;
    mass = weight;
    entropy = absent ? V{} : weight * gap;
    log_weight = weight * prior;
    density = absent | dead ? V{} : weight * (score - prior);
    impossible = dead & (gap >= ExpTable<T>::kPositive) ? splat<V>(1) : V{};
    // A NaN point scores NaN under a dead component too, which has no density all the same.
    dense = dead | (score == -kInfinity<T>) ? V{} : splat<V>(1);
  }
};

// The four sums S, T, U, V.
template <class V>
struct ElboTotals {
  V mass, entropy, log_weight, density;

  // From one maximum of l to the next.
  PYVAE_HD void move(V before, V after) {
    using T = ScalarOf<V>;
    const V gap = finite_or_zero(before) - finite_or_zero(after);
    const V factor = mass == T(0) ? V{} : exp_of_gap(gap);
    const V tilted = entropy + gap * mass;
    entropy = mass == T(0) ? V{} : factor * tilted;
    mass *= factor, log_weight *= factor, density *= factor;
  }
};

template <class V>
struct ElboValues {
  V expected, kl, normalizer;

  PYVAE_HD ElboValues(const ElboTotals<V>& sums, V top) {
    const V log_mass = log(sums.mass);
    const V divergence = (sums.entropy - sums.log_weight) / sums.mass;
    kl = divergence - log_mass;
    expected = sums.density / sums.mass;
    normalizer = finite_or_zero(top) + log_mass;
  }
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
    // Without a density `score` is -inf, and nothing times it would be NaN.
    const V density = point.dense ? point.by_expected * (score - prior - point.expected) : V{};
    const V gap = density + point.by_kl * (log_q - prior - point.kl);
    by_logit = absent ? V{} : q * gap;
    by_score = point.by_expected * q;
    by_log_weight = -point.by_kl * q;
  }
};

}  // namespace
}  // namespace pyvae
