// SPDX-License-Identifier: MIT
// The backward pass of the scores: given the coefficient g(n, k) of every score, the gradients by
// points and components.
//
// With z = (x - mu)/sigma:  d/dx = -sum_k g z/sigma,  d/dmu = sum_n g z/sigma,  d/dlogvar = 1/2
// sum_n g (z^2 - 1); under N(x, s^2) the last gains (s/sigma)^2 beside z^2, and d/dlogvar_x = -1/2
// sum_k g (s/sigma)^2. Differences are squared, never expanded. Lanes run over coordinates, so no
// sum crosses lanes.
//
// Where clusters are apart most coefficients are zero, and only the other pairs are looked at. Sums
// are in the order of the points, and of the components of a chunk, either way, and a term of zero
// changes nothing: which way a block goes does not show in the bits.
#pragma once

#include "tiles/scores.h"
#include "tiles/survivors.h"

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

// The coefficients of a chunk, (kBlock, kChunk), zero in rows past the last point; and which are
// not.
template <class V>
struct Coefficients {
  const ScalarOf<V>* strip;
  const Survivors<V>& survivors;

  ScalarOf<V> at(int64_t n, int64_t c) const { return strip[n * kChunk<V> + c]; }
};

// What one pass over a block works on. Coefficients may be fewer for the sums of points than for
// those of components, and are the same else.
template <class V>
struct Pass {
  const Components<V>& components;
  const PointBlock<V>& points;
  const ScalarOf<V>* scales;
  const Chunk& chunk;
  Coefficients<V> of_components, of_points;
  ChunkBits<V> apart;  // the components of which these differ
};

// What a point and a component add to each other's sums, at one vector of coordinates. One function
// for the two orders of summation below, whose results have the same bits.
template <bool kCentred, bool kSpread, class V>
struct PairTerms {
  V z, weighted, spread_square{};

  PairTerms(V coefficient, V x, V scale, V inverse_scale, V shift) {
    z = standardise<kCentred>(x, inverse_scale, shift);
    weighted = coefficient * z;
    if constexpr (kSpread) {
      const V spread = scale * inverse_scale;
      spread_square = coefficient * spread * spread;
    }
  }
  void add_to_component(V& z_sum, V& square_sum) const {
    z_sum += weighted;
    square_sum += weighted * z;
    if constexpr (kSpread) square_sum += spread_square;
  }
};

// One group of points against the components of the chunk, at one vector of coordinates.
template <bool kCentred, bool kSpread, bool kByPoint, class V>
inline void accumulate_group(const Pass<V>& pass, int64_t n, int64_t d,
                             const PointGradient<V>& gradient, V* z_sum, V* square_sum) {
  constexpr int kPoints = kGroup<kSpread>;
  const int64_t stride = pass.points.padded_d;
  const int64_t first = pass.chunk.first * stride + d;
  V x[kPoints], scale[kPoints] = {}, by_point[kPoints] = {}, by_spread[kPoints] = {};
  for (int p = 0; p < kPoints; ++p) {
    x[p] = load<V>(pass.points.at(n + p) + d);
    if constexpr (kSpread) scale[p] = load<V>(pass.scales + (n + p) * stride + d);
  }
  for (int64_t c = 0; c < pass.chunk.count; ++c) {
    const V inverse_scale = load<V>(pass.components.row_scale + first + c * stride);
    const V shift = load<V>(pass.components.row_shift + first + c * stride);
    V z_here = z_sum[c], square_here = square_sum[c];
    const auto add = [&](auto differs) {
      for (int p = 0; p < kPoints; ++p) {
        const auto terms_of = [&](const Coefficients<V>& coefficients) {
          return PairTerms<kCentred, kSpread, V>(splat<V>(coefficients.at(n + p, c)), x[p],
                                                 scale[p], inverse_scale, shift);
        };
        const auto terms = terms_of(pass.of_components);
        terms.add_to_component(z_here, square_here);
        const auto of_point = differs ? terms_of(pass.of_points) : terms;
        if constexpr (kByPoint) by_point[p] += of_point.weighted * inverse_scale;
        if constexpr (kSpread) by_spread[p] += of_point.spread_square;
      }
    };
    const bool apart = kByPoint && pass.apart.has(c);
    apart ? add(std::true_type()) : add(std::false_type());
    z_sum[c] = z_here, square_sum[c] = square_here;
  }
  for (int p = 0; p < kPoints; ++p) {
    const int64_t at = (n + p) * stride + d;
    if constexpr (kByPoint) add_vector<V>(gradient.by_point + at, by_point[p]);
    if (kSpread && gradient.by_spread) add_vector<V>(gradient.by_spread + at, by_spread[p]);
  }
}

