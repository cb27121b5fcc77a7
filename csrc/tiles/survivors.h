// SPDX-License-Identifier: MIT
// Which coefficients of a chunk are not zero.
#pragma once

#include <type_traits>

#include "tiles/scores.h"

namespace pyvae {
namespace {

// A row of vectors of coordinates by fours, and the rest by twos and ones, so that what is sought
// out once serves several: body(how many, the first coordinate).
template <class V, class Body>
inline void for_each_width(int64_t padded_d, const Body& body) {
  constexpr int64_t kLanes = kLanesOf<V>;
  int64_t d = 0;
  for (; d + 4 * kLanes <= padded_d; d += 4 * kLanes) body(std::integral_constant<int, 4>(), d);
  for (; d + 2 * kLanes <= padded_d; d += 2 * kLanes) body(std::integral_constant<int, 2>(), d);
  for (; d < padded_d; d += kLanes) body(std::integral_constant<int, 1>(), d);
}

// Some components of a chunk, as bits.
template <class V>
struct ChunkBits {
  static constexpr int kWords = (kChunk<V> + 63) / 64;
  uint64_t words[kWords];

  void clear() {
    for (uint64_t& word : words) word = 0;
  }
  // The components of a vector.
  void add(int64_t c, uint32_t lanes) { words[c / 64] |= uint64_t(lanes) << (c % 64); }
  bool has(int64_t c) const { return words[c / 64] >> (c % 64) & 1; }
  bool any() const { return count() != 0; }
  int64_t count() const {
    int64_t found = 0;
    for (uint64_t word : words) found += __builtin_popcountll(word);
    return found;
  }
  template <class Body>
  void for_each(const Body& body) const {
    for (int w = 0; w < kWords; ++w)
      for_each_bit(words[w], [&](int bit) { body(int64_t(w * 64 + bit)); });
  }
};

template <class V>
class Survivors {
  static_assert(kBlock == 64, "the points of a block are the bits of a word");
  // Above one in so many, passing over all pairs in registers is quicker.
  static constexpr int64_t kFew = 4;

 public:
  // Of no point yet.
  Survivors() = default;
  // All coefficients of a chunk that are not zero; NaN is not.
  Survivors(const ScalarOf<V>* coefficients, int64_t points, int64_t columns) {
    for (int64_t n = 0; n < points; ++n) {
      begin(n);
      for (int64_t c = 0; c < columns; c += kLanesOf<V>)
        add(n, c, lanes_where<V>(load<V>(coefficients + n * kChunk<V> + c) != V{}));
      end(n);
    }
  }

  // One point after the other: the components of every vector of a chunk, as bits.
  void begin(int64_t n) { components_[n].clear(); }
  void add(int64_t n, int64_t c, uint32_t lanes) { components_[n].add(c, lanes); }
  void end(int64_t n) {
    count_ += components_[n].count();
    points_ = n + 1;  // of the last that has any
  }

  // Point n with everything.
  void take_all(int64_t n, int64_t columns) {
    for (int64_t c = 0; c < columns; c += kLanesOf<V>)
      add(n, c, uint32_t((uint64_t(1) << kLanesOf<V>)-1));
    count_ += columns;
    points_ = larger(points_, n + 1);
  }

  bool none() const { return count_ == 0; }
  bool few(int64_t pairs) const { return count_ * kFew <= pairs; }
  const ChunkBits<V>& of_point(int64_t n) const { return components_[n]; }

  // The points of every component, as bits.
  void by_component(uint64_t (&points_of)[kChunk<V>]) const {
    for (uint64_t& points : points_of) points = 0;
    for (int64_t n = 0; n < points_; ++n)
      components_[n].for_each([&](int64_t c) { points_of[c] |= uint64_t(1) << n; });
  }

 private:
  ChunkBits<V> components_[kBlock];
  int64_t points_ = 0, count_ = 0;
};

}  // namespace
}  // namespace pyvae
