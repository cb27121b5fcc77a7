// SPDX-License-Identifier: MIT
// Mixtures with full covariances on the GPU. With W the inverse of a Cholesky factor, y = W (x -
// mu): triangular products of a group of rows by a warp's points, a component after the other.
#pragma once

#include "common/parameters.h"
#include "cuda/large/chunk.h"
#include "cuda/large/tiles.h"
#include "cuda/points.h"
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

// Writes an inverse, packs it, and sums the squares of its columns.
template <class T>
__device__ void write_inverse(const Inverses<T>& to, int64_t factor, const double* inverse) {
  const int64_t d = to.d, padded_d = to.padded_d;
  T* const lower = to.lower + factor * to.panel();
  T* const upper = to.upper + factor * to.panel();
  for (int64_t i = threadIdx.x; i < d * d; i += kThreads)
    to.inverse[factor * d * d + i] = inverse[i];
  for (int64_t i = threadIdx.x; i < padded_d * padded_d; i += kThreads) {
    const int64_t row = i / padded_d, column = i % padded_d;
    const int64_t in_row = row % kGroup<T>, in_column = column % kGroup<T>;
    const int64_t first_row = row - in_row, first_column = column - in_column;
    const T value = row < d && column <= row ? T(inverse[row * d + column]) : T(0);
    if (column < first_row + kGroup<T>)
      lower[to.lower_group(first_row) + column * kGroup<T> + in_row] = value;
    if (row >= first_column)
      upper[to.upper_group(first_column) + (row - first_column) * kGroup<T> + in_column] = value;
  }
  for (int64_t j = threadIdx.x; j < d; j += kThreads) {
    T sum = 0;
    for (int64_t i = j; i < d; ++i) sum += T(inverse[i * d + j]) * T(inverse[i * d + j]);
    to.squares[factor * d + j] = sum;
  }
}

// Shared memory of a block that inverts: of d numbers a row.
template <class T>
struct InversionMemory {
  double *inverse, *logs;
  T* factor;

  PYVAE_HD static size_t bytes(int64_t d) {
    return size_t((d + 1) * d) * sizeof(double) + size_t(d * d) * sizeof(T) + sizeof(double);
  }
  __device__ InversionMemory(double* memory, int64_t d)
      : inverse(memory), logs(inverse + d * d), factor(reinterpret_cast<T*>(logs + d)) {}
};

// A block a factor, a thread a column: column c of W is L^-1 e_c.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    invert_kernel(const __grid_constant__ Problem problem, int first, Inverses<T> to) {
  const int64_t entry = blockIdx.x / to.factors, factor = blockIdx.x % to.factors, d = problem.d;
  const InversionMemory<T> memory(&shared_memory<double>(), d);
  const FullParameters<T> from(problem, first, entry);
  for (int64_t i = threadIdx.x; i < d * d; i += kThreads) {
    memory.factor[i] = i % d <= i / d ? from.factor(factor, i / d, i % d) : T(0);
    memory.inverse[i] = 0;
  }
  __syncthreads();
  for (int64_t c = threadIdx.x; c < d; c += kThreads) {
    memory.logs[c] = log(double(memory.factor[c * d + c]));
    for (int64_t i = c; i < d; ++i) {
      const T* const row = memory.factor + i * d;
      double sum = i == c ? 1 : 0;
      for (int64_t j = c; j < i; ++j) sum -= double(row[j]) * memory.inverse[j * d + c];
      memory.inverse[i * d + c] = sum / double(row[i]);
    }
  }
  __syncthreads();
  write_inverse(to, blockIdx.x, memory.inverse);
  double log_determinant = 0;
  for (int64_t i = 0; i < d; ++i) log_determinant += memory.logs[i];
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
  launch(invert_kernel<T>, factors, kThreads, InversionMemory<T>::bytes(problem.d), runtime.stream,
         problem, first, found);
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
