// SPDX-License-Identifier: MIT
// Wide tiles: 128 by 128 numbers in float, 64 by 64 in double, in the registers of a block. All
// that a thread reads from shared memory, it reads 16 bytes at a time.
#pragma once

#include "cuda/block.h"

namespace pyvae {
namespace {

// What is loaded and stored at once.
template <class T>
struct alignas(16) Piece {
  static constexpr int kWidth = int(16 / sizeof(T));
  T value[kWidth];
};
template <class T>
inline constexpr int kWidth = Piece<std::remove_const_t<T>>::kWidth;
template <class T>
__device__ inline Piece<T> load_piece(const T* from) {
  return *reinterpret_cast<const Piece<T>*>(from);
}
template <class T>
__device__ inline void store_piece(T* to, const Piece<T>& piece) {
  *reinterpret_cast<Piece<T>*>(to) = piece;
}

// Whether the rows of a matrix of so many columns can be read and written in pieces.
template <class T>
__device__ inline bool in_pieces(const Column<T>& matrix, int64_t columns) {
  return matrix.stride[1] == 1 && columns % kWidth<T> == 0 && matrix.stride[0] % kWidth<T> == 0 &&
         reinterpret_cast<uintptr_t>(matrix.data) % sizeof(Piece<T>) == 0;
}

// A thread has kEach rows by kEach columns of the tile: two pieces of each, half a tile apart.
template <class T>
inline constexpr int kEach = 2 * kWidth<T>;
template <class T>
inline constexpr int kWide = kSide * kEach<T>;
// Coordinates, or whatever a tile's numbers are summed over, in shared memory at a time.
inline constexpr int kDepth = 8;

// Where the i-th of a thread's rows or columns is in the tile; `position` is that of the thread.
template <class T>
__device__ inline int place(int position, int i) {
  return i / kWidth<T> * (kWide<T> / 2) + position * kWidth<T> + i % kWidth<T>;
}

// A thread's numbers of a row, or those of its first half, from memory and into memory.
template <class T, int kCount>
__device__ inline void load_own(T (&own)[kCount], const T* row, int position) {
  PYVAE_UNROLL for (int half = 0; half < kCount / kWidth<T>; ++half) {
    const Piece<T> piece = load_piece(row + place<T>(position, half * kWidth<T>));
    PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) own[half * kWidth<T> + i] = piece.value[i];
  }
}
template <class T>
__device__ inline void store_own(T* row, int position, const T (&own)[kEach<T>]) {
  PYVAE_UNROLL for (int half = 0; half < 2; ++half) {
    Piece<T> piece;
    PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) piece.value[i] = own[half * kWidth<T> + i];
    store_piece(row + place<T>(position, half * kWidth<T>), piece);
  }
}

// kDepth coordinates of a tile of points and a tile of components; the padding keeps rows apart
// where they are written.
template <class T>
struct alignas(16) Stage {
  T point[kDepth][kWide<T> + kWidth<T>];
  T scale[kDepth][kWide<T>], shift[kDepth][kWide<T>];
};

// Which piece of a stage a thread brings: one of a point's coordinates, and one of a coordinate of
// the components.
template <class T>
struct OwnPiece {
  static constexpr int kPerPoint = kDepth / kWidth<T>, kPerRow = kWide<T> / kWidth<T>;
  int point = int(threadIdx.x) / kPerPoint, coordinate = int(threadIdx.x) % kPerPoint * kWidth<T>;
  int depth = int(threadIdx.x) / kPerRow, column = int(threadIdx.x) % kPerRow * kWidth<T>;
};

}  // namespace
}  // namespace pyvae
