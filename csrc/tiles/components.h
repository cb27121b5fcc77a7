// SPDX-License-Identifier: MIT
// The components of a mixture, packed for the tiles.
//
// A panel holds up to two vectors of components, transposed so that lanes run over components: for
// each coordinate 1/sigma and mean/sigma. `rows` are the same numbers a component at a time, lanes
// over coordinates, for the backward pass. Padding columns and components of weight -inf hold zeros
// and the constant -inf: they cannot contribute.
#pragma once

#include "common/parallel.h"
#include "common/parameters.h"
#include "math/gaussian.h"

namespace pyvae {
namespace {

// Above this mean/sigma the rounding of the packed numbers would show: 5e-6 nats a coordinate at 32
// in float. Such a mixture is packed as 1/sigma and mean, and costs a third operation.
inline constexpr double kLargestCentredShift = 32;

template <class V>
struct Components {
  using T = ScalarOf<V>;
  static constexpr int kLanes = kLanesOf<V>;
  static constexpr int kPanel = 2 * kLanes;

  int64_t k, d, panels, padded_k, padded_d;
  bool centred = true;
  T scale_ratio = 1;  // the most that scales of a coordinate differ by; this and the next: of rows
  T largest_scale = 0, largest_shift = 0;
  T *panel, *constant, *log_weight, *row_scale, *row_shift, *centre;

  // How many numbers the packed arrays take.
  static int64_t padded(int64_t count, int64_t unit) { return divide_up(count, unit) * unit; }
  static int64_t footprint(int64_t k, int64_t d) {
    const int64_t columns = padded(k, kPanel), coordinates = padded(d, kLanes);
    return 2 * columns * d + padded(2 * columns, kLanes) + 2 * columns * coordinates + coordinates;
  }
  Components(T* memory, int64_t k_, int64_t d_) : k(k_), d(d_) {
    panels = divide_up(k, kPanel);
    padded_k = panels * kPanel;
    padded_d = padded(d, kLanes);
    constant = memory;
    log_weight = constant + padded_k;
    panel = log_weight + padded_k;
    row_scale = panel + 2 * padded_k * d;
    row_shift = row_scale + padded_k * padded_d;
    centre = row_shift + padded_k * padded_d;
  }

  const T* panel_at(int64_t index) const { return panel + 2 * index * kPanel * d; }
  // The last panel of a small mixture needs one vector only.
  int vectors_in(int64_t index) const { return k - index * kPanel > kLanes ? 2 : 1; }
  bool alive(int64_t component) const { return constant[component] != -kInfinity<T>; }

  // Some of them, packed as they are here; a dead one where a number is negative.
  Components gathered(const int64_t* which, int64_t count, T* memory) const {
    Components some(memory, count, d);
    some.centred = centred;
    some.scale_ratio = scale_ratio;
    some.largest_scale = largest_scale, some.largest_shift = largest_shift;
    for (int64_t i = 0; i < padded_d; ++i) some.centre[i] = centre[i];
    for (int64_t c = 0; c < some.padded_k; ++c) some.take(c, *this, c < count ? which[c] : -1);
    return some;
  }

