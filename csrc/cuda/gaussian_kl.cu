// SPDX-License-Identifier: MIT
// KL divergence between diagonal Gaussians on the GPU: a row is a warp's or, where it is short, a
// part of a warp's; gradients are an element a thread.
#include "cuda/block.h"
#include "kernels.h"
#include "math/gaussian.h"

namespace pyvae {
namespace {

// The rows of the four arguments, from operand `first`.
template <class T>
struct GaussianRow {
  const T* data[4];
  int64_t stride[4];

  __device__ GaussianRow(const Problem& problem, int first, int64_t entry) {
    PYVAE_UNROLL for (int i = 0; i < 4; ++i) {
      data[i] = data_of<const T>(problem, first + i, entry);
      stride[i] = problem.operand[first + i].stride[0];
    }
  }
  __device__ T at(int argument, int64_t d) const { return data[argument][d * stride[argument]]; }
  __device__ T term(int64_t d) const {
    const T logvar = at(3, d);
    return gaussian_kl_term(at(0, d), at(1, d), at(2, d), logvar, inverse_scale_of(logvar));
  }
  __device__ GaussianKlGradient<T> gradient(int64_t d) const {
    const T logvar = at(3, d);
    return gaussian_kl_gradient(at(0, d), at(1, d), at(2, d), logvar, inverse_scale_of(logvar));
  }
};

// Operands: mean_q, logvar_q, mean_p, logvar_p -> kl. `lanes` threads share a row.
template <class T>
__global__ void __launch_bounds__(kThreads)
    gaussian_kl_kernel(const __grid_constant__ Problem problem, int lanes) {
  const int64_t entry = (int64_t(blockIdx.x) * kThreads + threadIdx.x) / lanes;
  const bool there = entry < problem.batch;
  T sum = 0;
  if (there) {
    const GaussianRow<T> row(problem, 0, entry);
    for (int64_t d = int(threadIdx.x) % lanes; d < problem.d; d += lanes) sum += row.term(d);
  }
  sum = sum_over_lanes(sum, lanes);
  if (there && int(threadIdx.x) % lanes == 0) *data_of<T>(problem, 4, entry) = sum;
}

// Operands: the gradient of the result, the four arguments, then their gradients.
template <class T>
__global__ void __launch_bounds__(kThreads)
    gaussian_kl_backward_kernel(const __grid_constant__ Problem problem) {
  const int64_t element = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (element >= problem.batch * problem.d) return;
  const int64_t entry = element / problem.d, d = element % problem.d;
  const T upstream = *data_of<const T>(problem, 0, entry);
  const GaussianKlGradient<T> gradient = GaussianRow<T>(problem, 1, entry).gradient(d);
  const auto write = [&](int operand, T value) {
    if (T* const to = data_of<T>(problem, operand, entry)) to[d] = upstream * value;
  };
  write(5, gradient.mean_q);
  write(6, gradient.logvar_q);
  write(7, -gradient.mean_q);
  write(8, gradient.logvar_p);
}

template <class T>
void gaussian_kl_forward(const Problem& problem, const Runtime& runtime) {
  int lanes = 1;
  while (lanes < 32 && lanes < problem.d) lanes *= 2;
  launch(gaussian_kl_kernel<T>, divide_up(problem.batch * lanes, kThreads), kThreads, 0,
         runtime.stream, problem, lanes);
}
template <class T>
void gaussian_kl_backward(const Problem& problem, const Runtime& runtime) {
  launch(gaussian_kl_backward_kernel<T>, divide_up(problem.batch * problem.d, kThreads), kThreads,
         0, runtime.stream, problem);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair gaussian_kl = {{gaussian_kl_forward<Float>, gaussian_kl_forward<Double>},
                                {gaussian_kl_backward<Float>, gaussian_kl_backward<Double>}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
