// SPDX-License-Identifier: MIT
// Vectors of lanes beyond arithmetic: memory, reductions over lanes, transposition. For the CPU.
#pragma once

#include "math/numbers.h"

namespace pyvae {
namespace {

// Unaligned on purpose: rows of the caller's tensors start anywhere.
template <class V>
inline V load(const ScalarOf<V>* from) {
  V value;
  __builtin_memcpy(&value, from, sizeof(V));
  return value;
}
template <class V>
inline void store(ScalarOf<V>* to, V value) {
  __builtin_memcpy(to, &value, sizeof(V));
}

// 0, 1, 2 and so on.
template <class V>
inline V lane_numbers() {
  ScalarOf<V> lanes[kLanesOf<V>];
  for (int lane = 0; lane < kLanesOf<V>; ++lane) lanes[lane] = ScalarOf<V>(lane);
  return load<V>(lanes);
}

// The first `count` lanes, zero in the others.
template <class V>
inline V keep_first(V value, int64_t count) {
  return lane_numbers<V>() < ScalarOf<V>(count) ? value : V{};
}

// Adds lanes of float or double to doubles.
template <class V>
inline void add_to(double* to, V value) {
  using Wide = Vector<double, kLanesOf<V>* int(sizeof(double))>;
  store<Wide>(to, load<Wide>(to) + __builtin_convertvector(value, Wide));
}

// Sums and maxima over the lanes, halving in registers. A NaN lane makes the sum NaN; the maximum
// passes it over.
template <class V>
inline ScalarOf<V> sum_lanes(V value) {
  ScalarOf<V> lanes[kLanesOf<V>];
  store<V>(lanes, value);
  for (int width = kLanesOf<V> / 2; width > 0; width /= 2)
    for (int lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
  return lanes[0];
}
template <class V>
inline ScalarOf<V> max_lanes(V value) {
  ScalarOf<V> lanes[kLanesOf<V>];
  store<V>(lanes, value);
  for (int width = kLanesOf<V> / 2; width > 0; width /= 2)
    for (int lane = 0; lane < width; ++lane)
      lanes[lane] = lanes[lane + width] > lanes[lane] ? lanes[lane + width] : lanes[lane];
  return lanes[0];
}

// Lane i of the result is the reduction of the lanes of rows[i]: a transposition folded into the
// reduction, at three operations a row instead of a store and a loop.
// Swaps the second of every kHalf lanes of `a` with the first of every kHalf lanes of `b`.
template <int kHalf, class V, int... kIndices>
inline void exchange(V& a, V& b, std::integer_sequence<int, kIndices...>) {
  constexpr int kLanes = kLanesOf<V>;
  const V low =
      __builtin_shufflevector(a, b, ((kIndices & kHalf) ? kLanes + kIndices - kHalf : kIndices)...);
  b = __builtin_shufflevector(a, b, ((kIndices & kHalf) ? kLanes + kIndices : kIndices + kHalf)...);
  a = low;
}
template <int kHalf, class Reduce, class V>
inline V fold_pair(const Reduce& reduce, V a, V b) {
  exchange<kHalf>(a, b, std::make_integer_sequence<int, kLanesOf<V>>());
  return reduce(a, b);
}
template <int kHalf, class Reduce, class V>
inline void fold_from(const Reduce& reduce, V* rows) {
  for (int i = 0; i < kHalf; ++i) rows[i] = fold_pair<kHalf>(reduce, rows[i], rows[i + kHalf]);
  if constexpr (kHalf > 1) fold_from<kHalf / 2>(reduce, rows);
}
template <class Reduce, class V>
inline V fold_rows(const Reduce& reduce, V* rows) {  // kLanes of them, which are written over
  fold_from<kLanesOf<V> / 2>(reduce, rows);
  return rows[0];
}

// Lane i of row j becomes lane j of row i.
template <int kHalf, class V>
inline void transpose_from(V* rows) {
  for (int i = 0; i < kLanesOf<V>; ++i)
    if (!(i & kHalf))
      exchange<kHalf>(rows[i], rows[i + kHalf], std::make_integer_sequence<int, kLanesOf<V>>());
  if constexpr (kHalf > 1) transpose_from<kHalf / 2>(rows);
}
template <class V>
inline void transpose(V (&rows)[kLanesOf<V>]) {
  transpose_from<kLanesOf<V> / 2>(rows);
}

}  // namespace
}  // namespace pyvae
