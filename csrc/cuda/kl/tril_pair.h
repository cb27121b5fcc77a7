// SPDX-License-Identifier: MIT
// One batch entry of gaussian_kl_tril: the formulas of rows/gaussian_kl_tril.cpp by tiles. A thread
// has a column of the right-hand side [Lq | mean_q - mean_p], in registers a tile's height at a
// time; tiles of Lp are in shared memory.
#pragma once

#include "cuda/kl/triangular.h"
#include "math/scales.h"
#include "problem.h"

namespace pyvae {
namespace {

// The threads that share a batch entry: `lanes` of a warp, or the block.
struct Group {
  int lanes, lane;
  int64_t index;

  __device__ explicit Group(int lanes_)
      : lanes(lanes_),
        lane(int(threadIdx.x) % lanes_),
        index(int64_t(blockIdx.x) * (int(blockDim.x) / lanes_) + int(threadIdx.x) / lanes_) {}
  __device__ Group() : lanes(int(blockDim.x)), lane(int(threadIdx.x)), index(blockIdx.x) {}

  __device__ void wait() const {
    if (lanes > 32)
      __syncthreads();
    else
      __syncwarp();
  }
};

// Partial sums of the threads of a group, added up in all of them. `shared` has one a warp.
template <class T>
__device__ T sum_over_group(const Group& group, T value, T* shared) {
  if (group.lanes <= 32) return sum_over_lanes(value, group.lanes);
  value = sum_over_lanes(value, 32);
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  T total = 0;
  PYVAE_ROLLED for (int warp = 0; warp < group.lanes / 32; ++warp) total += shared[warp];
  return total;
}

// Operands that kernels look for.
inline constexpr int kOperands = 10;

// The mean and the factor of a Gaussian, in the caller's strides; where they are stays in memory.
template <class T>
struct Factor {
  void* const* operands;
  int64_t mean_stride, row, column;

  __device__ Factor(const Problem& problem, void* const* found, int first)
      : operands(found + first),
        mean_stride(problem.operand[first].stride[0]),
        row(problem.operand[first + 1].stride[0]),
        column(problem.operand[first + 1].stride[1]) {}
  __device__ const T* tril() const { return static_cast<const T*>(operands[1]); }
  __device__ T at(int i, int j) const { return tril()[i * row + j * column]; }
  __device__ T scale(int i) const { return at(i, i); }
  __device__ T location(int i) const { return static_cast<const T*>(*operands)[i * mean_stride]; }
};

// How a matrix is cut into tiles, kOne or several, and how many numbers are kept of an entry.
template <class T, int kSize, bool kOne>
struct Tiling {
  static constexpr int kPitch = kSize + kWidth<T>;  // of rows that are written by columns
  int d, blocks, padded;

  PYVAE_HD explicit Tiling(int64_t d_)
      : d(int(d_)), blocks(kOne ? 1 : int(divide_up(d_, kSize))), padded(blocks * kSize) {}

  // Addresses; inverses of Lp's diagonal, the difference of the means, and a column of Lp's tiles.
  static constexpr int kAddresses = kOperands * int(sizeof(void*) / sizeof(T));
  PYVAE_HD int64_t tiles() const { return int64_t(blocks) * kSize * kSize; }
  PYVAE_HD int64_t staged() const { return kAddresses + tiles() + 2 * kSize; }
  PYVAE_HD int64_t matrix() const { return int64_t(blocks) * blocks * kSize * kPitch; }
};

// Where a group keeps these: [M | z], and [W | y] where gradients are wanted, by tiles. The vector
// stands in the place of the last column of M, of which there is only the diagonal element: that is
// behind the last row.
template <class T>
struct Workspace {
  void** operands;
  T *tiles, *inverse, *gap, *right, *weighted;
  bool pieces;  // whether rows of Lp can be read so
};

// One batch entry, of which a thread has a column.
template <class T, int kSize, bool kOne>
class TrilPair : Tiling<T, kSize, kOne> {
  using Tiling<T, kSize, kOne>::d;
  using Tiling<T, kSize, kOne>::blocks;
  using Tiling<T, kSize, kOne>::padded;
  using Tiling<T, kSize, kOne>::kPitch;

 public:
  __device__ TrilPair(const Problem& problem, int first, const Group& group,
                      const Workspace<T>& memory)
      : Tiling<T, kSize, kOne>(problem.d),
        q_(problem, memory.operands, first),
        p_(problem, memory.operands, first + 2),
        group_(group),
        memory_(memory) {}

  // Calls body(column) for the columns of a thread, as often in all of them: for some there are
  // none left.
  template <class Body>
  __device__ void for_each_column(const Body& body) const {
    for (int first = 0; first < padded; first += group_.lanes) body(first + group_.lane);
  }
  __device__ bool is_gap(int column) const { return column == padded - 1; }

