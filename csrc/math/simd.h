// SPDX-License-Identifier: MIT
// Vectors of lanes beyond arithmetic: memory, reductions over lanes, transposition. For the CPU.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

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

template <class V>
inline void add_vector(ScalarOf<V>* to, V value) {
  store<V>(to, load<V>(to) + value);
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

// A bit for every lane where a comparison of vectors holds.
template <class V>
inline uint32_t lanes_where(IntegerOf<V> holds) {
  constexpr bool kFloats = sizeof(ScalarOf<V>) == sizeof(float);
#if defined(__AVX512DQ__)
  if constexpr (sizeof(V) == 64)
    return kFloats ? _mm512_movepi32_mask(__builtin_bit_cast(__m512i, holds))
                   : _mm512_movepi64_mask(__builtin_bit_cast(__m512i, holds));
#endif
#if defined(__AVX__)
  if constexpr (sizeof(V) == 32)
    return uint32_t(kFloats ? _mm256_movemask_ps(__builtin_bit_cast(__m256, holds))
                            : _mm256_movemask_pd(__builtin_bit_cast(__m256d, holds)));
#endif
#if defined(__SSE2__)
  if constexpr (sizeof(V) == 16)
    return uint32_t(kFloats ? _mm_movemask_ps(__builtin_bit_cast(__m128, holds))
                            : _mm_movemask_pd(__builtin_bit_cast(__m128d, holds)));
#endif
  uint32_t bits = 0;
  for (int lane = 0; lane < kLanesOf<V>; ++lane) bits |= uint32_t(holds[lane] != 0) << lane;
  return bits;
}

template <class Body>
inline void for_each_bit(uint64_t bits, const Body& body) {
  for (; bits; bits &= bits - 1) body(__builtin_ctzll(bits));
}

// The lanes of the bits, one after the other from `to` on, where a whole vector may be written; and
// back from there, zero in the others.
template <class V>
inline void store_lanes(ScalarOf<V>* to, V value, uint32_t bits) {
#if defined(__AVX512F__)
  if constexpr (sizeof(V) == 64 && sizeof(ScalarOf<V>) == 4)
    return store<V>(to, V(_mm512_maskz_compress_ps(__mmask16(bits), __m512(value))));
  if constexpr (sizeof(V) == 64 && sizeof(ScalarOf<V>) == 8)
    return store<V>(to, V(_mm512_maskz_compress_pd(__mmask8(bits), __m512d(value))));
#endif
  for (; bits; bits &= bits - 1) *to++ = value[__builtin_ctz(bits)];
}
template <class V>
inline V load_lanes(const ScalarOf<V>* from, uint32_t bits) {
#if defined(__AVX512F__)
  if constexpr (sizeof(V) == 64 && sizeof(ScalarOf<V>) == 4)
    return V(_mm512_maskz_expand_ps(__mmask16(bits), __m512(load<V>(from))));
  if constexpr (sizeof(V) == 64 && sizeof(ScalarOf<V>) == 8)
    return V(_mm512_maskz_expand_pd(__mmask8(bits), __m512d(load<V>(from))));
#endif
  V value{};
  for (; bits; bits &= bits - 1) value[__builtin_ctz(bits)] = *from++;
  return value;
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
