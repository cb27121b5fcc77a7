// SPDX-License-Identifier: MIT
// The score tile: log(weight_k N(x_n; mu_k, sigma_k^2)) of a tile of points by a tile of
// components, in the registers of a block.
#pragma once

#include "cuda/components.h"

namespace pyvae {
namespace {

// What the threads share of kDepth coordinates; `spread` only where points are Gaussians.
template <class Shape, bool kSpread>
struct ScoreChunk {
  using T = typename Shape::T;
  static constexpr int kRow = Shape::kPoints + Shape::kPad;
  T point[Shape::kDepth][kRow];
  T spread[kSpread ? Shape::kDepth : 1][kSpread ? kRow : 1];
  alignas(16) T scale[Shape::kDepth][Shape::kColumns + Shape::kPad];
  T shift[Shape::kDepth][Shape::kColumns + Shape::kPad];
};

// Constants and log-weights of a tile of components.
template <class Shape>
struct Constants {
  using T = typename Shape::T;
  alignas(16) T constant[Shape::kColumns], log_weight[Shape::kColumns];

  template <class View>
  __device__ void load(const View& components, int64_t first) {
    for (int c = row_of_thread(); c < Shape::kColumns; c += kSide) {
      const T value = components.constant(first + c);
      if (column_of_thread() != 0) continue;
      constant[c] = value;
      log_weight[c] = components.log_weight(first + c);
    }
  }
};

template <class Shape, bool kSpread, class View, class T = typename Shape::T>
__device__ void load_chunk(ScoreChunk<Shape, kSpread>& chunk, const View& components,
                           int64_t first_column, const Points<T>& points,
                           const Points<typename Shape::T>* spreads, int64_t first_d) {
  PYVAE_UNROLL_TWICE for (int i = int(threadIdx.x); i < Shape::kDepth * Shape::kPoints;
                          i += kThreads) {
    const int d = i % Shape::kDepth, n = i / Shape::kDepth;
    chunk.point[d][n] = points.value(n, first_d + d, components.d);
    if constexpr (kSpread) chunk.spread[d][n] = spreads->scale(n, first_d + d, components.d);
  }
  PYVAE_UNROLL_TWICE for (int i = int(threadIdx.x); i < Shape::kDepth * Shape::kColumns;
                          i += kThreads) {
    const int d = i % Shape::kDepth, c = i / Shape::kDepth;
    chunk.scale[d][c] = components.scale(first_column + c, first_d + d);
    chunk.shift[d][c] = components.shift(first_column + c, first_d + d);
  }
}

// Adds z^2 (and, under N(x, s^2), (s/sigma)^2) over the coordinates of a chunk.
template <class Shape, bool kSpread, class T = typename Shape::T>
__device__ inline void add_squares(const ScoreChunk<Shape, kSpread>& chunk, int depth,
                                   T (&sum)[Shape::kPointsEach][Shape::kColumnsEach]) {
  constexpr int kP = Shape::kPointsEach, kC = Shape::kColumnsEach;
  const int n = row_of_thread() * kP, c = column_of_thread() * kC;
  PYVAE_UNROLL_TWICE for (int d = 0; d < depth; ++d) {
    T x[kP], spread[kSpread ? kP : 1], scale[kC], shift[kC];
    PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
      x[i] = chunk.point[d][n + i];
      if constexpr (kSpread) spread[i] = chunk.spread[d][n + i];
    }
    PYVAE_UNROLL for (int j = 0; j < kC; ++j) {
      scale[j] = chunk.scale[d][c + j], shift[j] = chunk.shift[d][c + j];
    }
    PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
      PYVAE_UNROLL for (int j = 0; j < kC; ++j) {
        const T z = standardise<false>(x[i], scale[j], shift[j]);
        sum[i][j] += z * z;
        if constexpr (kSpread) {
          const T u = spread[i] * scale[j];
          sum[i][j] += u * u;
        }
      }
    }
  }
}

// All threads of the block come; `constants` must have been loaded (the barrier here is enough).
// Leaves a barrier behind it.
template <class Shape, bool kSpread, class View, class T = typename Shape::T>
__device__ void score_tile(ScoreChunk<Shape, kSpread>& chunk, const Constants<Shape>& constants,
                           const View& components, int64_t first_column, const Points<T>& points,
                           const Points<typename Shape::T>* spreads,
                           T (&score)[Shape::kPointsEach][Shape::kColumnsEach]) {
  constexpr int kP = Shape::kPointsEach, kC = Shape::kColumnsEach;
  PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
    PYVAE_UNROLL for (int j = 0; j < kC; ++j) score[i][j] = 0;
  }
  __syncthreads();
  for (int64_t d = 0; d < components.d; d += Shape::kDepth) {
    load_chunk(chunk, components, first_column, points, spreads, d);
    __syncthreads();
    const int depth = int(smaller<int64_t>(Shape::kDepth, components.d - d));
    add_squares(chunk, depth, score);
    __syncthreads();
  }
  PYVAE_UNROLL for (int j = 0; j < kC; ++j) {
    const T constant = constants.constant[column_of_thread() * kC + j];
    PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
      // 0 * inf of a component that counts for nothing must not show.
      score[i][j] = constant == -kInfinity<T> ? constant : constant - T(0.5) * score[i][j];
    }
  }
}

// Which tile of points of which batch entry a block has.
template <class Shape>
struct PointTile {
  int64_t entry, first;

  __device__ PointTile(const Problem& problem, int64_t block) {
    const int64_t tiles = divide_up(problem.n, Shape::kPoints);
    entry = block / tiles, first = block % tiles * Shape::kPoints;
  }
  PYVAE_HD static int64_t count(const Problem& problem) {
    return problem.batch * divide_up(problem.n, Shape::kPoints);
  }
};

}  // namespace
}  // namespace pyvae
