// SPDX-License-Identifier: MIT
// A block of points, copied from the caller's strides into rows of their own and moved to the
// mixture's centre.
#pragma once

#include "common/column.h"
#include "tiles/components.h"

namespace pyvae {
namespace {

// Points handled together: they and one panel stay in the first-level cache.
inline constexpr int kBlock = 64;

template <class V>
struct PointBlock {
  using T = ScalarOf<V>;

  int64_t count = 0, padded_d = 0;
  T* row = nullptr;               // (kBlock, padded_d); rows past `count` hold zeros
  bool unreachable[kBlock] = {};  // holds an infinity: its density is zero under every component
  bool nan[kBlock] = {};          // holds a NaN, which must reach all gradients
  bool poisoned = false;          // some row does
  T largest = 0;                  // in size, of all coordinates

  const T* at(int64_t n) const { return row + n * padded_d; }

  void load(const Column<const T>& from, int64_t first, int64_t count_, int64_t points,
            const Components<V>& components) {
    count = count_;
    padded_d = components.padded_d;
    // A vector may be read past the end of a row as long as another row is there.
    const int64_t end = (points - 1) * from.stride[0] + components.d;
    V poison{}, most{};  // the former is NaN as soon as one coordinate is infinite or NaN
    for (int64_t n = 0; n < kBlock; ++n) {
      T* const to = row + n * padded_d;
      for (int64_t d = 0; d < padded_d; d += kLanesOf<V>) {
        V value{};
        if (n < count) value = coordinates(from, first + n, d, components.d, end);
        value -= load_centre(components, n < count, d);
        store<V>(to + d, value);
        poison += value - value;
        most = Largest()(most, size_of(value));
      }
      unreachable[n] = nan[n] = false;
    }
    largest = max_lanes(most);
    const T sum = sum_lanes(poison);
    poisoned = false;
    if (sum != sum) find_unreachable();
  }

  // What is known of rows that were not loaded here: `nan` and `largest`.
  void examine() {
    V most{};
    for (int64_t n = 0; n < kBlock; ++n) {
      V poison{};
      for (int64_t d = 0; d < padded_d; d += kLanesOf<V>) {
        const V value = pyvae::load<V>(at(n) + d);
        poison += value * T(0);
        most = Largest()(most, size_of(value));
      }
      const T sum = sum_lanes(poison);
      nan[n] = sum != sum;  // an infinity, too
    }
    largest = max_lanes(most);
  }

  // A row without a density must not meet the components' numbers: 0 * inf is NaN.
  void clear(int64_t n) {
    nan[n] = false;
    for (int64_t d = 0; d < padded_d; ++d) row[n * padded_d + d] = 0;
  }

 private:
  // A vector of coordinates of point n; lanes past the last are zero.
  static V coordinates(const Column<const T>& from, int64_t n, int64_t d, int64_t size,
                       int64_t end) {
    const int64_t left = size - d, at = n * from.stride[0] + d;
    if (from.stride[1] == 1 && left >= kLanesOf<V>) return pyvae::load<V>(from.data + at);
    if (from.stride[1] == 1 && from.stride[0] > 0 && at + kLanesOf<V> <= end)
      return keep_first(pyvae::load<V>(from.data + at), left);
    T lanes[kLanesOf<V>] = {};
    for (int64_t lane = 0; lane < kLanesOf<V> && lane < left; ++lane)
      lanes[lane] = from.at(n, d + lane);
    return pyvae::load<V>(lanes);
  }
  static V load_centre(const Components<V>& components, bool inside, int64_t d) {
    return inside ? pyvae::load<V>(components.centre + d) : V{};
  }

  void find_unreachable() {
    for (int64_t n = 0; n < count; ++n) {
      const T* const values = at(n);
      bool infinite = false;
      for (int64_t d = 0; d < padded_d; ++d) {
        infinite |= values[d] - values[d] != 0;
        nan[n] |= values[d] != values[d];
      }
      unreachable[n] = infinite && !nan[n];
      poisoned |= nan[n];
      if (unreachable[n]) clear(n);
    }
  }
};

// Points of a block, rounded up to whole vectors.
template <class V>
inline int64_t padded_count(int64_t count) {
  return divide_up(count, kLanesOf<V>) * kLanesOf<V>;
}

// The standard deviations that go with a block of means: e^(logvar / 2), zero for a point mass
// (logvar -inf).
template <class V>
void load_scales(const Column<const ScalarOf<V>>& from, int64_t first, int64_t count,
                 const Components<V>& components, ScalarOf<V>* to) {
  using T = ScalarOf<V>;
  for (int64_t n = 0; n < kBlock; ++n)
    for (int64_t d = 0; d < components.padded_d; d += kLanesOf<V>) {
      V logvar{}, use{};
      for (int64_t lane = 0; n < count && lane < kLanesOf<V> && d + lane < components.d; ++lane) {
        logvar[lane] = from.at(first + n, d + lane);
        use[lane] = 1;
      }
      store<V>(to + n * components.padded_d + d, use * exp(T(0.5) * logvar));
    }
}

}  // namespace
}  // namespace pyvae
