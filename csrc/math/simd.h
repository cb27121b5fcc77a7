// SPDX-License-Identifier: MIT
// One vocabulary for scalars and for vectors of lanes, so that a formula is written once for both.
//
// A vector is a GCC/Clang vector extension type; arithmetic, comparison and `mask ? a : b` work on
// it as they do on a scalar. Everything here has internal linkage: each instruction set compiles a
// copy of its own, and none may leak into another (a weak AVX-512 symbol would be picked for the
// baseline too).
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "math/host_device.h"

namespace pyvae {
namespace {

template <class T, int kBytes>
struct VectorOf {
  typedef T type __attribute__((vector_size(kBytes)));
};
template <class T, int kBytes>
using Vector = typename VectorOf<T, kBytes>::type;

// Numbers<V>: the scalar of V, the integers of V's shape, and how many lanes it has.
template <class V>
struct Numbers {
  using Scalar = __typeof__(V{}[0] + 0);
  using Integer = __typeof__(V{} < V{});
  using Unsigned =
      Vector<std::conditional_t<sizeof(Scalar) == 8, uint64_t, uint32_t>, int(sizeof(V))>;
  static constexpr int kLanes = sizeof(V) / sizeof(Scalar);
};
template <>
struct Numbers<float> {
  using Scalar = float;
  using Integer = int32_t;
  using Unsigned = uint32_t;
  static constexpr int kLanes = 1;
};
template <>
struct Numbers<double> {
  using Scalar = double;
  using Integer = int64_t;
  using Unsigned = uint64_t;
  static constexpr int kLanes = 1;
};
template <class V>
using ScalarOf = typename Numbers<V>::Scalar;
template <class V>
using IntegerOf = typename Numbers<V>::Integer;
template <class V>
using UnsignedOf = typename Numbers<V>::Unsigned;
template <class V>
inline constexpr int kLanesOf = Numbers<V>::kLanes;

// A loop over lanes compiles to one insert a lane; subtracting a zero vector compiles to a
// broadcast.
template <class V>
PYVAE_HD inline V splat(ScalarOf<V> value) {
  return value - V{};
}

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

// The first `count` lanes, zero in the others.
template <class V>
inline V keep_first(V value, int64_t count) {
  ScalarOf<V> lanes[kLanesOf<V>];
  for (int lane = 0; lane < kLanesOf<V>; ++lane) lanes[lane] = ScalarOf<V>(lane);
  return load<V>(lanes) < ScalarOf<V>(count) ? value : V{};
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
struct Add {
  template <class V>
  V operator()(V a, V b) const {
    return a + b;
  }
};
struct Largest {
  template <class V>
  V operator()(V a, V b) const {
    return b > a ? b : a;
  }
};
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

template <class T>
inline constexpr T kInfinity = T(__builtin_inf());
template <class T>
inline constexpr T kLargestFinite =
    sizeof(T) == sizeof(float) ? T(0x1.fffffep127) : T(0x1.fffffffffffffp1023);

template <class T>
PYVAE_HD inline T larger(T a, T b) {
  return a < b ? b : a;
}
template <class T>
PYVAE_HD inline T smaller(T a, T b) {
  return b < a ? b : a;
}

}  // namespace
}  // namespace pyvae
