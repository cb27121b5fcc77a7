// SPDX-License-Identifier: MIT
// The backward pass of the scores: given the coefficient g(n, k) of every score, the gradients by
// points and components.
//
// With z = (x - mu)/sigma:  d/dx = -sum_k g z/sigma,  d/dmu = sum_n g z/sigma,  d/dlogvar = 1/2
// sum_n g (z^2 - 1); under N(x, s^2) the last gains (s/sigma)^2 beside z^2, and d/dlogvar_x = -1/2
// sum_k g (s/sigma)^2. Differences are squared, never expanded. Lanes run over coordinates, so no
// sum crosses lanes.
#pragma once

#include "tiles/scores.h"

namespace pyvae {
namespace {

// Gradients of one block of points: sums over the components seen so far; null where not wanted.
template <class V>
struct PointGradient {
  ScalarOf<V>* by_point = nullptr;   // (kBlock, padded_d): sum_k g z/sigma
  ScalarOf<V>* by_spread = nullptr;  // (kBlock, padded_d): sum_k g (s/sigma)^2
};

// Sums over points for every component, one set a task. A block is summed by itself first, and the
// blocks in double.
template <class V>
struct ComponentSums {
  double *z, *squares;                 // (padded_k, padded_d): sum_n g z, sum_n g (z^2 + ...)
  double *coefficients, *log_weights;  // (padded_k)

  static int64_t footprint(const Components<V>& of) { return 2 * of.padded_k * (of.padded_d + 1); }
  ComponentSums(double* memory, const Components<V>& of) {
    z = memory;
    squares = z + of.padded_k * of.padded_d;
    coefficients = squares + of.padded_k * of.padded_d;
    log_weights = coefficients + of.padded_k;
  }
};

// Points whose sums stay in registers beside those of a component.
template <bool kSpread>
inline constexpr int kGroup = kSpread ? kTilePoints / 2 : kTilePoints;

// What one pass over a block works on.
template <class V>
struct Pass {
  const Components<V>& components;
  const PointBlock<V>& points;
  const ScalarOf<V>* scales;
  const Chunk& chunk;
  const ScalarOf<V>* coefficients;  // (kBlock, kChunk); zero in rows past the last point
};

// The components of a chunk that have a coefficient other than zero at some point of a group. Where
// clusters are apart most have none at all: exp has underflowed, and there is nothing to add.
template <bool kSpread, class V>
struct ActiveComponents {
  static constexpr int kGroups = kBlock / kGroup<kSpread>;
  int16_t index[kGroups][kChunk<V>];
  int16_t count[kGroups];

  explicit ActiveComponents(const Pass<V>& pass) {
    using T = ScalarOf<V>;
    for (int64_t n = 0; n < pass.points.count; n += kGroup<kSpread>) {
      const T* const rows = pass.coefficients + n * kChunk<V>;
      T active[kChunk<V>];
      V total{};
      for (int64_t c = 0; c < pass.chunk.columns; c += kLanesOf<V>) {
        V some{};
        for (int p = 0; p < kGroup<kSpread>; ++p)
          some = load<V>(rows + p * kChunk<V> + c) == V{} ? some : splat<V>(1);  // NaN counts
        store<V>(active + c, some);
        total += some;
      }
      const int64_t group = n / kGroup<kSpread>, all = pass.chunk.count;
      const bool every = sum_lanes(total) >= T(all) || poisoned(pass, n);
      int64_t found = every ? all : 0;
      for (int64_t c = 0; c < (every ? 0 : all); ++c) {
        index[group][found] = int16_t(c);
        found += active[c] != 0;
      }
      count[group] = int16_t(found);
    }
  }

