// SPDX-License-Identifier: MIT
// The components of a mixture with full covariances, packed for the triangular products.
//
// With L the Cholesky factor of a covariance and W = L^-1, y = W (x - mean) has independent
// standard normal coordinates: one triangular product a point, half the work of a dense one. W is
// computed in double and packed in blocks of kRows rows: for each column up to the block's last,
// the block's kRows numbers. `upper` is W^T likewise, for the backward pass. A component of weight
// -inf, and a factor that no other component uses, is packed as zeros.
#pragma once

#include "common/parallel.h"
#include "common/parameters.h"
#include "math/gaussian.h"

namespace pyvae {
namespace {

// Rows by vectors of points in a register tile: 16 of 32 registers, or 8 of 16, hold the sums.
inline constexpr int kRows = 4;
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kVectors = 4;
#else
inline constexpr int kVectors = 2;
#endif

template <class V>
struct FullComponents {
  using T = ScalarOf<V>;

  int64_t k, d, factors, factor_size;  // factors: k, or 1 for a tied covariance
  T *constant, *mean, *lower, *upper;

  static int64_t triangle_size(int64_t d) {
    if (d == 0) return 0;
    return lower_panel((divide_up(d, kRows) - 1) * kRows) + kRows * d;  // `upper` is no longer
  }
  static int64_t footprint(int64_t k, int64_t d, int64_t factors, bool with_upper) {
    return k * (d + 1) + (with_upper ? 2 : 1) * factors * triangle_size(d);
  }
  FullComponents(T* memory, int64_t k_, int64_t d_, int64_t factors_)
      : k(k_), d(d_), factors(factors_), factor_size(triangle_size(d_)) {
    constant = memory;
    mean = constant + k;
    lower = mean + k * d;
    upper = lower + factors * factor_size;
  }