 private:
  T* column(int64_t component) const {
    return panel + 2 * (component / kPanel) * kPanel * d + component % kPanel;
  }
  void take(int64_t c, const Components& from, int64_t k) {
    constant[c] = k < 0 ? -kInfinity<T> : from.constant[k];
    log_weight[c] = k < 0 ? T(0) : from.log_weight[k];
    for (int64_t i = 0; i < 2 * d; ++i)
      column(c)[i * kPanel] = k < 0 ? T(0) : from.column(k)[i * kPanel];
    for (int64_t i = 0; i < padded_d; ++i) {
      row_scale[c * padded_d + i] = k < 0 ? T(0) : from.row_scale[k * padded_d + i];
      row_shift[c * padded_d + i] = k < 0 ? T(0) : from.row_shift[k * padded_d + i];
    }
  }
};

// The mean of the means of the components that count; subtracting it from points and means keeps
// mean/sigma small.
template <class V>
void find_centre(Components<V>& packed, const Parameters<ScalarOf<V>>& from) {
  using T = ScalarOf<V>;
  for (int64_t d = 0; d < packed.padded_d; ++d) packed.centre[d] = 0;
  int64_t counted = 0;
  for (int64_t k = 0; k < packed.k; ++k) {
    if (from.log_weight(k) == -kInfinity<T>) continue;
    ++counted;
    for (int64_t d = 0; d < packed.d; ++d)
      packed.centre[d] += (from.mean(k, d) - packed.centre[d]) / T(counted);
  }
  for (int64_t d = 0; d < packed.d; ++d)
    if (!(__builtin_fabs(packed.centre[d]) < kInfinity<T>)) packed.centre[d] = 0;
}

// Packs one panel; returns its largest |mean/sigma| about the centre.
template <class V>
ScalarOf<V> pack_panel(Components<V>& packed, const Parameters<ScalarOf<V>>& from, int64_t index) {
  using T = ScalarOf<V>;
  constexpr int kPanel = Components<V>::kPanel, kLanes = Components<V>::kLanes;
  const int64_t first = index * kPanel;
  const int64_t count = smaller<int64_t>(kPanel, packed.k - first);
  T* const out = packed.panel + 2 * first * packed.d;
  bool alive[kPanel];
  double log_scale[kPanel] = {};
  for (int64_t c = 0; c < kPanel; ++c)
    alive[c] = c < count && from.log_weight(first + c) != -kInfinity<T>;
  V largest{};
  for (int64_t d = 0; d < packed.d; ++d) {
    for (int vector = 0; vector < 2; ++vector) {
      T lanes[3][kLanes] = {};
      for (int lane = 0; lane < kLanes; ++lane) {
        const int64_t c = vector * kLanes + lane;
        if (!alive[c]) continue;
        lanes[0][lane] = from.logvar(first + c, d);
        lanes[1][lane] = from.mean(first + c, d);
        lanes[2][lane] = 1;
        log_scale[c] += 0.5 * lanes[0][lane];
      }
      const V logvar = load<V>(lanes[0]), mean = load<V>(lanes[1]), use = load<V>(lanes[2]);
      const V inverse_scale = use * exp(T(-0.5) * logvar);
      const V shift = (mean - use * packed.centre[d]) * inverse_scale;
      const V size = shift < T(0) ? -shift : shift;
      largest = size > largest ? size : largest;
      store<V>(out + 2 * d * kPanel + vector * kLanes, inverse_scale);
      store<V>(out + (2 * d + 1) * kPanel + vector * kLanes, packed.centred ? shift : mean);
    }
  }
  for (int64_t c = 0; c < kPanel; ++c) {
    const T log_weight = alive[c] ? from.log_weight(first + c) : T(0);
    packed.log_weight[first + c] = log_weight;
    packed.constant[first + c] =
        alive[c] ? T(log_weight - log_scale[c] - 0.5 * kLog2Pi * double(packed.d)) : -kInfinity<T>;
  }
  return max_lanes(largest);
}

// Copies the panels to rows, a component at a time.
template <class V>
void transpose_rows(Components<V>& packed, int64_t index) {
  constexpr int kPanel = Components<V>::kPanel;
  const auto* from = packed.panel_at(index);
  for (int64_t c = 0; c < kPanel; ++c) {
    auto* const scale = packed.row_scale + (index * kPanel + c) * packed.padded_d;
    auto* const shift = packed.row_shift + (index * kPanel + c) * packed.padded_d;
    for (int64_t d = 0; d < packed.padded_d; ++d) {
      scale[d] = d < packed.d ? from[2 * d * kPanel + c] : 0;
      shift[d] = d < packed.d ? from[(2 * d + 1) * kPanel + c] : 0;
    }
  }
}

// The largest numbers of the rows, and the largest ratio of two scales of one coordinate, infinite
// where a scale is infinite or zero.
template <class V>
void measure_rows(Components<V>& packed) {
  using T = ScalarOf<V>;
  V ratio = T(1) - V{}, scale{}, shift{};
  for (int64_t d = 0; d < packed.padded_d; d += kLanesOf<V>) {
    V low = kInfinity<T> - V{}, high{};
    for (int64_t k = 0; k < packed.k; ++k) {
      if (!packed.alive(k)) continue;
      const int64_t at = k * packed.padded_d + d;
      const V here = load<V>(packed.row_scale + at);
      low = Smallest()(low, here), high = Largest()(high, here);
      shift = Largest()(shift, size_of(load<V>(packed.row_shift + at)));
    }
    scale = Largest()(scale, high);
    ratio = Largest()(ratio, high == V{} ? T(1) - V{} : high / low);  // padding is zero throughout
  }
  packed.scale_ratio = max_lanes(ratio);
  packed.largest_scale = max_lanes(scale);
  packed.largest_shift = max_lanes(shift);
}

template <class V>
void pack(Components<V>& packed, const Parameters<ScalarOf<V>>& from, bool rows) {
  using T = ScalarOf<V>;
  find_centre(packed, from);
  T largest = 0;
  for (int64_t p = 0; p < packed.panels; ++p)
    largest = larger(largest, pack_panel(packed, from, p));
  if (largest > T(kLargestCentredShift)) {
    packed.centred = false;
    for (int64_t d = 0; d < packed.padded_d; ++d) packed.centre[d] = 0;
    for (int64_t p = 0; p < packed.panels; ++p) pack_panel(packed, from, p);
  }
  for (int64_t p = 0; rows && p < packed.panels; ++p) transpose_rows(packed, p);
  if (rows) measure_rows(packed);
}

}  // namespace
}  // namespace pyvae
