// SPDX-License-Identifier: MIT
// Triangular matrices of batch entries on their way between the caller's tensors and the lanes.
#pragma once

#include "rows/row.h"
#include "rows/triangular.h"

namespace pyvae {
namespace {

// The vector and the matrix of one Gaussian of one batch entry.
template <class T>
struct TrilArgument {
  const T *mean = nullptr, *tril = nullptr;
  int64_t mean_stride = 0, row = 0, column = 0;

  TrilArgument() = default;
  TrilArgument(const Problem& problem, int first, int64_t entry)
      : mean(data_of<const T>(problem, first, entry)),
        tril(data_of<const T>(problem, first + 1, entry)),
        mean_stride(problem.operand[first].stride[0]),
        row(problem.operand[first + 1].stride[0]),
        column(problem.operand[first + 1].stride[1]) {}

  // The lower triangle, whose pattern the processor does not foresee.
  void prefetch(int64_t d) const {
    constexpr int64_t kLine = 64 / sizeof(T);
    for (int64_t i = 0; i < d; ++i)
      for (int64_t j = 0; j <= i; j += kLine) __builtin_prefetch(tril + i * row + j * column);
  }
};

// Steps through the elements of a square matrix by rows.
struct Element {
  int64_t d, i = 0, j = 0;
  void advance() {
    if (++j == d) j = 0, ++i;
  }
  bool below() const { return j < i; }
  bool diagonal() const { return j == i; }
};

// The strict lower triangles go to `to` and the diagonals to `scale`.
template <class V, class T = ScalarOf<V>>
void load_trils(AcrossColumns<V>, const TrilArgument<T>* of, int64_t d, const Matrix<T>& to,
                T* scale) {
  for (int64_t i = 0; i < d; ++i) {
    const T* const row = of->tril + i * of->row;
    const Row<V> values(row, of->column);
    for (int64_t j = 0; j < i; j += kLanesOf<V>) {
      const int64_t count = smaller<int64_t>(kLanesOf<V>, d - j);
      store_first(to.at(i, j), keep_first(values.at(j, count), i - j), count);
    }
    scale[i] = row[i * of->column];
  }
}
template <class V, class T = ScalarOf<V>>
void load_trils(AcrossEntries<V>, const TrilArgument<T>* of, int64_t d, const Matrix<T>& to,
                T* scale) {
  constexpr int kLanes = kLanesOf<V>;
  Element element{d};
  const auto place = [&](V value) {
    if (element.below()) store<V>(to.at(element.i, element.j), value);
    if (element.diagonal()) store<V>(scale + element.i * kLanes, value);
    element.advance();
  };
  const bool contiguous = of->row == d && of->column == 1;
  int64_t at = 0;
  for (; contiguous && at + kLanes <= d * d; at += kLanes) {
    V lanes[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = load<V>(of[lane].tril + at);
    transpose(lanes);
    for (int lane = 0; lane < kLanes; ++lane) place(lanes[lane]);
  }
  for (; at < d * d; ++at) {
    T lanes[kLanes];
    const int64_t offset = element.i * of->row + element.j * of->column;
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = of[lane].tril[offset];
    place(load<V>(lanes));
  }
}

// Writes the lower triangles of `count` entries, zeros above them.
template <class V, class T = ScalarOf<V>>
void write_trils(AcrossColumns<V>, const Matrix<T>& from, int64_t d, T* const* to, int64_t) {
  for (int64_t i = 0; i < d; ++i)
    for_each_vector<V>(d, [&](int64_t j, int64_t count) {
      V value{};
      if (j <= i) value = keep_first(load<V>(from.at(i, j)), i - j + 1);
      store_first(*to + i * d + j, value, count);
    });
}
template <class V, class T = ScalarOf<V>>
void write_trils(AcrossEntries<V>, const Matrix<T>& from, int64_t d, T* const* to, int64_t count) {
  constexpr int kLanes = kLanesOf<V>;
  Element element{d};
  const auto take = [&] {
    const bool inside = element.below() || element.diagonal();
    const V value = inside ? load<V>(from.at(element.i, element.j)) : V{};
    element.advance();
    return value;
  };
  int64_t at = 0;
  for (; at + kLanes <= d * d; at += kLanes) {
    V lanes[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = take();
    transpose(lanes);
    for (int64_t lane = 0; lane < count; ++lane) store<V>(to[lane] + at, lanes[lane]);
  }
  for (; at < d * d; ++at) {
    const V value = take();
    for (int64_t lane = 0; lane < count; ++lane) to[lane][at] = value[lane];
  }
}

// The transpose of [v | L] for the columns that have begun.
template <class V, class T = ScalarOf<V>>
void transpose_begun(const Matrix<T>& from, int64_t d, const Matrix<T>& to) {
  constexpr int kLanes = kLanesOf<V>;
  for (int64_t i = 0; i < d; i += kLanes)
    for (int64_t c = 0; c <= smaller(d, i + kLanes); c += kLanes) {
      V lanes[kLanes];
      for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = load<V>(from.at(i + lane, c));
      transpose(lanes);
      for (int lane = 0; lane < kLanes; ++lane) store<V>(to.at(c + lane, i), lanes[lane]);
    }
}

}  // namespace
}  // namespace pyvae
