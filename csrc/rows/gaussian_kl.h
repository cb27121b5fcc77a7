// SPDX-License-Identifier: MIT
// KL divergence between diagonal Gaussians: one row of coordinates in, one number out.
#pragma once

#include "common/parallel.h"
#include "math/gaussian.h"
#include "rows/row.h"

namespace pyvae {
namespace {

template <class V>
void gaussian_kl_forward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  for_each_row(problem, runtime, [&](int64_t entry) {
    const Row<V> mean_q(problem, 0, entry), logvar_q(problem, 1, entry);
    const Row<V> mean_p(problem, 2, entry), logvar_p(problem, 3, entry);
    V total{};
    for_each_vector<V>(problem.d, [&](int64_t d, int64_t count) {
      total += keep_first(gaussian_kl_term(mean_q.at(d, count), logvar_q.at(d, count),
                                           mean_p.at(d, count), logvar_p.at(d, count)),
                          count);
    });
    *data_of<T>(problem, 4, entry) = sum_lanes(total);
  });
}

// Operands: the gradient of the result, the four arguments, then their gradients.
template <class V>
void gaussian_kl_backward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  for_each_row(problem, runtime, [&](int64_t entry) {
    const V upstream = splat<V>(*data_of<T>(problem, 0, entry));
    const Row<V> mean_q(problem, 1, entry), logvar_q(problem, 2, entry);
    const Row<V> mean_p(problem, 3, entry), logvar_p(problem, 4, entry);
    T* const by_mean_q = data_of<T>(problem, 5, entry);
    T* const by_logvar_q = data_of<T>(problem, 6, entry);
    T* const by_mean_p = data_of<T>(problem, 7, entry);
    T* const by_logvar_p = data_of<T>(problem, 8, entry);
    for_each_vector<V>(problem.d, [&](int64_t d, int64_t count) {
      const auto gradient = gaussian_kl_gradient(mean_q.at(d, count), logvar_q.at(d, count),
                                                 mean_p.at(d, count), logvar_p.at(d, count));
      if (by_mean_q) store_first(by_mean_q + d, upstream * gradient.mean_q, count);
      if (by_logvar_q) store_first(by_logvar_q + d, upstream * gradient.logvar_q, count);
      if (by_mean_p) store_first(by_mean_p + d, -upstream * gradient.mean_q, count);
      if (by_logvar_p) store_first(by_logvar_p + d, upstream * gradient.logvar_p, count);
    });
  });
}

}  // namespace
}  // namespace pyvae