  __device__ T scale_divergence(int i) const {
    return i < d ? gaussian_scale_kl(q_.scale(i), p_.scale(i)) : T(0);
  }

  // [M | z] = Lp^-1 [Lq | mean_q - mean_p]. Returns the sum of a column's squares, without the
  // diagonal.
  __device__ T solve(int column) const {
    // Of q = p it is 1, and everything else exactly zero, multiply-adds or not.
    const T quotient = column < d ? q_.scale(column) / p_.scale(column) : T(1);
    T squares = 0;
    for (int block = 0; block < blocks; ++block) {
      T x[kSize];
      load(x, block, column);
      group_.wait();
      stage(block, block + 1, [&](int i, int& row, int& of) { row = block, of = block - i; });
      group_.wait();
      if (!has_begun(block, column)) continue;
      PYVAE_UNROLL for (int i = 0; is_gap(column) && i < kSize; ++i) x[i] = memory_.gap[i];
      for (int before = first_block(column); before < block; ++before) {
        const T* const of = own(memory_.right, before, column);
        subtract_product(x, tile(block - before), kSize, [&](int k) {
          Piece<T> piece;
          PYVAE_UNROLL for (int i = 0; i < kWidth<T>; ++i) piece.value[i] = of[(k + i) * kPitch];
          return piece;
        });
      }
      squares += solve_tile(x, tile(0), memory_.inverse, own_row(block, column), quotient);
      if (memory_.right) store(memory_.right, x, block, column);
    }
    if (memory_.right && is_gap(column)) *corner(memory_.right) = quotient;
    return squares;
  }

  // [W | y] = upstream Lp^-T [N | z] in the lower triangle; N is M but for its diagonal.
  __device__ void weigh(int column, T upstream, T* by_tril) const {
    const T slope = column < d ? gaussian_scale_kl_slope(q_.scale(column), p_.scale(column)) : T(0);
    for (int block = blocks - 1; block >= 0; --block) {
      if (blocks > 1) {
        group_.wait();
        stage(block, blocks - block,
              [&](int i, int& row, int& of) { row = block + i, of = block; });
        group_.wait();
      }
      if (column >= padded) continue;
      T x[kSize] = {};
      if (has_begun(block, column)) {
        const int diagonal = own_row(block, column);
        const T* const from = own(memory_.right, block, column);
        PYVAE_UNROLL for (int i = 0; i < kSize; ++i) {
          x[i] = upstream * (i == diagonal ? slope : from[i * kPitch]);
        }
        for (int later = block + 1; later < blocks; ++later) {
          const T* const of = own(memory_.weighted, later, column);
          subtract_transposed_product(x, tile(later - block),
                                      [&](int k) { return of[k * kPitch]; });
        }
        solve_transposed_tile(x, tile(0), memory_.inverse, diagonal);
        store(memory_.weighted, x, block, column);
      }
      if (is_gap(column)) {
        PYVAE_UNROLL for (int i = 0; i < kSize; ++i) x[i] = 0;
        if (block == blocks - 1)
          x[kSize - 1] = *corner(memory_.weighted) = upstream * slope * memory_.inverse[kSize - 1];
      }
      if (by_tril && column < d) write(by_tril, x, block, column);
    }
  }

  __device__ void write_means(T* by_mean_q, T* by_mean_p) const {
    PYVAE_ROLLED for (int i = group_.lane; i < d; i += group_.lanes) {
      const T value = own(memory_.weighted, i / kSize, padded - 1)[i % kSize * kPitch];
      if (by_mean_q) by_mean_q[i] = value;
      if (by_mean_p) by_mean_p[i] = -value;
    }
  }

  // -[W | y] [M | z]' in the lower triangle, a tile a warp or a part of one.
  __device__ void multiply(T* by_tril) const {
    const int lane = group_.lane % kSize, step = group_.lanes / kSize;
    for (int index = group_.lane / kSize; index < blocks * blocks; index += step) {
      const int row = index / blocks, block = index % blocks, column = block * kSize + lane;
      T sum[kSize] = {};
      for (int inner = 0; inner <= block && block <= row; ++inner) {
        const T* const left = tile(memory_.weighted, row, inner);
        const T* const own = tile(memory_.right, block, inner) + lane * kPitch;
        const auto right = [&](int k) { return load_piece(own + k); };
        if constexpr (kOne)
          subtract_triangular_product(sum, left, kPitch, right);
        else
          subtract_product(sum, left, kPitch, right);
      }
      if (block < smaller(row + 1, blocks - 1)) subtract_gap(sum, row, column);
      if (row == blocks - 1 && is_gap(column))
        sum[kSize - 1] -= *corner(memory_.weighted) * *corner(memory_.right);
      PYVAE_UNROLL for (int i = 0; i < kSize; ++i) {
        if (column > row * kSize + i) sum[i] = 0;
      }
      if (column < d) write(by_tril, sum, row, column);
    }
  }

