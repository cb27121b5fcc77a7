// SPDX-License-Identifier: MIT
// A slab of points for the full-covariance kernels: transposed, so that lanes run over points.
//
// A slab is cut into groups of kVectors vectors of points. An array of a slab holds its groups one
// after the other, each (d, points of a group).
#pragma once

#include <type_traits>

#include "common/column.h"
#include "full/components.h"

namespace pyvae {
namespace {

template <class V>
inline constexpr int kGroupPoints = kVectors * kLanesOf<V>;

// Points of a slab: its four arrays fill a part of the second-level cache.
inline constexpr int64_t kSlabBytes = 128 << 10;
inline constexpr int64_t kMostSlabPoints = 1024;
template <class V>
inline int64_t slab_points(int64_t d) {
  const int64_t fit = kSlabBytes / int64_t(sizeof(ScalarOf<V>)) / larger<int64_t>(d, 1);
  const int64_t groups = larger<int64_t>(1, smaller(fit, kMostSlabPoints) / kGroupPoints<V>);
  return groups * kGroupPoints<V>;
}

// Calls body(how many vectors of a group are looked at), with a number known to the compiler.
template <class Body>
inline void with_vectors(int vectors, const Body& body) {
  if (vectors == 1)
    body(std::integral_constant<int, 1>());
  else if (vectors == 2)
    body(std::integral_constant<int, 2>());
  else
    body(std::integral_constant<int, kVectors>());
}

template <class V>
struct Slab {
  using T = ScalarOf<V>;

  int64_t d = 0, count = 0, groups = 0;
  T* x = nullptr;
  bool* unreachable = nullptr;  // holds an infinity: its density is zero under every component
  int last_vectors = kVectors;  // of the last group that are looked at

  int vectors(int64_t group) const { return group + 1 < groups ? kVectors : last_vectors; }
  int64_t points() const { return groups * kGroupPoints<V>; }
  // Where a group starts in an array of the slab.
  int64_t group(int64_t index) const { return index * d * kGroupPoints<V>; }
  // Where coordinate 0 of a point is; the next coordinate is kGroupPoints further on.
  int64_t at(int64_t n) const { return group(n / kGroupPoints<V>) + n % kGroupPoints<V>; }

  void load(const Column<const T>& from, int64_t first, int64_t count_) {
    count = count_;
    groups = divide_up(count, kGroupPoints<V>);
    for (int64_t n = 0; n < points(); ++n) {
      T* const to = x + at(n);
      T poison = 0;  // NaN as soon as one coordinate is infinite or NaN
      bool nan = false;
      for (int64_t i = 0; i < d; ++i) {
        const T value = n < count ? from.at(first + n, i) : T(0);
        to[i * kGroupPoints<V>] = value;
        poison += value - value;
        nan |= value != value;
      }
      unreachable[n] = poison != poison && !nan;
      if (unreachable[n]) clear(n);
    }
  }

  // A point without a density must not meet the components' numbers: 0 * inf is NaN.
  void clear(int64_t n) {
    T* const to = x + at(n);
    for (int64_t i = 0; i < d; ++i) to[i * kGroupPoints<V>] = 0;
  }
};

}  // namespace
}  // namespace pyvae
