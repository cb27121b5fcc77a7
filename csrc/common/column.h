// SPDX-License-Identifier: MIT
// Operands with a number, or a row of numbers, for each point or component, in the caller's
// strides.
#pragma once

#include "math/elementary.h"
#include "problem.h"

namespace pyvae {
namespace {

template <class T>
struct Column {
  T* data;
  int64_t stride[2];

  PYVAE_HD Column(const Problem& problem, int operand, int64_t entry) {
    data = data_of<T>(problem, operand, entry);
    for (int dim = 0; dim < 2; ++dim) stride[dim] = problem.operand[operand].stride[dim];
  }
  PYVAE_HD T& at(int64_t n) const { return data[n * stride[0]]; }
  PYVAE_HD T& at(int64_t n, int64_t k) const { return data[n * stride[0] + k * stride[1]]; }

  // Writes `count` numbers, times `factor`, from column `first` of row n on.
  void write(int64_t n, int64_t first, const T* from, int64_t count, T factor = 1) const {
    T* const to = data + n * stride[0] + first * stride[1];
    if (stride[1] == 1)
      for (int64_t i = 0; i < count; ++i) to[i] = factor * from[i];
    else
      for (int64_t i = 0; i < count; ++i) to[i * stride[1]] = factor * from[i];
  }

  // Writes the lanes of a vector.
  template <class V>
  void write_vector(int64_t n, int64_t first, V value) const {
    T* const to = data + n * stride[0] + first * stride[1];
    if (stride[1] == 1)
      __builtin_memcpy(to, &value, sizeof(V));
    else
      for (int lane = 0; lane < kLanesOf<V>; ++lane) to[lane * stride[1]] = value[lane];
  }
};

// Turns log p(x, z) into log p(z | x); without a density all of it is -inf. What has none beside a
// NaN has none all the same.
template <class T>
PYVAE_HD inline void normalise(T* row, int64_t components, T log_prob) {
  const bool none = log_prob == -kInfinity<T>;
  if (log_prob == log_prob)
    for (int64_t k = 0; k < components; ++k) row[k] = none ? log_prob : row[k] - log_prob;
  else
    for (int64_t k = 0; k < components; ++k) row[k] = row[k] == -kInfinity<T> ? row[k] : log_prob;
}
template <class T>
inline void normalise_row(const Column<T>& log_posterior, int64_t n, int64_t components,
                          T log_prob) {
  if (components == 0) return;
  if (log_posterior.stride[1] == 1) return normalise(&log_posterior.at(n), components, log_prob);
  for (int64_t k = 0; k < components; ++k) normalise(&log_posterior.at(n, k), 1, log_prob);
}

// The gradient of a log-posterior and a log-density by the scores: by score k it is
// g_k + q_k (g_log_prob - sum_j g_j). Entries of -inf are constants and pass none.
template <class T>
struct PosteriorGradient {
  const Problem& problem;
  int by_posterior, by_log_prob, log_posterior;  // operands

  PYVAE_HD T masked(int64_t entry, int64_t n, int64_t k) const {
    const bool excluded = Column<T>(problem, log_posterior, entry).at(n, k) == -kInfinity<T>;
    return excluded ? T(0) : Column<T>(problem, by_posterior, entry).at(n, k);
  }
  // g_log_prob - sum_j g_j
  PYVAE_HD T rest(int64_t entry, int64_t n) const {
    T left = Column<T>(problem, by_log_prob, entry).at(n);
    for (int64_t k = 0; k < problem.k; ++k) left -= masked(entry, n, k);
    return left;
  }
  PYVAE_HD T by_score(int64_t entry, int64_t n, int64_t k, T rest) const {
    const T posterior = exp(Column<T>(problem, log_posterior, entry).at(n, k));
    return masked(entry, n, k) + posterior * rest;
  }
};

}  // namespace
}  // namespace pyvae
