// SPDX-License-Identifier: MIT
// KL divergence between diagonal Gaussians: one row of coordinates in, one number out.
#include "common/vectors.h"
#include "kernels.h"
#include "math/gaussian.h"
#include "rows/row.h"

namespace pyvae {
namespace {

// The rows of one batch entry. A p that is one number throughout, as the standard normal is, has
// its exponential taken once.
template <class V, Stride kQ, Stride kP>
struct GaussianPair {
  const Row<V, kQ> mean_q, logvar_q;
  const Row<V, kP> mean_p, logvar_p;
  V shared{};

  GaussianPair(const Problem& problem, int first, int64_t entry)
      : mean_q(problem, first, entry),
        logvar_q(problem, first + 1, entry),
        mean_p(problem, first + 2, entry),
        logvar_p(problem, first + 3, entry) {
    if constexpr (kP == Stride::kZero)
      if (problem.d > 0) shared = inverse_scale_of(logvar_p.at(0, 1));
  }

  V term(int64_t d, int64_t count) const {
    const V p = logvar_p.at(d, count);
    return gaussian_kl_term(mean_q.at(d, count), logvar_q.at(d, count), mean_p.at(d, count), p,
                            inverse_scale(p));
  }
  GaussianKlGradient<V> gradient(int64_t d, int64_t count) const {
    const V p = logvar_p.at(d, count);
    return gaussian_kl_gradient(mean_q.at(d, count), logvar_q.at(d, count), mean_p.at(d, count), p,
                                inverse_scale(p));
  }

 private:
  V inverse_scale(V logvar) const {
    if constexpr (kP == Stride::kZero) return shared;
    return inverse_scale_of(logvar);
  }
};

// Calls body(pair, entry) for every row, with the strides of the usual layouts compiled in.
// Operands of the four arguments start at `first`.
template <class V, class Body>
void for_each_gaussian_pair(const Problem& problem, const Runtime& runtime, int first,
                            const Body& body) {
  const auto both_are = [&](int operand, int64_t stride) {
    return problem.operand[operand].stride[0] == stride &&
           problem.operand[operand + 1].stride[0] == stride;
  };
  const auto run = [&]<class Pair>(const Pair*) {
    for_each_row(problem, runtime,
                 [&](int64_t entry) { body(Pair(problem, first, entry), entry); });
  };
  if (both_are(first, 1) && both_are(first + 2, 1))
    run(static_cast<const GaussianPair<V, Stride::kOne, Stride::kOne>*>(nullptr));
  else if (both_are(first, 1) && both_are(first + 2, 0))
    run(static_cast<const GaussianPair<V, Stride::kOne, Stride::kZero>*>(nullptr));
  else
    run(static_cast<const GaussianPair<V, Stride::kAny, Stride::kAny>*>(nullptr));
}

template <class V>
void gaussian_kl_forward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  for_each_gaussian_pair<V>(problem, runtime, 0, [&](const auto& pair, int64_t entry) {
    V total{};
    for_each_vector<V>(problem.d, [&](int64_t d, int64_t count) {
      const V term = pair.term(d, count);
      total += count == kLanesOf<V> ? term : keep_first(term, count);
    });
    *data_of<T>(problem, 4, entry) = sum_lanes(total);
  });
}

// Operands: the gradient of the result, the four arguments, then their gradients.
template <class V>
void gaussian_kl_backward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  for_each_gaussian_pair<V>(problem, runtime, 1, [&](const auto& pair, int64_t entry) {
    const V upstream = splat<V>(*data_of<T>(problem, 0, entry));
    T* const by_mean_q = data_of<T>(problem, 5, entry);
    T* const by_logvar_q = data_of<T>(problem, 6, entry);
    T* const by_mean_p = data_of<T>(problem, 7, entry);
    T* const by_logvar_p = data_of<T>(problem, 8, entry);
    for_each_vector<V>(problem.d, [&](int64_t d, int64_t count) {
      const auto gradient = pair.gradient(d, count);
      if (by_mean_q) store_first(by_mean_q + d, upstream * gradient.mean_q, count);
      if (by_logvar_q) store_first(by_logvar_q + d, upstream * gradient.logvar_q, count);
      if (by_mean_p) store_first(by_mean_p + d, -upstream * gradient.mean_q, count);
      if (by_logvar_p) store_first(by_logvar_p + d, upstream * gradient.logvar_p, count);
    });
  });
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair gaussian_kl = {{gaussian_kl_forward<Float>, gaussian_kl_forward<Double>},
                                {gaussian_kl_backward<Float>, gaussian_kl_backward<Double>}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
