// SPDX-License-Identifier: MIT
// What is left after screening (screen.h): a warp a point computes the scores of the groups of
// components that its bounds have kept, by differences, with lanes over coordinates.
#pragma once

#include "cuda/large/bounds.h"
#include "cuda/large/packed.h"

namespace pyvae {
namespace {

// How a warp shares a group: kLanes lanes a component, each with kPieces pieces of its coordinates.
template <int kLanes_, int kPieces_>
struct GroupShape {
  static constexpr int kLanes = kLanes_, kPieces = kPieces_;
  static constexpr int kAtOnce = kWarp / kLanes, kRounds = kBounded / kAtOnce;
  static_assert(kAtOnce <= kBounded);

  __device__ static int lane() { return int(threadIdx.x) % kWarp; }
  // Which component of a group this lane has in a round, and which it speaks for.
  __device__ static int member(int round) { return round * kAtOnce + lane() / kLanes; }
  __device__ static int slot() { return lane() % kBounded; }
  // The first of the coordinates in a piece of this lane.
  template <class T>
  __device__ static int coordinate(int piece) {
    return (piece * kLanes + lane() % kLanes) * kWidth<T>;
  }
};

// Calls run(shape) with how warps share groups of so many coordinates.
template <class Run>
void with_group_shape(int64_t padded_d, const Run& run) {
  if (padded_d <= 64) return run(GroupShape<16, 1>());
  if (padded_d <= 128) return run(GroupShape<32, 1>());
  run(GroupShape<32, 2>());
}

// A group of components in the registers of a warp, round by round.
template <class T, class Shape>
struct Group {
  int index;
  Piece<T> scale[Shape::kRounds][Shape::kPieces], mean[Shape::kRounds][Shape::kPieces];

  __device__ int component() const { return index * kBounded + Shape::slot(); }
};

// Where a lane reads groups.
template <class T, class Shape>
class GroupReader {
 public:
  __device__ explicit GroupReader(const Panels<T>& panels)
      : scale_(panels.row_scale), mean_(panels.row_mean), pitch_(unsigned(panels.padded_d)) {}

  __device__ Group<T, Shape> read(int index) const {
    Group<T, Shape> group = {index, {}, {}};
    PYVAE_UNROLL for (int round = 0; round < Shape::kRounds; ++round) {
      const unsigned row = unsigned(index * kBounded + Shape::member(round));
      PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
        const unsigned d = unsigned(Shape::template coordinate<T>(p));
        if (d >= pitch_) continue;
        const uint64_t at = uint64_t(row) * pitch_ + d;
        group.scale[round][p] = load_piece(scale_ + at);
        group.mean[round][p] = load_piece(mean_ + at);
      }
    }
    return group;
  }

 private:
  const T *scale_, *mean_;
  unsigned pitch_;
};

// A point in the registers of a warp, every subgroup of kLanes lanes with a copy.
template <class T, class Shape>
class ScreenedPoint {
 public:
  // `whole` says that rows can be read in pieces.
  __device__ ScreenedPoint(const Column<const T>& points, int64_t n, int64_t d, bool whole) {
    const T* const row = &points.at(n);
    PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
      const int at = Shape::template coordinate<T>(p);
      x_[p] = {};
      if (whole) {
        if (at < d) x_[p] = load_piece(row + at);
        continue;
      }
      for (int i = 0; i < kWidth<T> && at + i < d; ++i)
        x_[p].value[i] = row[(at + i) * points.stride[1]];
    }
  }

  // Of the component that this lane speaks for.
  __device__ T score(const Group<T, Shape>& group, const T* constants) const {
    const T constant = constants[group.component()];
    T own = 0;
    PYVAE_UNROLL for (int round = 0; round < Shape::kRounds; ++round) {
      T sum = 0;
      PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
        PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
          const T z = standardised(group, round, p, i);
          sum += z * z;
        }
      }
      sum = sum_over_lanes(sum, Shape::kLanes);
      const T got = __shfl_sync(kAllLanes, sum, Shape::slot() % Shape::kAtOnce * Shape::kLanes);
      if (Shape::slot() / Shape::kAtOnce == round) own = got;
    }
    return constant == -kInfinity<T> ? constant : constant - T(0.5) * own;
  }

  // Adds to sum_k term z/sigma of the pieces, a lane for the components that it has.
  __device__ void add_gradient(const Group<T, Shape>& group, T term,
                               Piece<T> (&sum)[Shape::kPieces]) const {
    PYVAE_UNROLL for (int round = 0; round < Shape::kRounds; ++round) {
      const T weight = __shfl_sync(kAllLanes, term, Shape::member(round));
      PYVAE_UNROLL for (int p = 0; p < Shape::kPieces; ++p) {
        PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
          const T z = standardised(group, round, p, i);
          if (weight != 0) sum[p].value[i] += weight * z * group.scale[round][p].value[i];
        }
      }
    }
  }

 private:
  __device__ T standardised(const Group<T, Shape>& group, int round, int p, int i) const {
    return standardise<false>(x_[p].value[i], group.scale[round][p].value[i],
                              group.mean[round][p].value[i]);
  }

  Piece<T> x_[Shape::kPieces];
};

// Calls body(group) for the groups of a point whose bound is not below `cut`, in ascending order.
// All lanes of the warp come.
template <class Body>
__device__ inline void for_each_kept(const uint16_t* bounds, int groups, float cut,
                                     const Body& body) {
  for_each_bound(bounds, groups, [&](int first, const Words& of) {
    unsigned own = 0;
    PYVAE_UNROLL for (int i = 0; i < 8; ++i) {
      if (!(bound_of(of, i) < cut)) own |= 1u << i;
    }
    if (first >= groups) own = 0;
    const int base = first - int(threadIdx.x) % kWarp * 8;
    for (unsigned lanes = __ballot_sync(kAllLanes, own != 0); lanes; lanes &= lanes - 1) {
      const int lane = __ffs(int(lanes)) - 1;
      for (unsigned kept = __shfl_sync(kAllLanes, own, lane); kept; kept &= kept - 1)
        body(base + lane * 8 + __ffs(int(kept)) - 1);
    }
  });
}

// A turn of a warp is so many neighbouring points, whose numbers lanes read and write, one each.
inline constexpr int kTurn = 16;

// Calls body(first, count) for the turns of a warp among `points`.
template <class Body>
__device__ inline void for_each_turn(int64_t points, const Body& body) {
  for (int64_t turn = first_of_warp(); turn * kTurn < points; turn += step_of_warps())
    body(turn * kTurn, int(smaller<int64_t>(kTurn, points - turn * kTurn)));
}
inline int64_t blocks_of_turns(int64_t points) { return blocks_of_warps(divide_up(points, kTurn)); }

}  // namespace
}  // namespace pyvae
