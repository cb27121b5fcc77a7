// SPDX-License-Identifier: MIT
// Mixtures with full covariances on the GPU. With W the inverse of a Cholesky factor, y = W (x -
// mu): triangular products by tiles of points and rows, a component after the other.
#pragma once

#include "common/parameters.h"
#include "cuda/points.h"
#include "math/gaussian.h"

namespace pyvae {
namespace {

// Inverse factors of all batch entries in double, by rows of d with zeros above the diagonal; and
// log weight - log det L - D/2 log 2 pi of every component, -inf of those that count for nothing.
template <class T>
struct Inverses {
  double* inverse = nullptr;
  T* constant = nullptr;
  int64_t factors = 0, k = 0, d = 0;

  __device__ const double* of(int64_t entry, int64_t component) const {
    return inverse + (entry * factors + (factors == 1 ? 0 : component)) * d * d;
  }
  __device__ T constant_of(int64_t entry, int64_t component) const {
    return constant[entry * k + component];
  }
  __device__ bool alive(int64_t entry, int64_t component) const {
    return constant_of(entry, component) != -kInfinity<T>;
  }
};

// A block a factor, a thread a column: column c of W is L^-1 e_c.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    invert_kernel(const __grid_constant__ Problem problem, int first, Inverses<T> to) {
  const int64_t entry = blockIdx.x / to.factors, factor = blockIdx.x % to.factors, d = problem.d;
  const FullParameters<T> from(problem, first, entry);
  double* const inverse = to.inverse + blockIdx.x * d * d;
  for (int64_t c = threadIdx.x; c < d; c += kThreads)
    for (int64_t i = 0; i < d; ++i) {
      double sum = i == c ? 1 : 0;
      for (int64_t j = c; j < i; ++j) sum -= double(from.factor(factor, i, j)) * inverse[j * d + c];
      inverse[i * d + c] = i < c ? 0 : sum / double(from.factor(factor, i, i));
    }
  double log_determinant = 0;
  for (int64_t i = 0; i < d; ++i) log_determinant += log(double(from.factor(factor, i, i)));
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
  found.inverse = take<double>(runtime, problem.batch * found.factors * problem.d * problem.d);
  found.constant = take<T>(runtime, problem.batch * problem.k);
  launch(invert_kernel<T>, problem.batch * found.factors, kThreads, 0, runtime.stream, problem,
         first, found);
  return found;
}

// A tile of 64 points by 16 * kRowsEach rows, of which a thread has 4 by kRowsEach.
template <class Number, int kRowsEach_>
struct FullShape {
  using T = Number;
  static constexpr int kPointsEach = 4, kRowsEach = kRowsEach_;
  static constexpr int kPoints = kSide * kPointsEach, kRows = kSide * kRowsEach;
  static constexpr int kDepth = 16, kPad = 16 / sizeof(T);
};

// Two factors of a product, kDepth deep: sum_j right[j][n] left[j][r].
template <class Shape>
struct ProductChunk {
  using T = typename Shape::T;
  T right[Shape::kDepth][Shape::kPoints + Shape::kPad];
  T left[Shape::kDepth][Shape::kRows + Shape::kPad];

  __device__ void add(T (&sum)[Shape::kPointsEach][Shape::kRowsEach]) const {
    const int n = row_of_thread() * Shape::kPointsEach, r = column_of_thread() * Shape::kRowsEach;
    PYVAE_UNROLL_TWICE for (int j = 0; j < Shape::kDepth; ++j) {
      PYVAE_UNROLL for (int i = 0; i < Shape::kPointsEach; ++i) {
        PYVAE_UNROLL for (int q = 0; q < Shape::kRowsEach; ++q) sum[i][q] +=
            right[j][n + i] * left[j][r + q];
      }
    }
  }
};

// Fills and multiplies the chunks of [begin, end): `right(j, n)` and `left(j, row)` are asked for
// their numbers. Barriers before and behind.
template <class Shape, class Right, class Left, class T = typename Shape::T>
__device__ void multiply(ProductChunk<Shape>& chunk, int64_t begin, int64_t end, const Right& right,
                         const Left& left, T (&sum)[Shape::kPointsEach][Shape::kRowsEach]) {
  __syncthreads();
  for (int64_t first = begin; first < end; first += Shape::kDepth) {
    for (int i = int(threadIdx.x); i < Shape::kDepth * Shape::kPoints; i += kThreads) {
      const int j = i % Shape::kDepth, n = i / Shape::kDepth;
      chunk.right[j][n] = first + j < end ? right(first + j, n) : T(0);
    }
    for (int i = int(threadIdx.x); i < Shape::kDepth * Shape::kRows; i += kThreads) {
      const int j = i % Shape::kDepth, r = i / Shape::kDepth;
      chunk.left[j][r] = first + j < end ? left(first + j, r) : T(0);
    }
    __syncthreads();
    chunk.add(sum);
    __syncthreads();
  }
}

// One component of one batch entry, as a block works on it.
template <class T>
struct FullComponent {
  const double* inverse;
  const T* means;
  int64_t mean_stride, d;
  T constant;

  __device__ FullComponent(const Inverses<T>& inverses, const FullParameters<T>& from,
                           int64_t entry, int64_t k)
      : inverse(inverses.of(entry, k)),
        means(from.means + k * from.mean_stride[0]),
        mean_stride(from.mean_stride[1]),
        d(inverses.d),
        constant(inverses.constant_of(entry, k)) {}
  __device__ bool alive() const { return constant != -kInfinity<T>; }
  // W(i, j), zero outside the triangle.
  __device__ T weight(int64_t i, int64_t j) const {
    return i < d && j <= i ? T(inverse[i * d + j]) : T(0);
  }
  __device__ T gap(const Points<T>& points, int n, int64_t i) const {
    return points.use(n) ? points.at(n, i) - means[i * mean_stride] : T(0);
  }
};

// The scores of a tile of points, the same in all threads of a row. y = W (x - mean) goes to `y`,
// by rows of kPoints, where it is wanted: no barrier behind.
template <class Shape, class T = typename Shape::T>
__device__ void full_scores(ProductChunk<Shape>& chunk, const FullComponent<T>& component,
                            const Points<T>& points, T* y, T (&score)[Shape::kPointsEach]) {
  constexpr int kP = Shape::kPointsEach, kR = Shape::kRowsEach;
  T squares[kP] = {};
  for (int64_t first = 0; first < component.d; first += Shape::kRows) {
    T sum[kP][kR] = {};
    multiply(
        chunk, 0, smaller(component.d, first + Shape::kRows),
        [&](int64_t j, int n) { return component.gap(points, n, j); },
        [&](int64_t j, int r) { return component.weight(first + r, j); }, sum);
    PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
      PYVAE_UNROLL for (int q = 0; q < kR; ++q) {
        squares[i] += sum[i][q] * sum[i][q];
        const int64_t row = first + column_of_thread() * kR + q;
        if (y && row < component.d) y[row * Shape::kPoints + row_of_thread() * kP + i] = sum[i][q];
      }
    }
  }
  PYVAE_UNROLL for (int i = 0; i < kP; ++i) score[i] =
      component.constant - T(0.5) * sum_over_lanes(squares[i]);
}

}  // namespace
}  // namespace pyvae
