// SPDX-License-Identifier: MIT
// The score tile of large problems: log(weight_k N(x_n; mu_k, sigma_k^2)) of a wide tile of points
// by one of components. While a stage of coordinates is summed, the next one is on its way, across
// the ends of tiles too.
#pragma once

#include "cuda/large/packed.h"

namespace pyvae {
namespace {

// The point whose coordinates a thread brings, in the caller's strides.
template <class T>
class PointReader {
 public:
  __device__ PointReader(const Problem& problem, int operand, int64_t entry, int64_t first)
      : d_(problem.d) {
    const Column<const T> from(problem, operand, entry);
    const int64_t row = first + OwnPiece<T>().point;
    row_ = &from.at(smaller(row, problem.n - 1)), stride_ = from.stride[1];
    whole_ = in_pieces(from, d_);
  }

  // Zeros behind the last coordinate.
  __device__ Piece<T> read(int64_t first) const {
    Piece<T> piece = {};
    if (whole_) {
      if (first < d_) piece = load_piece(row_ + first);
    } else {
      PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
        if (first + i < d_) piece.value[i] = row_[(first + i) * stride_];
      }
    }
    return piece;
  }

 private:
  const T* row_;
  int64_t stride_, d_;
  bool whole_;
};

template <class T>
struct WideScoreMemory {
  Stage<T> stage[2];
  bool unreachable[kWide<T>];
};

template <class T>
class WideScores {
 public:
  __device__ WideScores(WideScoreMemory<T>& memory, const Panels<T>& panels,
                        const PointReader<T>& points)
      : memory_(memory), panels_(panels), points_(points), centred_(*panels.exact == 0) {}

  // Brings the first coordinates of a tile of components.
  __device__ void begin(int64_t tile) {
    fetch(tile, 0);
    put();
    __syncthreads();
  }

  // The scores of the tile that was begun; begins the `next` one, where there is one.
  __device__ void score(int64_t tile, int64_t next, T (&score)[kEach<T>][kEach<T>]) {
    PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
      PYVAE_UNROLL for (int j = 0; j < kEach<T>; ++j) score[i][j] = 0;
    }
    const bool half = panels_.half_a_tile(tile * kWide<T>);
    for (int64_t d = 0; d < panels_.padded_d; d += kDepth) {
      const bool last = d + kDepth == panels_.padded_d, more = !last || next >= 0;
      if (more) fetch(last ? next : tile, last ? 0 : d + kDepth);
      const Stage<T>& stage = memory_.stage[put_ ^ 1];
      if (half)
        centred_ ? add_squares<true, 1>(stage, score) : add_squares<false, 1>(stage, score);
      else
        centred_ ? add_squares<true, 2>(stage, score) : add_squares<false, 2>(stage, score);
      if (!more) break;
      put();
      __syncthreads();
    }
    PYVAE_UNROLL for (int j = 0; j < kEach<T>; ++j) {
      const T constant = panels_.constant[tile * kWide<T> + place<T>(column_of_thread(), j)];
      PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
        // 0 * inf of a component that counts for nothing must not show.
        score[i][j] = constant == -kInfinity<T> ? constant : constant - T(0.5) * score[i][j];
      }
    }
  }

  // Marks the points that hold an infinity, once the scores of the first tile of components are
  // made: their density is zero under every component. All threads come, and find a barrier.
  __device__ void mark_unreachable() {
    bool infinite = infinite_, nan = nan_;
    for (int gap = OwnPiece<T>::kPerPoint / 2; gap > 0; gap /= 2) {
      infinite |= __shfl_xor_sync(kAllLanes, int(infinite), gap) != 0;
      nan |= __shfl_xor_sync(kAllLanes, int(nan), gap) != 0;
    }
    const OwnPiece<T> own;
    if (own.coordinate == 0) memory_.unreachable[own.point] = infinite && !nan;
    __syncthreads();
  }

 private:
  __device__ void fetch(int64_t tile, int64_t d) {
    const OwnPiece<T> own;
    x_ = points_.read(d + own.coordinate);
    if (tile == 0) note();
    if (centred_) {
      const Piece<T> centre = load_piece(panels_.centre + d + own.coordinate);
      PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) x_.value[i] -= centre.value[i];
    }
    const int64_t at = (tile * panels_.padded_d + d + own.depth) * kWide<T> + own.column;
    scale_ = load_piece(panels_.scale + at);
    shift_ = load_piece((centred_ ? panels_.shift : panels_.mean) + at);
  }

  __device__ void note() {
    PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
      infinite_ |= size_of(x_.value[i]) == kInfinity<T>;
      nan_ |= x_.value[i] != x_.value[i];
    }
  }

  __device__ void put() {
    const OwnPiece<T> own;
    Stage<T>& stage = memory_.stage[put_];
    PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
      stage.point[own.coordinate + i][own.point] = x_.value[i];
    }
    store_piece(&stage.scale[own.depth][own.column], scale_);
    store_piece(&stage.shift[own.depth][own.column], shift_);
    put_ ^= 1;
  }

  // By so many of a thread's two pieces of components.
  template <bool kCentred, int kPieces>
  __device__ static void add_squares(const Stage<T>& stage, T (&sum)[kEach<T>][kEach<T>]) {
    constexpr int kColumns = kPieces * kWidth<T>;
    PYVAE_UNROLL for (int d = 0; d < kDepth; ++d) {
      T x[kEach<T>], scale[kColumns], shift[kColumns];
      load_own(x, stage.point[d], row_of_thread());
      load_own(scale, stage.scale[d], column_of_thread());
      load_own(shift, stage.shift[d], column_of_thread());
      PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
        PYVAE_UNROLL for (int j = 0; j < kColumns; ++j) {
          const T z = standardise<kCentred>(x[i], scale[j], shift[j]);
          sum[i][j] += z * z;
        }
      }
    }
  }

  WideScoreMemory<T>& memory_;
  const Panels<T>& panels_;
  const PointReader<T> points_;
  const bool centred_;
  Piece<T> x_, scale_, shift_;  // on their way
  int put_ = 0;                 // the stage that they go to
  bool infinite_ = false, nan_ = false;
};

}  // namespace
}  // namespace pyvae
