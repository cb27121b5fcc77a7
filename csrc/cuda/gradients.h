// SPDX-License-Identifier: MIT
// From the coefficients g of a tile of scores to the gradients, as in tiles/accumulate.h: sums over
// components for the points, sums over points for the components. Differences are squared, never
// expanded; every number has one thread, which adds to it in a fixed order.
#pragma once

#include "cuda/scores.h"

namespace pyvae {
namespace {

// An infinite mean leaves its component without a density, and its coefficients, zero, must not
// meet it: 0 * inf is NaN.
template <class T>
__device__ inline T finite_shift(T shift) {
  return shift == kInfinity<T> || shift == -kInfinity<T> ? T(0) : shift;
}

// Coefficients in shared memory; a row a component for the points' sums, and a row a point for the
// components'.
template <class Shape>
struct CoefficientTile {
  using T = typename Shape::T;
  static constexpr int kByComponent = Shape::kPoints + Shape::kPad,
                       kByPoint = Shape::kColumns + Shape::kPad;
  static constexpr int kSize = Shape::kColumns * kByComponent > Shape::kPoints* kByPoint
                                   ? Shape::kColumns * kByComponent
                                   : Shape::kPoints * kByPoint;
  alignas(16) T values[kSize];

  __device__ T& of_component(int c, int n) { return values[c * kByComponent + n]; }
  __device__ T& of_point(int n, int c) { return values[n * kByPoint + c]; }
};

// kCoordinates coordinates of a tile of components, or of points.
template <class Shape>
struct ComponentRows {
  using T = typename Shape::T;
  T scale[Shape::kColumns][Shape::kCoordinates + Shape::kPad];
  T shift[Shape::kColumns][Shape::kCoordinates + Shape::kPad];
};
template <class Shape, bool kSpread>
struct PointRows {
  using T = typename Shape::T;
  T point[Shape::kPoints][Shape::kCoordinates + Shape::kPad];
  T spread[kSpread ? Shape::kPoints : 1][kSpread ? Shape::kCoordinates + Shape::kPad : 1];
};

// Calls body(n, d) for the numbers of a tile of points that a thread owns.
template <class Shape, class Body>
__device__ inline void for_each_own_point(int64_t dimension, const Body& body) {
  for (int64_t first = column_of_thread() * Shape::kCoordinatesEach; first < dimension;
       first += Shape::kCoordinates)
    for (int i = 0; i < Shape::kPointsEach; ++i)
      for (int q = 0; q < Shape::kCoordinatesEach && first + q < dimension; ++q)
        body(row_of_thread() * Shape::kPointsEach + i, first + q);
}

// d/dx = -sum_k g z/sigma and, of spreads, d/dlogvar = -1/2 sum_k g ((s/sigma)^2 - offset). The
// sums of the thread's own numbers are added to what is there.
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
    PYVAE_UNROLL_TWICE for (int c = 0; c < Shape::kColumns; ++c) {
      T weight[kP], scale[kQ], shift[kQ];
      PYVAE_UNROLL for (int i = 0; i < kP; ++i) weight[i] = g.of_component(c, row + i);
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
        if (wants_point) by_point.at(n, d) -= sum[i][q];
        if (kSpread && wants_spread) by_spread.at(n, d) -= T(0.5) * spread_sum[i][q];
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

  __device__ void clear(const Points<T>& points, int64_t dimension) const {
    for_each_own_point<Shape>(dimension, [&](int n, int64_t d) {
      if (n >= points.count) return;
      if (wants_point) by_point.at(points.first + n, d) = 0;
      if (wants_spread) by_spread.at(points.first + n, d) = 0;
    });
  }
};

// Sums over points for a tile of components, in device memory: a tile of points is summed by itself
// first, and the tiles in double.
template <class Shape>
struct ComponentSums {
  using T = typename Shape::T;
  double *z, *squares;                 // (kColumns, d): sum_n g z, sum_n g (z^2 + (s/sigma)^2)
  double *coefficients, *log_weights;  // (kColumns)

  PYVAE_HD static int64_t footprint(int64_t d) { return 2 * Shape::kColumns * (d + 1); }
  __device__ ComponentSums(double* memory, int64_t d)
      : z(memory),
        squares(z + Shape::kColumns * d),
        coefficients(squares + Shape::kColumns * d),
        log_weights(coefficients + Shape::kColumns) {}

