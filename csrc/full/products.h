// SPDX-License-Identifier: MIT
// The three products of the full-covariance kernels, lanes over points: W times a group, W^T times
// a group, and the sums over points of outer products.
#pragma once

#include "full/slab.h"

namespace pyvae {
namespace {

// x - mean for one group.
template <class V>
inline void subtract_mean(const ScalarOf<V>* x, const ScalarOf<V>* mean, int64_t d,
                          ScalarOf<V>* to) {
  for (int64_t i = 0; i < d; ++i)
    for (int v = 0; v < kVectors; ++v) {
      const int64_t at = i * kGroupPoints<V> + v * kLanesOf<V>;
      store<V>(to + at, load<V>(x + at) - mean[i]);
    }
}

// One block of kRows rows of a triangular product: sum over `columns` rows of `from`.
template <int kWide, class V>
inline void multiply_block(const ScalarOf<V>* panel, const ScalarOf<V>* from, int64_t columns,
                           V (&sum)[kRows][kWide]) {
  for (int r = 0; r < kRows; ++r)
    for (int v = 0; v < kWide; ++v) sum[r][v] = V{};
  for (int64_t j = 0; j < columns; ++j, panel += kRows, from += kGroupPoints<V>) {
    V x[kWide];
    for (int v = 0; v < kWide; ++v) x[v] = load<V>(from + v * kLanesOf<V>);
    for (int r = 0; r < kRows; ++r) {
      const V weight = splat<V>(panel[r]);
      for (int v = 0; v < kWide; ++v) sum[r][v] += weight * x[v];
    }
  }
}

// y = W gap, and the squared length of y, for one group; y may be null.
template <int kWide, class V>
inline void standardise_group(const FullComponents<V>& components, int64_t factor,
                              const ScalarOf<V>* gap, ScalarOf<V>* y, V (&squares)[kWide]) {
  const auto* const lower = components.lower + factor * components.factor_size;
  const int64_t d = components.d;
  for (int v = 0; v < kWide; ++v) squares[v] = V{};
  for (int64_t row = 0; row < d; row += kRows) {
    V sum[kRows][kWide];
    multiply_block<kWide, V>(lower + components.lower_panel(row), gap, smaller(d, row + kRows),
                             sum);
    for (int r = 0; r < kRows; ++r)  // rows past the last are zero
      for (int v = 0; v < kWide; ++v) squares[v] += sum[r][v] * sum[r][v];
    for (int64_t r = 0; y && r < smaller<int64_t>(kRows, d - row); ++r)
      for (int v = 0; v < kWide; ++v)
        store<V>(y + (row + r) * kGroupPoints<V> + v * kLanesOf<V>, sum[r][v]);
  }
}

// to += W^T from, for one group.
template <int kWide, class V>
inline void add_transposed(const FullComponents<V>& components, int64_t factor,
                           const ScalarOf<V>* from, ScalarOf<V>* to) {
  const auto* const upper = components.upper + factor * components.factor_size;
  const int64_t d = components.d;
  for (int64_t row = 0; row < d; row += kRows) {
    V sum[kRows][kWide];
    multiply_block<kWide, V>(upper + components.upper_panel(row), from + row * kGroupPoints<V>,
                             d - row, sum);
    for (int64_t r = 0; r < smaller<int64_t>(kRows, d - row); ++r)
      for (int v = 0; v < kWide; ++v) {
        auto* const at = to + (row + r) * kGroupPoints<V> + v * kLanesOf<V>;
        store<V>(at, load<V>(at) + sum[r][v]);
      }
  }
}

// to[i] += sum over the slab's points of from_i.
template <class V>
inline void add_row_sums(const Slab<V>& slab, const ScalarOf<V>* from, double* to) {
  for (int64_t i = 0; i < slab.d; ++i) {
    V total{};
    for (int64_t g = 0; g < slab.groups; ++g)
      for (int v = 0; v < slab.vectors(g); ++v)
        total += load<V>(from + slab.group(g) + i * kGroupPoints<V> + v * kLanesOf<V>);
    to[i] += double(sum_lanes(total));
  }
}

// One tile of the outer products: rows i.. of `a` against rows j.. of `b`, over the whole slab.
template <class V>
inline void outer_tile(const Slab<V>& slab, const ScalarOf<V>* a, const ScalarOf<V>* b,
                       int64_t rows, int64_t columns, V* to) {
  V sum[kRows][kRows] = {};
  const auto add = [&](int64_t at) {
    V left[kRows], right[kRows];
    for (int r = 0; r < kRows; ++r) {
      left[r] = load<V>(a + at + smaller<int64_t>(r, rows - 1) * kGroupPoints<V>);
      right[r] = load<V>(b + at + smaller<int64_t>(r, columns - 1) * kGroupPoints<V>);
    }
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kRows; ++c) sum[r][c] += left[r] * right[c];
  };
  for (int64_t g = 0; g + 1 < slab.groups; ++g)
    for (int v = 0; v < kVectors; ++v) add(slab.group(g) + v * kLanesOf<V>);
  for (int v = 0; v < slab.last_vectors; ++v) add(slab.group(slab.groups - 1) + v * kLanesOf<V>);
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kRows; ++c) to[r * kRows + c] = sum[r][c];
}

// to(i, j) += sum over points of a_i b_j for j <= i, `to` being packed by rows: i (i + 1) / 2 + j.
template <class V>
inline void add_outer_products(const Slab<V>& slab, const ScalarOf<V>* a, const ScalarOf<V>* b,
                               double* to) {
  for (int64_t i = 0; i < slab.d; i += kRows)
    for (int64_t j = 0; j <= i; j += kRows) {
      const int64_t rows = smaller<int64_t>(kRows, slab.d - i);
      const int64_t columns = smaller<int64_t>(kRows, slab.d - j);
      V sum[kRows * kRows];
      outer_tile<V>(slab, a + i * kGroupPoints<V>, b + j * kGroupPoints<V>, rows, columns, sum);
      ScalarOf<V> total[kRows * kRows];
      for (int at = 0; at < kRows * kRows; at += kLanesOf<V>)
        store<V>(total + at, fold_rows(Add(), sum + at));
      for (int64_t r = 0; r < rows; ++r)
        for (int64_t c = 0; c < columns && j + c <= i + r; ++c)
          to[(i + r) * (i + r + 1) / 2 + j + c] += double(total[r * kRows + c]);
    }
}

}  // namespace
}  // namespace pyvae