  bool alive(int64_t component) const { return constant[component] != -kInfinity<T>; }
  int64_t factor_of(int64_t component) const { return factors == 1 ? 0 : component; }
  // Where the panel of the block that begins at `row` starts.
  static int64_t lower_panel(int64_t row) { return row * (row + kRows) / 2; }
  int64_t upper_panel(int64_t row) const { return row * d - row * (row - kRows) / 2; }
  // W(row, column), column <= row, of one factor.
  T inverse(int64_t factor, int64_t row, int64_t column) const {
    const int64_t first = row / kRows * kRows;
    return lower[factor * factor_size + lower_panel(first) + column * kRows + row - first];
  }
};

// W = L^-1 by rows, in double: row i is (e_i - sum_{j<i} L_ij W_j) / L_ii. Returns sum log L_ii.
template <class T>
double invert_triangle(const FullParameters<T>& from, int64_t factor, int64_t d, double* inverse) {
  double log_determinant = 0;
  for (int64_t i = 0; i < d; ++i) {
    double* const row = inverse + i * d;
    for (int64_t c = 0; c < d; ++c) row[c] = 0;
    for (int64_t j = 0; j < i; ++j) {
      const double scale = from.factor(factor, i, j);
      const double* const other = inverse + j * d;
      for (int64_t c = 0; c <= j; ++c) row[c] -= scale * other[c];
    }
    const double pivot = from.factor(factor, i, i);
    for (int64_t c = 0; c < i; ++c) row[c] /= pivot;
    row[i] = 1 / pivot;
    log_determinant += __builtin_log(pivot);
  }
  return log_determinant;
}

template <class V>
void pack_triangles(FullComponents<V>& packed, int64_t factor, const double* inverse,
                    bool with_upper) {
  using T = ScalarOf<V>;
  const int64_t d = packed.d;
  const auto at = [&](int64_t row, int64_t column) {
    return row < d && column <= row ? T(inverse[row * d + column]) : T(0);
  };
  for (int64_t row = 0; row < d; row += kRows) {
    T* to = packed.lower + factor * packed.factor_size + packed.lower_panel(row);
    for (int64_t column = 0; column < smaller(d, row + kRows); ++column)
      for (int64_t r = 0; r < kRows; ++r) *to++ = at(row + r, column);
  }
  for (int64_t row = 0; with_upper && row < d; row += kRows) {
    T* to = packed.upper + factor * packed.factor_size + packed.upper_panel(row);
    for (int64_t column = row; column < d; ++column)
      for (int64_t r = 0; r < kRows; ++r)
        *to++ = row + r < d && row + r <= column ? T(inverse[column * d + row + r]) : T(0);
  }
}

// Packs one factor and the constants of the components that use it.
template <class V>
void pack_factor(FullComponents<V>& packed, const FullParameters<ScalarOf<V>>& from, int64_t factor,
                 double* scratch, bool with_upper) {
  using T = ScalarOf<V>;
  const int64_t first = packed.factors == 1 ? 0 : factor;
  const int64_t last = packed.factors == 1 ? packed.k : factor + 1;
  bool used = false;
  for (int64_t k = first; k < last; ++k) used |= from.weighs(k);
  double log_determinant = 0;
  if (used)
    log_determinant = invert_triangle(from, factor, packed.d, scratch);
  else
    for (int64_t i = 0; i < packed.d * packed.d; ++i) scratch[i] = 0;
  pack_triangles(packed, factor, scratch, with_upper);
  for (int64_t k = first; k < last; ++k) {
    const bool alive = from.alive(k, packed.d);
    packed.constant[k] =
        alive ? T(from.log_weight(k) - log_determinant - 0.5 * kLog2Pi * double(packed.d))
              : -kInfinity<T>;
    for (int64_t d = 0; d < packed.d; ++d)
      packed.mean[k * packed.d + d] = alive ? from.mean(k, d) : T(0);
  }
}

// The most that 1/sigma of a coordinate, given the others, differs by over the factors in use;
// infinite where one is.
template <class V>
ScalarOf<V> ratio_of_scales(const FullComponents<V>& packed) {
  using T = ScalarOf<V>;
  T ratio = 1;
  for (int64_t j = 0; j < packed.d; ++j) {
    T low = kInfinity<T>, high = 0;
    for (int64_t k = 0; k < packed.factors; ++k) {
      if (packed.factors > 1 && !packed.alive(k)) continue;
      T square = 0;
      for (int64_t i = j; i < packed.d; ++i)
        square += packed.inverse(k, i, j) * packed.inverse(k, i, j);
      low = smaller(low, square), high = larger(high, square);
    }
    if (high > 0) ratio = larger(ratio, high / low);
  }
  return ratio < kInfinity<T> ? T(__builtin_sqrt(double(ratio))) : ratio;
}

// The components of every batch entry, packed once for all tasks.
template <class V>
struct PackedFullMixture {
  using T = ScalarOf<V>;
  FullComponents<V>* entries;
  T* scale_ratios;  // of every entry; 1 where there is no `upper`

  PackedFullMixture(const Problem& problem, const Runtime& runtime, int first_parameter,
                    bool with_upper) {
    const int64_t factors = problem.operand[first_parameter + 2].size[0];
    const int64_t each = FullComponents<V>::footprint(problem.k, problem.d, factors, with_upper);
    T* const memory = allocate<T>(runtime, problem.batch * each);
    entries = allocate<FullComponents<V>>(runtime, problem.batch);
    for (int64_t entry = 0; entry < problem.batch; ++entry)
      entries[entry] = FullComponents<V>(memory + entry * each, problem.k, problem.d, factors);
    const int64_t jobs = problem.batch * factors, size = problem.d * problem.d;
    const int64_t workers = tasks_for(runtime, jobs * size * (problem.d + 8) / 6, jobs);
    double* const scratch = allocate<double>(runtime, workers * size);
    parallel(runtime, workers, [&](int64_t worker) {
      const Range mine = share(jobs, worker, workers);
      for (int64_t job = mine.begin; job < mine.end; ++job)
        pack_factor(entries[job / factors],
                    FullParameters<T>(problem, first_parameter, job / factors), job % factors,
                    scratch + worker * size, with_upper);
    });
    scale_ratios = allocate<T>(runtime, problem.batch);
    for (int64_t entry = 0; entry < problem.batch; ++entry)
      scale_ratios[entry] = with_upper ? ratio_of_scales(entries[entry]) : T(1);
  }
};

}  // namespace
}  // namespace pyvae