 private:
  // A NaN times a coefficient of zero is NaN, whatever the coefficients beside it are.
  static bool poisoned(const Pass<V>& pass, int64_t first) {
    if (pass.points.poisoned || !kSpread) return pass.points.poisoned;
    const int64_t stride = pass.points.padded_d;
    V poison{};
    for (int64_t at = 0; at < kGroup<kSpread> * stride; at += kLanesOf<V>) {
      const V scale = load<V>(pass.scales + first * stride + at);
      poison += scale - scale;
    }
    const ScalarOf<V> sum = sum_lanes(poison);
    return sum != sum;
  }
};

// One group of points against those components, at one vector of coordinates.
template <bool kCentred, bool kSpread, bool kByPoint, class V>
inline void accumulate_group(const Pass<V>& pass, const ActiveComponents<kSpread, V>& active,
                             int64_t n, int64_t d, const PointGradient<V>& gradient, V* z_sum,
                             V* square_sum) {
  constexpr int kPoints = kGroup<kSpread>;
  const int64_t stride = pass.points.padded_d;
  const int64_t first = pass.chunk.first * stride + d;
  const auto* const g = pass.coefficients + n * kChunk<V>;
  V x[kPoints], scale[kPoints], by_point[kPoints] = {}, by_spread[kPoints] = {};
  for (int p = 0; p < kPoints; ++p) {
    x[p] = load<V>(pass.points.at(n + p) + d);
    if constexpr (kSpread) scale[p] = load<V>(pass.scales + (n + p) * stride + d);
  }
  const auto add = [&](int64_t c) {
    const V inverse_scale = load<V>(pass.components.row_scale + first + c * stride);
    const V shift = load<V>(pass.components.row_shift + first + c * stride);
    V z_here = z_sum[c], square_here = square_sum[c];
    for (int p = 0; p < kPoints; ++p) {
      const V coefficient = splat<V>(g[p * kChunk<V> + c]);
      const V z = standardise<kCentred>(x[p], inverse_scale, shift);
      const V weighted = coefficient * z;
      if constexpr (kByPoint) by_point[p] += weighted * inverse_scale;
      z_here += weighted;
      square_here += weighted * z;
      if constexpr (kSpread) {
        const V spread = scale[p] * inverse_scale;
        const V weighted_square = coefficient * spread * spread;
        by_spread[p] += weighted_square;
        square_here += weighted_square;
      }
    }
    z_sum[c] = z_here, square_sum[c] = square_here;
  };
  const int64_t group = n / kPoints, found = active.count[group];
  if (found == pass.chunk.count)  // then there is no list of them
    for (int64_t c = 0; c < found; ++c) add(c);
  else
    for (int64_t i = 0; i < found; ++i) add(active.index[group][i]);
  for (int p = 0; p < kPoints; ++p) {
    const int64_t at = (n + p) * stride + d;
    if constexpr (kByPoint)
      store<V>(gradient.by_point + at, load<V>(gradient.by_point + at) + by_point[p]);
    if (kSpread && gradient.by_spread)
      store<V>(gradient.by_spread + at, load<V>(gradient.by_spread + at) + by_spread[p]);
  }
}

template <bool kCentred, bool kSpread, bool kByPoint, class V>
void accumulate_as(const Pass<V>& pass, const PointGradient<V>& gradient, ComponentSums<V>& sums) {
  const int64_t stride = pass.points.padded_d;
  const ActiveComponents<kSpread, V> active(pass);
  V z_sum[kChunk<V>], square_sum[kChunk<V>];
  for (int64_t d = 0; d < stride; d += kLanesOf<V>) {
    for (int64_t c = 0; c < pass.chunk.count; ++c) z_sum[c] = square_sum[c] = V{};
    for (int64_t n = 0; n < pass.points.count; n += kGroup<kSpread>)
      accumulate_group<kCentred, kSpread, kByPoint, V>(pass, active, n, d, gradient, z_sum,
                                                       square_sum);
    for (int64_t c = 0; c < pass.chunk.count; ++c) {
      const int64_t at = (pass.chunk.first + c) * stride + d;
      add_to<V>(sums.z + at, z_sum[c]);
      add_to<V>(sums.squares + at, square_sum[c]);
    }
  }
}

template <class V>
void add_rows(const ScalarOf<V>* strip, int64_t count, const Chunk& chunk, double* to) {
  for (int64_t c = 0; c < chunk.columns; c += kLanesOf<V>) {
    V total{};
    for (int64_t n = 0; n < count; ++n) total += load<V>(strip + n * kChunk<V> + c);
    add_to<V>(to + chunk.first + c, total);
  }
}

template <bool kCentred, class V>
void accumulate_centred(const Pass<V>& pass, const PointGradient<V>& gradient,
                        ComponentSums<V>& sums) {
  if (pass.scales)
    accumulate_as<kCentred, true, true, V>(pass, gradient, sums);
  else if (gradient.by_point)
    accumulate_as<kCentred, false, true, V>(pass, gradient, sums);
  else
    accumulate_as<kCentred, false, false, V>(pass, gradient, sums);
}

template <class V>
void accumulate(const Pass<V>& pass, const PointGradient<V>& gradient, ComponentSums<V>& sums) {
  add_rows<V>(pass.coefficients, pass.points.count, pass.chunk, sums.coefficients);
  pass.components.centred ? accumulate_centred<true, V>(pass, gradient, sums)
                          : accumulate_centred<false, V>(pass, gradient, sums);
}

}  // namespace
}  // namespace pyvae