// All pairs of the chunk.
template <bool kCentred, bool kSpread, bool kByPoint, class V>
void accumulate_all(const Pass<V>& pass, const PointGradient<V>& gradient, ComponentSums<V>& sums) {
  const int64_t stride = pass.points.padded_d;
  V z_sum[kChunk<V>], square_sum[kChunk<V>];
  for (int64_t d = 0; d < stride; d += kLanesOf<V>) {
    for (int64_t c = 0; c < pass.chunk.count; ++c) z_sum[c] = square_sum[c] = V{};
    for (int64_t n = 0; n < pass.points.count; n += kGroup<kSpread>)
      accumulate_group<kCentred, kSpread, kByPoint, V>(pass, n, d, gradient, z_sum, square_sum);
    for (int64_t c = 0; c < pass.chunk.count; ++c) {
      const int64_t at = (pass.chunk.first + c) * stride + d;
      add_to<V>(sums.z + at, z_sum[c]);
      add_to<V>(sums.squares + at, square_sum[c]);
    }
  }
}

// A component's sums over some points, at kWidth vectors of coordinates.
template <bool kCentred, bool kSpread, int kWidth, class V>
void sum_component(const Pass<V>& pass, int64_t c, uint64_t points, int64_t d,
                   ComponentSums<V>& sums) {
  constexpr int kLanes = kLanesOf<V>;
  const int64_t stride = pass.points.padded_d, row = (pass.chunk.first + c) * stride + d;
  V inverse_scale[kWidth], shift[kWidth], z_sum[kWidth] = {}, square_sum[kWidth] = {};
  for (int v = 0; v < kWidth; ++v) {
    inverse_scale[v] = load<V>(pass.components.row_scale + row + v * kLanes);
    shift[v] = load<V>(pass.components.row_shift + row + v * kLanes);
  }
  for_each_bit(points, [&](int n) {
    const V coefficient = splat<V>(pass.of_components.at(n, c));
    for (int v = 0; v < kWidth; ++v) {
      const int64_t at = n * stride + d + v * kLanes;
      V scale{};
      if constexpr (kSpread) scale = load<V>(pass.scales + at);
      const PairTerms<kCentred, kSpread, V> terms(coefficient, load<V>(pass.points.row + at), scale,
                                                  inverse_scale[v], shift[v]);
      terms.add_to_component(z_sum[v], square_sum[v]);
    }
  });
  for (int v = 0; v < kWidth; ++v) {
    add_to<V>(sums.z + row + v * kLanes, z_sum[v]);
    add_to<V>(sums.squares + row + v * kLanes, square_sum[v]);
  }
}

// A point's sums over some components, at kWidth vectors of coordinates.
template <bool kCentred, bool kSpread, int kWidth, class V>
void sum_point(const Pass<V>& pass, int64_t n, int64_t d, const PointGradient<V>& gradient) {
  constexpr int kLanes = kLanesOf<V>;
  const int64_t stride = pass.points.padded_d, at = n * stride + d;
  V x[kWidth], scale[kWidth] = {}, by_point[kWidth] = {}, by_spread[kWidth] = {};
  for (int v = 0; v < kWidth; ++v) {
    x[v] = load<V>(pass.points.row + at + v * kLanes);
    if constexpr (kSpread) scale[v] = load<V>(pass.scales + at + v * kLanes);
  }
  pass.of_points.survivors.of_point(n).for_each([&](int64_t c) {
    const V coefficient = splat<V>(pass.of_points.at(n, c));
    const int64_t row = (pass.chunk.first + c) * stride + d;
    for (int v = 0; v < kWidth; ++v) {
      const V inverse_scale = load<V>(pass.components.row_scale + row + v * kLanes);
      const V shift = load<V>(pass.components.row_shift + row + v * kLanes);
      const PairTerms<kCentred, kSpread, V> terms(coefficient, x[v], scale[v], inverse_scale,
                                                  shift);
      by_point[v] += terms.weighted * inverse_scale;
      if constexpr (kSpread) by_spread[v] += terms.spread_square;
    }
  });
  for (int v = 0; v < kWidth; ++v) {
    add_vector<V>(gradient.by_point + at + v * kLanes, by_point[v]);
    if (kSpread && gradient.by_spread)
      add_vector<V>(gradient.by_spread + at + v * kLanes, by_spread[v]);
  }
}

