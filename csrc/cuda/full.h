// SPDX-License-Identifier: MIT
// Mixtures with full covariances on the GPU. With W the inverse of a Cholesky factor, y = W (x -
// mu): triangular products of a group of rows by a warp's points, a component after the other.
#pragma once

#include "common/parameters.h"
#include "cuda/chunk.h"
#include "cuda/points.h"
#include "cuda/wide.h"
#include "math/gaussian.h"

namespace pyvae {
namespace {

// Rows of a group: a lane has them of the points of one piece. A warp has the points of a slab.
template <class T>
inline constexpr int kGroup = kEach<T>;
template <class T>
inline constexpr int kSlab = kWarp * kWidth<T>;

// Inverse factors of all batch entries in double, by rows of d with zeros above the diagonal, and
// packed: `lower` by groups of rows, of every column up to the group's last; `upper` by groups of
// columns, of every row from the group's first. And log weight - log det L - D/2 log 2 pi of every
// component, -inf of those that count for nothing.
template <class T>
struct Inverses {
  double* inverse = nullptr;
  T *lower = nullptr, *upper = nullptr, *squares = nullptr;  // the last: of the columns
  T* constant = nullptr;
  int64_t factors = 0, k = 0, d = 0, padded_d = 0;

  PYVAE_HD int64_t groups() const { return padded_d / kGroup<T>; }
  PYVAE_HD int64_t panel() const { return padded_d * (padded_d + kGroup<T>) / 2; }
  // Where the numbers of the group that begins at a row, or a column, begin.
  PYVAE_HD int64_t lower_group(int64_t row) const { return row * (row + kGroup<T>) / 2; }
  PYVAE_HD int64_t upper_group(int64_t column) const {
    return column * padded_d - column * (column - kGroup<T>) / 2;
  }
  __device__ int64_t factor_of(int64_t entry, int64_t component) const {
    return entry * factors + (factors == 1 ? 0 : component);
  }
  __device__ T constant_of(int64_t entry, int64_t component) const {
    return constant[entry * k + component];
  }
  __device__ bool alive(int64_t entry, int64_t component) const {
    return constant_of(entry, component) != -kInfinity<T>;
  }
};

// Packs an inverse of the block, and the squares of its columns. Barriers before and behind.
template <class T>
__device__ void pack_inverse(const Inverses<T>& to, int64_t factor) {
  const double* const inverse = to.inverse + factor * to.d * to.d;
  const auto at = [&](int64_t i, int64_t j) {
    return i < to.d && j <= i ? T(inverse[i * to.d + j]) : T(0);
  };
  for (int64_t i = threadIdx.x; i < to.padded_d * to.padded_d; i += kThreads) {
    const int64_t row = i / to.padded_d, column = i % to.padded_d;
    const int64_t first_row = row - row % kGroup<T>, first_column = column - column % kGroup<T>;
    if (column < first_row + kGroup<T>)
      to.lower[factor * to.panel() + to.lower_group(first_row) + column * kGroup<T> + row -
               first_row] = at(row, column);
    if (row >= first_column)
      to.upper[factor * to.panel() + to.upper_group(first_column) +
               (row - first_column) * kGroup<T> + column - first_column] = at(row, column);
  }
  for (int64_t j = threadIdx.x; j < to.d; j += kThreads) {
    T sum = 0;
    for (int64_t i = j; i < to.d; ++i) sum += at(i, j) * at(i, j);
    to.squares[factor * to.d + j] = sum;
  }
}

// A block a factor, a thread a column: column c of W is L^-1 e_c.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    invert_kernel(const __grid_constant__ Problem problem, int first, Inverses<T> to) {
  double* const logs = &shared_memory<double>();
  const int64_t entry = blockIdx.x / to.factors, factor = blockIdx.x % to.factors, d = problem.d;
  const FullParameters<T> from(problem, first, entry);
  double* const inverse = to.inverse + blockIdx.x * d * d;
  for (int64_t c = threadIdx.x; c < d; c += kThreads) {
    logs[c] = log(double(from.factor(factor, c, c)));
    for (int64_t i = 0; i < d; ++i) {
      double sum = i == c ? 1 : 0;
      for (int64_t j = c; j < i; ++j) sum -= double(from.factor(factor, i, j)) * inverse[j * d + c];
      inverse[i * d + c] = i < c ? 0 : sum / double(from.factor(factor, i, i));
    }
  }
  __syncthreads();
  pack_inverse(to, blockIdx.x);
  double log_determinant = 0;
  for (int64_t i = 0; i < d; ++i) log_determinant += logs[i];
  const Range components = to.factors == 1 ? Range{0, to.k} : Range{factor, factor + 1};
  for (int64_t k = components.begin + threadIdx.x; k < components.end; k += kThreads)
    to.constant[entry * to.k + k] =
        from.alive(k, d) ? T(from.log_weight(k) - log_determinant - 0.5 * kLog2Pi * double(d))
                         : -kInfinity<T>;
}

// Operands from `first`: log_weights, means, scale_trils.
template <class T>
Inverses<T> invert(const Problem& problem, const Runtime& runtime, int first) {
  Inverses<T> found;
  found.factors = problem.operand[first + 2].size[0];
  found.k = problem.k, found.d = problem.d;
  found.padded_d = divide_up(problem.d, kGroup<T>) * kGroup<T>;
  const int64_t factors = problem.batch * found.factors;
  Carver::carve(runtime, [&](Carver& memory) {
    found.inverse = memory.take<double>(factors * problem.d * problem.d);
    found.lower = memory.take<T>(factors * found.panel());
    found.upper = memory.take<T>(factors * found.panel());
    found.squares = memory.take<T>(factors * problem.d);
    found.constant = memory.take<T>(problem.batch * problem.k);
  });
  launch(invert_kernel<T>, factors, kThreads, larger<int64_t>(1, problem.d) * sizeof(double),
         runtime.stream, problem, first, found);
  return found;
}

// What a block multiplies: rows of numbers of its points, as they are or less their means.
template <class T>
struct Rows {
  const T* own;  // a lane's first number of row 0
  int pitch;

