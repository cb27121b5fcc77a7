// SPDX-License-Identifier: MIT
// The parameters of a mixture as the caller hands them over.
#pragma once

#include "math/numbers.h"
#include "problem.h"

namespace pyvae {
namespace {

// The caller's parameters of one batch entry.
template <class T>
struct Parameters {
  const T *log_weights, *means, *logvars;
  int64_t weight_stride, mean_stride[2], logvar_stride[2];
  bool isotropic;

  // Operands from `first`: log_weights (all zero where not `weighted`), means, logvars.
  PYVAE_HD Parameters(const Problem& problem, int first, int64_t entry, bool weighted)
      : log_weights(weighted ? data_of<const T>(problem, first, entry) : nullptr),
        means(data_of<const T>(problem, first + weighted, entry)),
        logvars(data_of<const T>(problem, first + weighted + 1, entry)),
        weight_stride(weighted ? problem.operand[first].stride[0] : 0),
        isotropic(problem.operand[first + weighted + 1].size[1] == 1) {
    for (int dim = 0; dim < 2; ++dim) {
      mean_stride[dim] = problem.operand[first + weighted].stride[dim];
      logvar_stride[dim] = problem.operand[first + weighted + 1].stride[dim];
    }
    if (isotropic) logvar_stride[1] = 0;
  }
  PYVAE_HD T log_weight(int64_t k) const {
    return log_weights ? log_weights[k * weight_stride] : T(0);
  }
  PYVAE_HD bool alive(int64_t k) const { return log_weight(k) != -kInfinity<T>; }
  PYVAE_HD T mean(int64_t k, int64_t d) const {
    return means[k * mean_stride[0] + d * mean_stride[1]];
  }
  PYVAE_HD T logvar(int64_t k, int64_t d) const {
    return logvars[k * logvar_stride[0] + d * logvar_stride[1]];
  }
};

// The same with Cholesky factors.
template <class T>
struct FullParameters {
  const T *log_weights, *means, *factors;
  int64_t weight_stride, mean_stride[2], factor_stride[3], factor_count;

  PYVAE_HD FullParameters(const Problem& problem, int first, int64_t entry)
      : log_weights(data_of<const T>(problem, first, entry)),
        means(data_of<const T>(problem, first + 1, entry)),
        factors(data_of<const T>(problem, first + 2, entry)),
        weight_stride(problem.operand[first].stride[0]),
        factor_count(problem.operand[first + 2].size[0]) {
    for (int dim = 0; dim < 2; ++dim) mean_stride[dim] = problem.operand[first + 1].stride[dim];
    for (int dim = 0; dim < 3; ++dim) factor_stride[dim] = problem.operand[first + 2].stride[dim];
  }
  PYVAE_HD T log_weight(int64_t k) const { return log_weights[k * weight_stride]; }
  PYVAE_HD T mean(int64_t k, int64_t d) const {
    return means[k * mean_stride[0] + d * mean_stride[1]];
  }
  PYVAE_HD T factor(int64_t index, int64_t row, int64_t column) const {
    return factors[index * factor_stride[0] + row * factor_stride[1] + column * factor_stride[2]];
  }
  // Has a weight, so that its factor is looked at.
  PYVAE_HD bool weighs(int64_t k) const { return log_weight(k) != -kInfinity<T>; }
  // Has a density at some point, or holds something that must show as NaN.
  PYVAE_HD bool alive(int64_t k, int64_t d) const { return weighs(k) && !distant(k, d); }

 private:
  // A mean at infinity is the component's only fault: its density is zero at every point. Its
  // distances would be sums of infinities of both signs, and of zeros times infinity.
  PYVAE_HD bool distant(int64_t k, int64_t d) const {
    bool infinite = false, fault = log_weight(k) != log_weight(k);
    for (int64_t i = 0; i < d; ++i) {
      infinite |= mean(k, i) - mean(k, i) != 0;
      fault |= mean(k, i) != mean(k, i);
    }
    if (!infinite || fault) return false;
    const int64_t index = factor_count == 1 ? 0 : k;
    for (int64_t i = 0; i < d; ++i) {
      fault |= !(factor(index, i, i) > 0);
      for (int64_t j = 0; j < i; ++j) fault |= factor(index, i, j) != factor(index, i, j);
    }
    return !fault;
  }
};

}  // namespace
}  // namespace pyvae
