// SPDX-License-Identifier: MIT
// The scores of a tile of points under full covariances, a component after the other.
#pragma once

#include "cuda/full/rows.h"

namespace pyvae {
namespace {

// Shared memory of a block: its points by coordinates, one component, and squared lengths of y by
// groups of rows. A thread has the scores of points of its own.
template <class Number, int kSlabs_>
struct FullTile {
  using T = Number;
  static constexpr int kSlabs = kSlabs_, kPoints = kSlabs * kSlab<T>, kPitch = kPoints + kWidth<T>,
                       kOwn = (kPoints + kThreads - 1) / kThreads;
  const Inverses<T>& inverses;
  T *x, *panel, *mean, *squares;
  bool* skip;

  PYVAE_HD static size_t bytes(const Inverses<T>& of) {
    const int64_t numbers = of.padded_d * kPitch + of.panel() + of.padded_d + of.groups() * kPoints;
    return size_t(numbers) * sizeof(T) + kPoints;
  }
  PYVAE_HD static int64_t count(const Problem& problem, int64_t points) {
    return problem.batch * divide_up(points, int64_t(kPoints));
  }
  __device__ FullTile(T* memory, const Inverses<T>& of)
      : inverses(of),
        x(memory),
        panel(x + of.padded_d * kPitch),
        mean(panel + of.panel()),
        squares(mean + of.padded_d),
        skip(reinterpret_cast<bool*>(squares + of.groups() * kPoints)) {}

  // Zeros where there is nothing to read, or nothing that may be used. A barrier before.
  __device__ void load(const Points<T>& points) {
    for (int n = row_of_thread(); n < kPoints; n += kSide)
      for (int64_t d = column_of_thread(); d < inverses.padded_d; d += kSide)
        x[d * kPitch + n] = points.value(n, d, inverses.d);
  }

  // Makes the squared lengths under a component. Barriers before and behind.
  __device__ void measure(const FullParameters<T>& from, int64_t entry, int64_t k) {
    __syncthreads();
    const int64_t size = inverses.panel();
    copy_pieces(panel, inverses.lower + inverses.factor_of(entry, k) * size, size);
    for (int64_t d = threadIdx.x; d < inverses.padded_d; d += kThreads)
      mean[d] = d < inverses.d ? from.mean(k, d) : T(0);
    __syncthreads();
    const int groups = int(inverses.groups());
    for_each_group(groups, kSlabs, [&](int rank, int slab) {
      const int group = groups - 1 - rank, row = group * kGroup<T>;
      const int own = slab * kSlab<T> + int(threadIdx.x) % kWarp * kWidth<T>;
      T sum[kWidth<T>][kGroup<T>] = {};
      multiply(panel + inverses.lower_group(row), Gaps<T>{x + own, mean, kPitch}, 0,
               row + kGroup<T>, sum);
      Piece<T> length = {};
      PYVAE_UNROLL for (int n = 0; n < kWidth<T>; ++n) {
        PYVAE_UNROLL for (int r = 0; r < kGroup<T>; ++r) length.value[n] += sum[n][r] * sum[n][r];
      }
      store_piece(squares + group * kPoints + own, length);
    });
    __syncthreads();
  }

  // Calls body(i, n) for the thread's points of the tile; all threads of a warp come, or none.
  template <class Body>
  __device__ static void for_each_own(const Body& body) {
    PYVAE_UNROLL for (int i = 0; i < kOwn; ++i) {
      const int n = int(threadIdx.x) + i * kThreads;
      if (n < kPoints) body(i, n);
    }
  }

  __device__ T score(int n, T constant) const {
    T length = 0;
    for (int64_t group = 0; group < inverses.groups(); ++group)
      length += squares[group * kPoints + n];
    return constant - T(0.5) * length;
  }
};

// Calls body(a tile's type): more points for small D.
template <class T, class Body>
void with_tile(const Problem& problem, const Body& body) {
  if (problem.d <= 32)
    body(std::type_identity<FullTile<T, 2>>());
  else
    body(std::type_identity<FullTile<T, 1>>());
}

}  // namespace
}  // namespace pyvae
