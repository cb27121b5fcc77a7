// SPDX-License-Identifier: MIT
// KL(q_n || p_k) of N diagonal Gaussians against K on the GPU: the formula of
// tiles/gaussian_kl_pairwise.cpp.
#include "cuda/small/backward.h"
#include "kernels.h"

namespace pyvae {
namespace {

template <class Shape>
struct PairwiseMemory {
  using T = typename Shape::T;
  static constexpr int kPointRow = Shape::kPoints + Shape::kPad,
                       kColumnRow = Shape::kColumns + Shape::kPad;
  T mean_q[Shape::kDepth][kPointRow], scale_q[Shape::kDepth][kPointRow],
      logvar_q[Shape::kDepth][kPointRow];
  T mean_p[Shape::kDepth][kColumnRow], scale_p[Shape::kDepth][kColumnRow],
      logvar_p[Shape::kDepth][kColumnRow];
};

// Operands: mean_q, logvar_q, mean_p, logvar_p -> kl.
template <class Shape, class T = typename Shape::T>
__global__ void __launch_bounds__(kThreads, 1)
    pairwise_kernel(const __grid_constant__ Problem problem) {
  constexpr int kP = Shape::kPointsEach, kC = Shape::kColumnsEach;
  auto& memory = shared_memory<PairwiseMemory<Shape>>();
  const int64_t rows = divide_up(problem.n, Shape::kPoints),
                columns = divide_up(problem.k, Shape::kColumns);
  const int64_t entry = blockIdx.x / (rows * columns), tile = blockIdx.x % (rows * columns);
  const int64_t first_n = tile / columns * Shape::kPoints,
                first_k = tile % columns * Shape::kColumns;
  const Column<const T> mean_q(problem, 0, entry), logvar_q(problem, 1, entry);
  const Parameters<T> p(problem, 2, entry, false);
  const int row = row_of_thread() * kP, column = column_of_thread() * kC;
  T sum[kP][kC] = {};
  for (int64_t first_d = 0; first_d < problem.d; first_d += Shape::kDepth) {
    PYVAE_UNROLL_TWICE for (int i = int(threadIdx.x); i < Shape::kDepth * Shape::kPoints;
                            i += kThreads) {
      const int d = i % Shape::kDepth, n = i / Shape::kDepth;
      const bool there = first_n + n < problem.n && first_d + d < problem.d;
      const T logvar = there ? logvar_q.at(first_n + n, first_d + d) : T(0);
      memory.mean_q[d][n] = there ? mean_q.at(first_n + n, first_d + d) : T(0);
      memory.scale_q[d][n] = exp(T(0.5) * logvar);
      // Infinite, (s/sigma)^2 decides; inf - inf would be NaN.
      memory.logvar_q[d][n] = logvar > kLargestFinite<T> ? kLargestFinite<T> : logvar;
    }
    PYVAE_UNROLL_TWICE for (int i = int(threadIdx.x); i < Shape::kDepth * Shape::kColumns;
                            i += kThreads) {
      const int d = i % Shape::kDepth, c = i / Shape::kDepth;
      const bool there = first_k + c < problem.k && first_d + d < problem.d;
      const T logvar = there ? p.logvar(first_k + c, first_d + d) : T(0);
      memory.mean_p[d][c] = there ? p.mean(first_k + c, first_d + d) : T(0);
      memory.scale_p[d][c] = exp(T(-0.5) * logvar);
      memory.logvar_p[d][c] = logvar < -kLargestFinite<T> ? -kLargestFinite<T> : logvar;
    }
    __syncthreads();
    const int depth = int(smaller<int64_t>(Shape::kDepth, problem.d - first_d));
    for (int d = 0; d < depth; ++d) {
      PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
        const T mean = memory.mean_q[d][row + i], scale = memory.scale_q[d][row + i],
                logvar = memory.logvar_q[d][row + i];
        PYVAE_UNROLL for (int j = 0; j < kC; ++j) {
          const T inverse = memory.scale_p[d][column + j];
          const T z = standardise<false>(mean, inverse, memory.mean_p[d][column + j]);
          const T u = scale * inverse;
          sum[i][j] += (u * u - T(1)) + (memory.logvar_p[d][column + j] - logvar);
          sum[i][j] += z * z;
        }
      }
    }
    __syncthreads();
  }
  const Column<T> kl(problem, 4, entry);
  PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
    PYVAE_UNROLL for (int j = 0; j < kC; ++j) {
      const T value = T(0.5) * sum[i][j];
      if (first_n + row + i < problem.n && first_k + column + j < problem.k)
        kl.at(first_n + row + i, first_k + column + j) = value < T(0) ? T(0) : value;
    }
  }
}

template <class T>
void pairwise_forward(const Problem& problem, const Runtime& runtime) {
  using Shape = TileShape<T, 4, 4, 1>;
  launch(pairwise_kernel<Shape>,
         PointTile<Shape>::count(problem) * divide_up(problem.k, Shape::kColumns), kThreads,
         sizeof(PairwiseMemory<Shape>), runtime.stream, problem);
}

// Operands: the gradient of the result, the four arguments, then their gradients. Minus the
// upstream gradients are the coefficients of scores.
template <class T>
struct PairwiseGradient {
  using Number = T;
  static constexpr int kPoint = 1, kSpread = 2, kSample = -1, kLogits = -1, kParameters = 3,
                       kByPoint = 5, kBySpread = 6, kBySample = -1, kByLogits = -1,
                       kByParameters = 7, kSpreadOffset = 1;
  static constexpr bool kWeighted = false, kScores = false, kOwnWeights = false, kMoments = false;

  struct State {
    __device__ State(const Problem&, int64_t, int64_t, int = kSide) {}
    __device__ bool skips() const { return false; }
    __device__ bool skips_sample() const { return false; }
    __device__ Coefficients<T> coefficients(const Problem& problem, int64_t entry, int64_t n,
                                            int64_t k, T, T, T, T) const {
      return {-Column<const T>(problem, 0, entry).at(n, k)};
    }
  };
};

template <class T>
void pairwise_backward(const Problem& problem, const Runtime& runtime) {
  run_backward<PairwiseGradient<T>, SmallTile<T>>(problem, runtime);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair gaussian_kl_pairwise = {{pairwise_forward<Float>, pairwise_forward<Double>},
                                         {pairwise_backward<Float>, pairwise_backward<Double>}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
