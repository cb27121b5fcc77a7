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
  T* row = nullptr;          // (kBlock, padded_d); rows past `count` hold zeros
  bool unreachable[kBlock];  // holds an infinity: its density is zero under every component

  const T* at(int64_t n) const { return row + n * padded_d; }

  void load(const Column<const T>& from, int64_t first, int64_t count_,
            const Components<V>& components) {
    count = count_;
    padded_d = components.padded_d;
    for (int64_t n = 0; n < kBlock; ++n) {
      T* const to = row + n * padded_d;
      T poison = 0;  // NaN as soon as one coordinate is infinite or NaN
      for (int64_t d = 0; d < padded_d; ++d) {
        const bool inside = n < count && d < components.d;
        to[d] = inside ? from.at(first + n, d) - components.centre[d] : T(0);
        poison += to[d] - to[d];
      }
      unreachable[n] = poison != poison && only_infinite(to);
      if (unreachable[n]) clear(n);
    }
  }

  // A row without a density must not meet the components' numbers: 0 * inf is NaN.
  void clear(int64_t n) {
    for (int64_t d = 0; d < padded_d; ++d) row[n * padded_d + d] = 0;
  }

 private:
  bool only_infinite(const T* values) const {
    for (int64_t d = 0; d < padded_d; ++d)
      if (values[d] != values[d]) return false;
    return true;
  }
};

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
