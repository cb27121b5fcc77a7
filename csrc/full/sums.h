// SPDX-License-Identifier: MIT
// Sums over points for every component and factor, in double, a set a task; and what is made of
// them.
#pragma once

#include "common/schedule.h"
#include "full/products.h"

namespace pyvae {
namespace {

template <class V>
struct FullSums {
  using T = ScalarOf<V>;
  double *coefficients, *rows, *outer;  // (k), (k, d), (factors, d (d + 1) / 2)
  int64_t d;

  static int64_t triangle(int64_t d) { return d * (d + 1) / 2; }
  static int64_t footprint(const FullComponents<V>& of) {
    return of.k * (of.d + 1) + of.factors * triangle(of.d);
  }
  FullSums(double* memory, const FullComponents<V>& of) : d(of.d) {
    coefficients = memory;
    rows = coefficients + of.k;
    outer = rows + of.k * of.d;
  }

  // Adds one component's slab: the coefficients g, g y, and g y y' where `y` is given.
  void add(const Slab<V>& slab, int64_t k, int64_t factor, const T* g, const T* weighted,
           const T* y) const {
    V total{};
    for (int64_t n = 0; n < slab.points(); n += kLanesOf<V>) total += load<V>(g + n);
    coefficients[k] += double(sum_lanes(total));
    add_row_sums<V>(slab, weighted, rows + k * d);
    if (y) add_outer_products<V>(slab, weighted, y, outer + factor * triangle(d));
  }
};

template <class T>
inline bool all_zero(const T* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (values[i] != 0) return false;
  return true;
}

// to = g from, a number a point.
template <class V>
inline void weigh_slab(const Slab<V>& slab, const ScalarOf<V>* from, const ScalarOf<V>* g,
                       ScalarOf<V>* to) {
  for (int64_t group = 0; group < slab.groups; ++group) {
    V weight[kVectors];
    for (int v = 0; v < slab.vectors(group); ++v)
      weight[v] = load<V>(g + group * kGroupPoints<V> + v * kLanesOf<V>);
    for (int64_t i = 0; i < slab.d; ++i)
      for (int v = 0; v < slab.vectors(group); ++v) {
        const int64_t at = slab.group(group) + i * kGroupPoints<V> + v * kLanesOf<V>;
        store<V>(to + at, weight[v] * load<V>(from + at));
      }
  }
}

template <class V>
using FullTaskSums = TaskSums<FullSums<V>, PackedFullMixture<V>>;

// d/dmu = W' sum g y of one component.
template <class V>
void write_mean_gradient(const Column<ScalarOf<V>>& to, const FullComponents<V>& components,
                         const FullSums<V>& sums, int64_t k) {
  using T = ScalarOf<V>;
  for (int64_t j = 0; j < components.d; ++j) {
    double total = 0;
    for (int64_t i = j; components.alive(k) && i < components.d; ++i)
      total += components.inverse(components.factor_of(k), i, j) * sums.rows[k * components.d + i];
    to.at(k, j) = T(total);
  }
}

// d/dL = tril(W' S) - diag(W) c of one factor, with S = sum g y y' and c = sum g.
template <class V>
void write_factor_gradient(ScalarOf<V>* to, const int64_t* stride,
                           const FullComponents<V>& components, int64_t factor, const double* outer,
                           double coefficient, double* row) {
  using T = ScalarOf<V>;
  const int64_t d = components.d;
  for (int64_t a = 0; a < d; ++a) {
    for (int64_t b = 0; b < d; ++b) row[b] = 0;
    for (int64_t i = a; i < d; ++i) {
      const double weight = components.inverse(factor, i, a);
      const double* const sums = outer + FullSums<V>::triangle(i);
      for (int64_t b = 0; b <= a; ++b) row[b] += weight * sums[b];
    }
    row[a] -= components.inverse(factor, a, a) * coefficient;
    for (int64_t b = 0; b < d; ++b) to[a * stride[0] + b * stride[1]] = T(row[b]);
  }
}

// Writes the gradients by log_weights, means and factors into the three operands from `first`.
template <class V>
void write_gradients(const Problem& problem, const Runtime& runtime, const FullTaskSums<V>& sums,
                     const PackedFullMixture<V>& mixture, int first) {
  using T = ScalarOf<V>;
  const Operand& by_factor = problem.operand[first + 2];
  const int64_t factors = problem.batch ? mixture.entries[0].factors : 0;
  const int64_t jobs = problem.batch * factors;
  const int64_t workers = tasks_for(runtime, jobs * problem.d * problem.d * problem.d / 6, jobs);
  double* const scratch = allocate<double>(runtime, workers * problem.d);
  parallel(runtime, workers, [&](int64_t worker) {
    const Range mine = share(jobs, worker, workers);
    for (int64_t job = mine.begin; job < mine.end; ++job) {
      const int64_t entry = job / factors, factor = job % factors;
      const FullComponents<V>& components = mixture.entries[entry];
      const FullSums<V> total = sums.of_entry(entry);
      const Column<T> by_weight(problem, first, entry), by_mean(problem, first + 1, entry);
      double coefficient = 0;
      for (int64_t k = factors == 1 ? 0 : factor; k < (factors == 1 ? problem.k : factor + 1);
           ++k) {
        const double here = components.alive(k) ? total.coefficients[k] : 0;
        coefficient += here;
        if (by_weight.data) by_weight.at(k) = T(here);
        if (by_mean.data) write_mean_gradient<V>(by_mean, components, total, k);
      }
      if (T* const to = data_of<T>(problem, first + 2, entry))
        write_factor_gradient<V>(to + factor * by_factor.stride[0], by_factor.stride + 1,
                                 components, factor,
                                 total.outer + factor * FullSums<V>::triangle(problem.d),
                                 coefficient, scratch + worker * problem.d);
    }
  });
}

}  // namespace
}  // namespace pyvae