  __device__ Piece<T> shift(int) const { return {}; }
  __device__ Piece<T> at(int row, T) const { return load_piece(own + row * pitch); }
};
template <class T>
struct Gaps {
  const T *own, *mean;
  int pitch;

  __device__ Piece<T> shift(int row) const { return load_piece(mean + row); }
  __device__ Piece<T> at(int row, T mean_of_row) const {
    Piece<T> gap = load_piece(own + row * pitch);
    PYVAE_UNROLL for (int n = 0; n < kWidth<T>; ++n) gap.value[n] -= mean_of_row;
    return gap;
  }
};

// sum[n][r] += sum_j panel[j][r] right[j][n] over so many j from `first`, whole pieces of them.
template <class T, class Right>
__device__ inline void multiply(const T* panel, const Right& right, int first, int count,
                                T (&sum)[kWidth<T>][kGroup<T>]) {
  for (int j = 0; j < count; j += kWidth<T>) {
    const Piece<T> shift = right.shift(first + j);
    PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) {
      const Piece<T> value = right.at(first + j + i, shift.value[i]);
      const T* const row = panel + (j + i) * kGroup<T>;
      const Piece<T> left[2] = {load_piece(row), load_piece(row + kWidth<T>)};
      PYVAE_UNROLL for (int n = 0; n < kWidth<T>; ++n) {
        PYVAE_UNROLL for (int r = 0; r < kGroup<T>; ++r) sum[n][r] +=
            left[r / kWidth<T>].value[r % kWidth<T>] * value.value[n];
      }
    }
  }
}

// Deals groups and slabs out to the warps, those of the lowest rank first. These are to have most
// to do: the two warps of a scheduler have as much as those of another.
template <class Body>
__device__ inline void for_each_group(int groups, int slabs, const Body& body) {
  const int warp = int(threadIdx.x) / kWarp;
  for (int i = warp < kWarps / 2 ? warp : 3 * kWarps / 2 - 1 - warp; i < groups * slabs;
       i += kWarps)
    body(i / slabs, i % slabs);
}

// Copies whole pieces into shared memory.
template <class T>
__device__ inline void copy_pieces(T* to, const T* from, int64_t count) {
  for (int64_t i = int64_t(threadIdx.x) * kWidth<T>; i < count; i += kThreads * kWidth<T>)
    store_piece(to + i, load_piece(from + i));
}

}  // namespace
}  // namespace pyvae