// The pairs that have a coefficient, first by components and then by points.
template <bool kCentred, bool kSpread, bool kByPoint, class V>
void accumulate_survivors(const Pass<V>& pass, const PointGradient<V>& gradient,
                          ComponentSums<V>& sums) {
  uint64_t points_of[kChunk<V>];
  pass.of_components.survivors.by_component(points_of);
  for (int64_t c = 0; c < pass.chunk.count; ++c)
    if (points_of[c])
      for_each_width<V>(pass.points.padded_d, [&](auto width, int64_t d) {
        sum_component<kCentred, kSpread, decltype(width)::value>(pass, c, points_of[c], d, sums);
      });
  for (int64_t n = 0; kByPoint && n < pass.points.count; ++n)
    if (pass.of_points.survivors.of_point(n).any())
      for_each_width<V>(pass.points.padded_d, [&](auto width, int64_t d) {
        sum_point<kCentred, kSpread, decltype(width)::value>(pass, n, d, gradient);
      });
}

// The largest scale of a block's points; which of them have a NaN is added to `nan`.
template <class V>
ScalarOf<V> examine_scales(const Pass<V>& pass, bool (&nan)[kBlock]) {
  V most{};
  for (int64_t n = 0; n < pass.points.count; ++n) {
    V poison{};
    for (int64_t d = 0; d < pass.points.padded_d; d += kLanesOf<V>) {
      const V scale = load<V>(pass.scales + n * pass.points.padded_d + d);
      poison += scale - scale, most = Largest()(most, scale);
    }
    const ScalarOf<V> sum = sum_lanes(poison);
    nan[n] |= sum != sum;
  }
  return max_lanes(most);
}

// Two rules for coefficients of zero: a NaN makes NaN of them, whatever is beside it; and distances
// that overflow, to components that are of no account, do not.
template <bool kCentred, bool kSpread, bool kByPoint, class V>
void accumulate_as(const Pass<V>& pass, const PointGradient<V>& gradient, ComponentSums<V>& sums) {
  using T = ScalarOf<V>;
  const Components<V>& components = pass.components;
  bool nan[kBlock] = {};
  T largest = pass.points.largest + (kCentred ? T(0) : components.largest_shift);
  if constexpr (kSpread) largest = larger(largest, examine_scales(pass, nan));
  const T distance = largest * components.largest_scale + components.largest_shift;
  const auto accumulate = [&](const Pass<V>& chosen) {
    const bool few = chosen.of_components.survivors.few(pass.points.count * pass.chunk.count);
    if (few || !(distance < kLargestFinite<T>))
      accumulate_survivors<kCentred, kSpread, kByPoint, V>(chosen, gradient, sums);
    else
      accumulate_all<kCentred, kSpread, kByPoint, V>(chosen, gradient, sums);
  };
  bool spoilt = false;
  for (int64_t n = 0; n < pass.points.count; ++n) spoilt |= nan[n] |= pass.points.nan[n];
  if (!spoilt) return accumulate(pass);
  Survivors<V> of_components = pass.of_components.survivors, of_points = pass.of_points.survivors;
  for (int64_t n = 0; n < pass.points.count; ++n)
    if (nan[n])
      of_components.take_all(n, pass.chunk.columns), of_points.take_all(n, pass.chunk.columns);
  accumulate({components,
              pass.points,
              pass.scales,
              pass.chunk,
              {pass.of_components.strip, of_components},
              {pass.of_points.strip, of_points},
              pass.apart});
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
  add_rows<V>(pass.of_components.strip, pass.points.count, pass.chunk, sums.coefficients);
  pass.components.centred ? accumulate_centred<true, V>(pass, gradient, sums)
                          : accumulate_centred<false, V>(pass, gradient, sums);
}
// The same of all coefficients of a strip that are not zero.
template <class V>
void accumulate(const Components<V>& components, const PointBlock<V>& points,
                const ScalarOf<V>* scales, const Chunk& chunk, const ScalarOf<V>* strip,
                const PointGradient<V>& gradient, ComponentSums<V>& sums) {
  const Survivors<V> survivors(strip, points.count, chunk.columns);
  const Coefficients<V> coefficients{strip, survivors};
  accumulate<V>({components, points, scales, chunk, coefficients, coefficients, {}}, gradient,
                sums);
}

}  // namespace
}  // namespace pyvae