 private:
  __device__ T* tile(int i) const { return memory_.tiles + i * kSize * kSize; }
  __device__ T* tile(T* matrix, int row, int column) const {
    return matrix + (row * blocks + column) * (kSize * kPitch);
  }
  // A column in a block of rows.
  __device__ T* own(T* matrix, int block, int column) const {
    return tile(matrix, block, column / kSize) + column % kSize;
  }
  __device__ T* corner(T* matrix) const {
    return own(matrix, blocks - 1, padded - 1) + (kSize - 1) * kPitch + 1;
  }

  // The block of rows in which a warp's columns begin, and whether that one has.
  __device__ int first_block(int column) const {
    return column / kSize == blocks - 1 ? 0 : column / kSize;
  }
  __device__ bool has_begun(int block, int column) const {
    return column < padded && first_block(column) <= block;
  }
  // Where in a block the diagonal is, outside of it or not.
  __device__ int own_row(int block, int column) const {
    return is_gap(column) ? -1 : column - block * kSize;
  }

  // A column of Lq; zeros above it.
  __device__ void load(T (&x)[kSize], int block, int column) const {
    const int first = block * kSize, begin = is_gap(column) ? d : column;
    const T* from = q_.tril() + first * q_.row + column * q_.column;
    PYVAE_UNROLL for (int i = 0; i < kSize; ++i, from += q_.row) {
      x[i] = first + i >= begin && first + i < d ? *from : T(0);
    }
  }
  __device__ void store(T* matrix, const T (&x)[kSize], int block, int column) const {
    T* const to = own(matrix, block, column);
    PYVAE_UNROLL for (int i = 0; i < kSize; ++i) to[i * kPitch] = x[i];
  }
  __device__ void write(T* to, const T (&x)[kSize], int block, int column) const {
    const int first = block * kSize;
    to += int64_t(first) * d + column;
    PYVAE_UNROLL for (int i = 0; i < kSize; ++i, to += d) {
      if (first + i < d) *to = x[i];
    }
  }
  // The column of y and z in a tile of the product.
  __device__ void subtract_gap(T (&sum)[kSize], int row, int column) const {
    const T* const y = own(memory_.weighted, row, padded - 1);
    const T z = own(memory_.right, column / kSize, padded - 1)[column % kSize * kPitch];
    PYVAE_UNROLL for (int i = 0; i < kSize; ++i) sum[i] -= y[i * kPitch] * z;
  }

  // Tiles of Lp, place(i, row, column) says which, the first of them that of the diagonal in
  // `block`; the inverse diagonal and the gap there. What is above the diagonal may be anything.
  template <class Place>
  __device__ void stage(int block, int count, const Place& place) const {
    const int lane = group_.lane % kSize;
    for (int i = group_.lane / kSize; i < count; i += group_.lanes / kSize) {
      int row = 0, column = 0;
      place(i, row, column);
      memory_.pieces ? stage_pieces(i, lane, row * kSize, column * kSize)
                     : stage_numbers(i, lane, row * kSize, column * kSize);
    }
    wait_for_copies();
    if (group_.lane >= kSize) return;
    const int row = block * kSize + lane;
    memory_.inverse[lane] = row < d ? T(1) / p_.scale(row) : T(1);
    memory_.gap[lane] = row < d ? q_.location(row) - p_.location(row) : T(0);
  }
  __device__ void stage_pieces(int i, int lane, int row, int column) const {
    constexpr int kLanes = kSize / kWidth<T>, kRows = kSize / kLanes;  // of a row, and at a time
    const int first = lane / kLanes, k = lane % kLanes * kWidth<T>;
    T* const to = tile(i) + first * kSize + k;
    row += first, column += k;
    const T* from = p_.tril() + row * p_.row + column;
    PYVAE_UNROLL for (int n = 0; n < kSize; n += kRows, from += kRows * p_.row) {
      const bool there = row + n < d && column <= row + n;
      copy_ahead(to + n * kSize, there ? from : p_.tril(), there);
    }
  }
  __device__ void stage_numbers(int i, int lane, int row, int column) const {
    T* const to = tile(i) + lane;
    column += lane;
    PYVAE_UNROLL_TWICE for (int n = 0; n < kSize; ++n) {
      const bool there = row + n < d && column <= row + n;
      to[n * kSize] = there ? p_.at(row + n, column) : T(0);
    }
  }

  const Factor<T> q_, p_;
  const Group& group_;
  const Workspace<T>& memory_;
};

}  // namespace
}  // namespace pyvae
