// SPDX-License-Identifier: MIT
// Lower triangular systems by square tiles: a lane has a column of the right-hand side, and kSize
// rows of it in registers. Lanes read the same numbers of a tile, 16 bytes at a time.
#pragma once

#include "cuda/large/tiles.h"

namespace pyvae {
namespace {

template <class T>
__device__ inline void subtract_piece(T& sum, const T* left, const Piece<T>& right) {
  const Piece<T> row = load_piece(left);
  PYVAE_UNROLL for (int k = 0; k < kWidth<T>; ++k) sum -= row.value[k] * right.value[k];
}

// sum -= left right, of a tile whose rows are `pitch` apart. right(k) gives kWidth numbers of the
// lane's column from row k on.
template <class T, int kSize, class Right>
__device__ inline void subtract_product(T (&sum)[kSize], const T* left, int pitch,
                                        const Right& right) {
  PYVAE_ROLLED for (int k = 0; k < kSize; k += kWidth<T>) {
    const Piece<T> own = right(k);
    PYVAE_UNROLL for (int i = 0; i < kSize; ++i) subtract_piece(sum[i], left + i * pitch + k, own);
  }
}

// The same of a lower triangular tile, but for its last columns, which may be full.
template <class T, int kSize, class Right>
__device__ inline void subtract_triangular_product(T (&sum)[kSize], const T* left, int pitch,
                                                   const Right& right) {
  PYVAE_UNROLL for (int k = 0; k < kSize; k += kWidth<T>) {
    const Piece<T> own = right(k);
    const int first = k == kSize - kWidth<T> ? 0 : k;
    PYVAE_UNROLL for (int i = 0; i < kSize; ++i) {
      if (i >= first) subtract_piece(sum[i], left + i * pitch + k, own);
    }
  }
}

// sum -= left' right, of a tile whose rows are kSize apart. right(k) gives one number.
template <class T, int kSize, class Right>
__device__ inline void subtract_transposed_product(T (&sum)[kSize], const T* left,
                                                   const Right& right) {
  PYVAE_ROLLED for (int k = 0; k < kSize; ++k) {
    const T own = right(k);
    PYVAE_UNROLL for (int i = 0; i < kSize; i += kWidth<T>) {
      const Piece<T> row = load_piece(left + k * kSize + i);
      PYVAE_UNROLL for (int j = 0; j < kWidth<T>; ++j) sum[i + j] -= row.value[j] * own;
    }
  }
}

// x = factor^-1 x of a tile on the diagonal, of which the strict lower triangle is read; `inverse`
// has the inverses of the diagonal. Row `own`, if it is one, becomes `quotient`. Returns the sum of
// the squares of the others.
template <class T, int kSize>
__device__ inline T solve_tile(T (&x)[kSize], const T* factor, const T* inverse, int own,
                               T quotient) {
  T squares = 0;
  PYVAE_UNROLL for (int k = 0; k < kSize; k += kWidth<T>) {
    const Piece<T> scale = load_piece(inverse + k);
    PYVAE_UNROLL for (int i = k; i < kSize; ++i) {
      const Piece<T> row = load_piece(factor + i * kSize + k);
      PYVAE_UNROLL for (int j = 0; j < kWidth<T>; ++j) {
        if (k + j < i) x[i] -= row.value[j] * x[k + j];
      }
      if (i >= k + kWidth<T>) continue;
      x[i] = i == own ? quotient : x[i] * scale.value[i - k];
      if (i != own) squares += x[i] * x[i];
    }
  }
  return squares;
}

// x = factor^-T x likewise; rows before `begin` are not the column's, and become zero.
template <class T, int kSize>
__device__ inline void solve_transposed_tile(T (&x)[kSize], const T* factor, const T* inverse,
                                             int begin) {
  PYVAE_UNROLL for (int first = kSize - kWidth<T>; first >= 0; first -= kWidth<T>) {
    const Piece<T> scale = load_piece(inverse + first);
    PYVAE_UNROLL for (int k = first + kWidth<T> - 1; k >= first; --k) {
      x[k] = k < begin ? T(0) : x[k] * scale.value[k - first];
      PYVAE_UNROLL for (int i = 0; i < k; i += kWidth<T>) {
        const Piece<T> row = load_piece(factor + k * kSize + i);
        PYVAE_UNROLL for (int j = 0; j < kWidth<T>; ++j) {
          if (i + j < k) x[i + j] -= row.value[j] * x[k];
        }
      }
    }
  }
}

}  // namespace
}  // namespace pyvae
