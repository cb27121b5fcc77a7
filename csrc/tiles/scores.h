// SPDX-License-Identifier: MIT
// The score tile: log(weight_k N(x_n; mu_k, sigma_k^2)) for a block of points and a chunk of
// components.
#pragma once

#include "tiles/points.h"

namespace pyvae {
namespace {

// Panels scored before the rows are reduced: their packed rows and the strip of scores fit the
// caches together.
inline constexpr int kChunkPanels = 4;
template <class V>
inline constexpr int kChunk = kChunkPanels * Components<V>::kPanel;

// Points in a register tile. 32 registers hold 8 points by 2 vectors of sums; 16 hold 4 by 2.
#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int kTilePoints = 8;
#else
inline constexpr int kTilePoints = 4;
#endif

// A chunk of components: panels [first, first + panels), the columns they fill, whole vectors of
// them, and how many of these are components.
struct Chunk {
  int64_t first_panel, panels, first, columns, count;
};
template <class V>
inline Chunk chunk_at(const Components<V>& components, int64_t first_panel) {
  const int64_t panels = smaller<int64_t>(kChunkPanels, components.panels - first_panel);
  const int64_t first = first_panel * Components<V>::kPanel;
  const int64_t left = Components<V>::padded(components.k - first, kLanesOf<V>);
  const int64_t columns = smaller<int64_t>(panels * Components<V>::kPanel, left);
  return {first_panel, panels, first, columns, smaller(columns, components.k - first)};
}

// -1/2 sum_d z^2 (and, under N(x, scale^2), -1/2 sum_d (scale/sigma)^2) on top of the components'
// constants.
template <bool kCentred, bool kSpread, int kVectors, class V>
inline void score_tile(const PointBlock<V>& points, const ScalarOf<V>* scales, int64_t n,
                       int64_t dimension, const ScalarOf<V>* panel, const ScalarOf<V>* constant,
                       ScalarOf<V>* strip) {
  using T = ScalarOf<V>;
  constexpr int kLanes = kLanesOf<V>, kPanel = 2 * kLanes;
  const int64_t stride = points.padded_d;
  const T* const x = points.at(n);
  V sum[kTilePoints][kVectors] = {};
  for (int64_t d = 0; d < dimension; ++d, panel += 2 * kPanel) {
    for (int v = 0; v < kVectors; ++v) {
      const V inverse_scale = load<V>(panel + v * kLanes),
              shift = load<V>(panel + kPanel + v * kLanes);
      for (int p = 0; p < kTilePoints; ++p) {
        const V z = standardise<kCentred>(splat<V>(x[p * stride + d]), inverse_scale, shift);
        sum[p][v] += z * z;
        if constexpr (kSpread) {
          const V spread = splat<V>(scales[(n + p) * stride + d]) * inverse_scale;
          sum[p][v] += spread * spread;
        }
      }
    }
  }
  for (int p = 0; p < kTilePoints; ++p)
    for (int v = 0; v < kVectors; ++v)
      store<V>(strip + p * kChunk<V> + v * kLanes,
               load<V>(constant + v * kLanes) - T(0.5) * sum[p][v]);
}

template <bool kCentred, bool kSpread, class V>
void score_chunk_as(const Components<V>& components, const PointBlock<V>& points,
                    const ScalarOf<V>* scales, const Chunk& chunk, ScalarOf<V>* strip) {
  constexpr int kPanel = Components<V>::kPanel;
  for (int64_t p = 0; p < chunk.panels; ++p) {
    const int64_t index = chunk.first_panel + p;
    const bool full = components.vectors_in(index) == 2;
    for (int64_t n = 0; n < points.count; n += kTilePoints) {
      const auto tile =
          full ? score_tile<kCentred, kSpread, 2, V> : score_tile<kCentred, kSpread, 1, V>;
      tile(points, scales, n, components.d, components.panel_at(index),
           components.constant + index * kPanel, strip + n * kChunk<V> + p * kPanel);
    }
  }
}

// A NaN times the zeros of a component that counts for nothing is NaN, which must not show.
template <class V>
void exclude_dead(const Components<V>& components, const PointBlock<V>& points, const Chunk& chunk,
                  ScalarOf<V>* strip) {
  for (int64_t c = 0; c < chunk.columns; ++c)
    for (int64_t n = 0; n < points.count && !components.alive(chunk.first + c); ++n)
      strip[n * kChunk<V> + c] = -kInfinity<ScalarOf<V>>;
}

// Fills strip[n][c] for the points of the block and the columns of the chunk; `scales` may be null.
template <class V>
void score_chunk(const Components<V>& components, const PointBlock<V>& points,
                 const ScalarOf<V>* scales, const Chunk& chunk, ScalarOf<V>* strip) {
  if (scales)
    components.centred ? score_chunk_as<true, true>(components, points, scales, chunk, strip)
                       : score_chunk_as<false, true>(components, points, scales, chunk, strip);
  else
    components.centred ? score_chunk_as<true, false>(components, points, scales, chunk, strip)
                       : score_chunk_as<false, false>(components, points, scales, chunk, strip);
  if (points.poisoned) exclude_dead(components, points, chunk, strip);
}

}  // namespace
}  // namespace pyvae