  __device__ void clear(int64_t d) {
    for_each_own(d, [&](int c, int64_t i) { z[c * d + i] = squares[c * d + i] = 0; });
    if (int(threadIdx.x) < Shape::kColumns)
      coefficients[threadIdx.x] = log_weights[threadIdx.x] = 0;
  }

  // Calls body(c, d) for the numbers that a thread owns.
  template <class Body>
  __device__ static void for_each_own(int64_t dimension, const Body& body) {
    for (int64_t first = column_of_thread() * Shape::kCoordinatesEach; first < dimension;
         first += Shape::kCoordinates)
      for (int j = 0; j < Shape::kColumnsEach; ++j)
        for (int q = 0; q < Shape::kCoordinatesEach && first + q < dimension; ++q)
          body(row_of_thread() * Shape::kColumnsEach + j, first + q);
  }

  __device__ static void add_column(double* to, CoefficientTile<Shape>& g, int count) {
    const int c = int(threadIdx.x);
    if (c >= Shape::kColumns) return;
    T total = 0;
    for (int n = 0; n < count; ++n) total += g.of_point(n, c);
    to[c] += double(total);
  }

  template <bool kSpread, bool kMoments, class View>
  __device__ void add_at(PointRows<Shape, kSpread>& rows, CoefficientTile<Shape>& g,
                         const View& components, int64_t first_column, const Points<T>& points,
                         const Points<T>* spreads, int64_t first_d) const {
    constexpr int kC = Shape::kColumnsEach, kQ = Shape::kCoordinatesEach;
    const int c0 = row_of_thread() * kC, q0 = column_of_thread() * kQ;
    PYVAE_UNROLL_TWICE for (int i = int(threadIdx.x); i < Shape::kPoints * Shape::kCoordinates;
                            i += kThreads) {
      const int n = i / Shape::kCoordinates, d = i % Shape::kCoordinates;
      rows.point[n][d] = points.value(n, first_d + d, components.d);
      if constexpr (kSpread) rows.spread[n][d] = spreads->scale(n, first_d + d, components.d);
    }
    T scale[kC][kQ], shift[kC][kQ], z_sum[kC][kQ] = {}, square_sum[kC][kQ] = {};
    PYVAE_UNROLL for (int j = 0; j < kC; ++j) {
      PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
        scale[j][q] = components.scale(first_column + c0 + j, first_d + q0 + q);
        if constexpr (kMoments) scale[j][q] = moment_scale(scale[j][q]);
        shift[j][q] = finite_shift(components.shift(first_column + c0 + j, first_d + q0 + q));
      }
    }
    __syncthreads();
    PYVAE_UNROLL_TWICE for (int n = 0; n < points.count; ++n) {
      T weight[kC], x[kQ], spread[kSpread ? kQ : 1];
      PYVAE_UNROLL for (int j = 0; j < kC; ++j) weight[j] = g.of_point(n, c0 + j);
      PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
        x[q] = rows.point[n][q0 + q];
        if constexpr (kSpread) spread[q] = rows.spread[n][q0 + q];
      }
      PYVAE_UNROLL for (int j = 0; j < kC; ++j) {
        PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
          const T z = standardise<false>(x[q], scale[j][q], shift[j][q]);
          const T weighted = weight[j] * z;
          z_sum[j][q] += weighted;
          square_sum[j][q] += weighted * z;
          if constexpr (kSpread) {
            const T u = spread[q] * scale[j][q];
            square_sum[j][q] += weight[j] * u * u;
          }
        }
      }
    }
    PYVAE_UNROLL for (int j = 0; j < kC; ++j) {
      PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
        const int64_t d = first_d + q0 + q, at = (c0 + j) * components.d + d;
        if (d >= components.d) continue;
        z[at] += double(z_sum[j][q]);
        squares[at] += double(square_sum[j][q]);
      }
    }
    __syncthreads();
  }

  template <bool kSpread, bool kMoments, class View>
  __device__ void add(PointRows<Shape, kSpread>& rows, CoefficientTile<Shape>& g,
                      const View& components, int64_t first_column, const Points<T>& points,
                      const Points<T>* spreads) const {
    add_column(coefficients, g, points.count);
    for (int64_t d = 0; d < components.d; d += Shape::kCoordinates)
      add_at<kSpread, kMoments>(rows, g, components, first_column, points, spreads, d);
  }
};

}  // namespace
}  // namespace pyvae
