// SPDX-License-Identifier: MIT
// Sums over all components for the points of a chunk, by wide tiles of points by coordinates.
#pragma once

#include "cuda/large/chunk.h"

namespace pyvae {
namespace {

// d/dx = -sum_k g z/sigma, a tile of points by a tile of coordinates a block; where there are few
// coordinates, by half a tile, of which a thread has one piece.
template <class T, int kPieces>
class DensePoints {
 public:
  static constexpr int kQ = kPieces * kWidth<T>;

  __device__ DensePoints(Stage<T> (&stages)[2], const Panels<T>& panels, const Chunk<T>& chunk,
                         int64_t first, int64_t first_d)
      : stages_(stages), panels_(panels), chunk_(chunk), first_(first), first_d_(first_d) {
    const int64_t d = first_d + own_.column;
    inside_ = d < panels.padded_d;
    centre_ = inside_ ? load_piece(panels.centre + d) : Piece<T>{};
  }

  template <bool kCentred>
  __device__ void add(const T (&x)[kEach<T>][kQ], T (&sum)[kEach<T>][kQ]) {
    fetch<kCentred>(0);
    for (int64_t k = 0; k < panels_.padded_k; k += kDepth) {
      put();
      __syncthreads();
      if (k + kDepth < panels_.padded_k) fetch<kCentred>(k + kDepth);
      add_stage<kCentred>(stages_[put_ ^ 1], x, sum);
    }
  }

 private:
  // z/sigma = x/sigma^2 - mu/sigma^2 where that is as exact as z itself.
  template <bool kCentred>
  __device__ void fetch(int64_t k) {
    terms_ = load_piece(chunk_.row(first_ + own_.point) + k + own_.coordinate);
    scale_ = shift_ = {};
    if (!inside_) return;
    const int64_t at = (k + own_.depth) * panels_.padded_d + first_d_ + own_.column;
    scale_ = load_piece(panels_.row_scale + at), shift_ = load_piece(panels_.row_mean + at);
    PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
      T &scale = scale_.value[i], &shift = shift_.value[i];
      shift = finite_shift(shift);
      if constexpr (kCentred) shift = (shift - centre_.value[i]) * scale * scale, scale *= scale;
    }
  }

  __device__ void put() {
    Stage<T>& stage = stages_[put_];
    PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
      stage.point[own_.coordinate + i][own_.point] = terms_.value[i];
    }
    store_piece(&stage.scale[own_.depth][own_.column], scale_);
    store_piece(&stage.shift[own_.depth][own_.column], shift_);
    put_ ^= 1;
  }

  template <bool kCentred>
  __device__ static void add_stage(const Stage<T>& stage, const T (&x)[kEach<T>][kQ],
                                   T (&sum)[kEach<T>][kQ]) {
    PYVAE_UNROLL for (int k = 0; k < kDepth; ++k) {
      T term[kEach<T>], scale[kQ], shift[kQ];
      load_own(term, stage.point[k], row_of_thread());
      load_own(scale, stage.scale[k], column_of_thread());
      load_own(shift, stage.shift[k], column_of_thread());
      PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
        PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
          const T z = standardise<kCentred>(x[i][q], scale[q], shift[q]);
          sum[i][q] += kCentred ? term[i] * z : term[i] * z * scale[q];
        }
      }
    }
  }

  const OwnPiece<T> own_;
  Stage<T> (&stages_)[2];
  const Panels<T>& panels_;
  const Chunk<T>& chunk_;
  const int64_t first_, first_d_;
  bool inside_;
  Piece<T> centre_, terms_, scale_, shift_;
  int put_ = 0;
};

template <class T, int kPieces>
__global__ void __launch_bounds__(kThreads, kPieces == 1 && sizeof(T) == sizeof(float) ? 2 : 1)
    dense_points_kernel(const __grid_constant__ Problem problem,
                        const __grid_constant__ Panels<T> panels, Chunk<T> chunk,
                        PointOperands operands) {
  if (chunk.sparse()) return;
  struct Memory {
    Stage<T> stage[2];
  };
  auto& memory = shared_memory<Memory>();
  const int64_t columns = divide_up(problem.d, kWide<T>);
  const int64_t first = blockIdx.x / columns * kWide<T>, first_d = blockIdx.x % columns * kWide<T>;
  const bool centred = *panels.exact == 0;
  const Column<const T> points(problem, operands.point, 0), log_prob(problem, operands.log_prob, 0);
  constexpr int kQ = kPieces * kWidth<T>;
  T x[kEach<T>][kQ], sum[kEach<T>][kQ];
  PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
    const int64_t n = first + place<T>(row_of_thread(), i);
    const bool use = n < problem.n && log_prob.at(n) != -kInfinity<T>;
    PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
      const int64_t d = first_d + place<T>(column_of_thread(), q);
      x[i][q] = 0, sum[i][q] = 0;
      if (use && d < problem.d) x[i][q] = points.at(n, d) - (centred ? panels.centre[d] : T(0));
    }
  }
  DensePoints<T, kPieces> dense(memory.stage, panels, chunk, first, first_d);
  centred ? dense.template add<true>(x, sum) : dense.template add<false>(x, sum);
  const Column<T> by_point(problem, operands.by_point, 0);
  PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
    const int64_t n = first + place<T>(row_of_thread(), i);
    PYVAE_UNROLL for (int q = 0; q < kQ; ++q) {
      const int64_t d = first_d + place<T>(column_of_thread(), q);
      if (n < problem.n && d < problem.d) by_point.at(n, d) = T(0) - sum[i][q];
    }
  }
}

}  // namespace
}  // namespace pyvae
