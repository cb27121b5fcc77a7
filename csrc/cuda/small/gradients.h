// SPDX-License-Identifier: MIT
// From the coefficients g of a tile of scores to the gradients by its points, as in
// tiles/accumulate.h. Differences are squared, never expanded; every number has one thread, which
// adds to it in a fixed order.
#pragma once

#include "cuda/small/scores.h"

namespace pyvae {
namespace {

// Coefficients in shared memory, a row a component.
template <class Shape>
struct CoefficientTile {
  using T = typename Shape::T;
  alignas(16) T of[Shape::kColumns][Shape::kPoints + Shape::kPad];
};

// kCoordinates coordinates of a tile of components.
template <class Shape>
struct ComponentRows {
  using T = typename Shape::T;
  T scale[Shape::kColumns][Shape::kCoordinates + Shape::kPad];
  T shift[Shape::kColumns][Shape::kCoordinates + Shape::kPad];
};

// d/dx = -sum_k g z/sigma and, of spreads, d/dlogvar = -1/2 sum_k g ((s/sigma)^2 - offset). The
// first tile of components begins the sums, others are added to what is there.
template <class Shape>
struct PointSums {
  using T = typename Shape::T;
  Column<T> by_point, by_spread;
  bool wants_point, wants_spread;

  template <bool kSpread, class View>
  __device__ void add_at(ComponentRows<Shape>& rows, CoefficientTile<Shape>& g,
                         const View& components, int64_t first_column, const Points<T>& points,
                         const Points<T>* spreads, T offset, int64_t first_d) const {
    constexpr int kP = Shape::kPointsEach, kQ = Shape::kCoordinatesEach;
    const int row = row_of_thread() * kP, q0 = column_of_thread() * kQ;
    PYVAE_UNROLL_TWICE for (int i = int(threadIdx.x); i < Shape::kColumns * Shape::kCoordinates;
                            i += kThreads) {
      const int c = i / Shape::kCoordinates, d = i % Shape::kCoordinates;
      rows.scale[c][d] = components.scale(first_column + c, first_d + d);
      rows.shift[c][d] = finite_shift(components.shift(first_column + c, first_d + d));
    }
    T x[kP][kQ], spread[kP][kQ], sum[kP][kQ] = {}, spread_sum[kP][kQ] = {};
    PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
      PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
        x[i][q] = points.value(row + i, first_d + q0 + q, components.d);
        if constexpr (kSpread)
          spread[i][q] = spreads->scale(row + i, first_d + q0 + q, components.d);
      }
    }
    __syncthreads();
    const int there = int(smaller<int64_t>(Shape::kColumns, components.k - first_column));
    PYVAE_UNROLL_TWICE for (int c = 0; c < there; ++c) {
      T weight[kP], scale[kQ], shift[kQ];
      PYVAE_UNROLL for (int i = 0; i < kP; ++i) weight[i] = g.of[c][row + i];
      PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
        scale[q] = rows.scale[c][q0 + q], shift[q] = rows.shift[c][q0 + q];
      }
      PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
        PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
          const T z = standardise<false>(x[i][q], scale[q], shift[q]);
          sum[i][q] += weight[i] * (z * scale[q]);
          if constexpr (kSpread) {
            const T u = spread[i][q] * scale[q];
            spread_sum[i][q] += weight[i] * (u * u - offset);
          }
        }
      }
    }
    PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
      PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
        const int64_t d = first_d + q0 + q;
        if (row + i >= points.count || d >= components.d) continue;
        const int64_t n = points.first + row + i;
        if (wants_point) subtract(by_point.at(n, d), first_column, sum[i][q]);
        if (kSpread && wants_spread)
          subtract(by_spread.at(n, d), first_column, T(0.5) * spread_sum[i][q]);
      }
    }
    __syncthreads();
  }

  template <bool kSpread, class View>
  __device__ void add(ComponentRows<Shape>& rows, CoefficientTile<Shape>& g, const View& components,
                      int64_t first_column, const Points<T>& points, const Points<T>* spreads,
                      T offset) const {
    if (!wants_point && !wants_spread) return;
    for (int64_t d = 0; d < components.d; d += Shape::kCoordinates)
      add_at<kSpread>(rows, g, components, first_column, points, spreads, offset, d);
  }

  __device__ static void subtract(T& from, int64_t first_column, T value) {
    from = (first_column == 0 ? T(0) : from) - value;
  }
};

}  // namespace
}  // namespace pyvae
