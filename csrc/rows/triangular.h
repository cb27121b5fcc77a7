// SPDX-License-Identifier: MIT
// Lower triangular systems with a unit diagonal, and the products that go with them.
//
// A right-hand side is the matrix [v | L]: a vector, then a lower triangular matrix, so column c
// begins at row c - 1 and everything above holds zeros. Rows come in blocks of kBlockRows, padded
// with zeros.
#pragma once

#include "common/parallel.h"
#include "math/simd.h"

namespace pyvae {
namespace {

// Rows whose sums stay in registers together: enough to hide the latency of a multiply-add.
inline constexpr int kBlockRows = 8;

// Lanes run over the columns of one system.
template <class Vec>
struct AcrossColumns {
  using V = Vec;
  static constexpr int kEntries = 1, kColumns = kLanesOf<V>, kUnit = 1;
  static V coefficient(const ScalarOf<V>* from) { return splat<V>(*from); }
};

// Lanes run over as many systems, interleaved element by element: for sizes that would leave most
// lanes of a row empty.
template <class Vec>
struct AcrossEntries {
  using V = Vec;
  static constexpr int kEntries = kLanesOf<V>, kColumns = 1, kUnit = kLanesOf<V>;
  static V coefficient(const ScalarOf<V>* from) { return load<V>(from); }
};

template <class T>
struct Matrix {
  T* data = nullptr;
  int64_t row = 0, column = 0;  // strides

  T* at(int64_t i, int64_t j) const { return data + i * row + j * column; }
  Matrix transposed() const { return {data, column, row}; }
  Matrix from_column(int64_t j) const { return {at(0, j), row, column}; }
};

// sum[r] -= sum_k a(r, k) b(k)
template <class Lanes, class V = typename Lanes::V, class T = ScalarOf<V>>
inline void subtract_product(V (&sum)[kBlockRows], const T* a, int64_t a_row, int64_t a_step,
                             const T* b, int64_t b_step, int64_t count) {
  for (int64_t k = 0; k < count; ++k, a += a_step, b += b_step) {
    const V right = load<V>(b);
    for (int r = 0; r < kBlockRows; ++r) sum[r] -= Lanes::coefficient(a + r * a_row) * right;
  }
}

template <class V, class T>
inline void load_block(V (&sum)[kBlockRows], const T* from, int64_t row) {
  for (int r = 0; r < kBlockRows; ++r) sum[r] = load<V>(from + r * row);
}
template <class V, class T>
inline void store_block(const V (&sum)[kBlockRows], T* to, int64_t row) {
  for (int r = 0; r < kBlockRows; ++r) store<V>(to + r * row, sum[r]);
}

// The block of rows in which column c begins.
inline int64_t first_block(int64_t column) {
  return column == 0 ? 0 : (column - 1) / kBlockRows * kBlockRows;
}

// The triangle inside a block: from(r, q) for r > q.
template <class Lanes, class V = typename Lanes::V, class T = ScalarOf<V>>
inline void solve_block(V (&sum)[kBlockRows], const T* from, int64_t row, int64_t column) {
  for (int q = 0; q < kBlockRows; ++q)
    for (int r = q + 1; r < kBlockRows; ++r)
      sum[r] -= Lanes::coefficient(from + r * row + q * column) * sum[q];
}

// right = factor^-1 right, of which the strict lower triangle is read.
template <class Lanes, class T = ScalarOf<typename Lanes::V>>
void solve(const Matrix<T>& factor, const Matrix<T>& right, int64_t rows, int64_t columns) {
  typename Lanes::V sum[kBlockRows];
  for (int64_t c = 0; c < columns; c += Lanes::kColumns) {
    const int64_t first = first_block(c);
    for (int64_t i = first; i < rows; i += kBlockRows) {
      load_block(sum, right.at(i, c), right.row);
      subtract_product<Lanes>(sum, factor.at(i, first), factor.row, factor.column,
                              right.at(first, c), right.row, i - first);
      solve_block<Lanes>(sum, factor.at(i, i), factor.row, factor.column);
      store_block(sum, right.at(i, c), right.row);
    }
  }
}

// right = factor^-T right where the columns have begun; above, blocks keep something arbitrary.
// The same upside down: the rows of a block are taken from its last.
template <class Lanes, class T = ScalarOf<typename Lanes::V>>
void solve_transposed(const Matrix<T>& factor, const Matrix<T>& right, int64_t rows,
                      int64_t columns) {
  typename Lanes::V sum[kBlockRows];
  for (int64_t c = 0; c < columns; c += Lanes::kColumns) {
    const int64_t first = first_block(c);
    for (int64_t last = rows - 1; last > first; last -= kBlockRows) {
      const int64_t below = last + 1;
      load_block(sum, right.at(last, c), -right.row);
      subtract_product<Lanes>(sum, factor.at(below, last), -factor.column, factor.row,
                              right.at(below, c), right.row, rows - below);
      solve_block<Lanes>(sum, factor.at(last, last), -factor.column, -factor.row);
      store_block(sum, right.at(last, c), -right.row);
    }
  }
}

// product(i, j) = -sum_c left(i, c) right(j, c) for j <= i, of two matrices of this form; `right`
// is given transposed.
template <class Lanes, class T = ScalarOf<typename Lanes::V>>
void multiply_transposed(const Matrix<T>& left, const Matrix<T>& right, const Matrix<T>& product,
                         int64_t rows, int64_t size) {
  typename Lanes::V sum[kBlockRows];
  for (int64_t i = 0; i < rows; i += kBlockRows)
    for (int64_t j = 0; j < smaller(size, i + kBlockRows); j += Lanes::kColumns) {
      for (int r = 0; r < kBlockRows; ++r) sum[r] = typename Lanes::V{};
      subtract_product<Lanes>(sum, left.at(i, 0), left.row, left.column, right.at(0, j), right.row,
                              smaller(size, j + Lanes::kColumns) + 1);
      store_block(sum, product.at(i, j), product.row);
    }
}

}  // namespace
}  // namespace pyvae
