// SPDX-License-Identifier: MIT
// What the sums of an EM step are made with: log_prob in a strip of scratch memory, the weighted
// log-likelihood, and the operands of the backward pass whose sums they are.
//
// Operands of both ops: x, log_weights, means, covariances, sample_weight -> log_likelihood,
// counts, sum_dx, sum_dx2.
#pragma once

#include "cuda/block.h"

namespace pyvae {
namespace {

inline constexpr int kStrip = 9;  // the operand behind the caller's nine
inline constexpr int kSampleWeight = 4, kLikelihood = 5, kMoments = 6;

// A sum over the points of a component: none where it has no point, though 0 times what it holds
// may be NaN.
__device__ inline double sum_of_counted(double count, double sum) {
  return count == 0 && sum != sum ? 0 : sum;
}

// The problem with a strip of a number a point.
template <class T>
Problem with_strip(const Problem& problem, const Runtime& runtime) {
  Problem with = problem;
  Operand& of = with.operand[kStrip];
  of.data = take<T>(runtime, problem.batch * problem.n);
  of.size[0] = problem.n, of.stride[0] = 1;
  int64_t stride = problem.n;
  for (int dim = problem.batch_rank - 1; dim >= 0; --dim) {
    of.batch_stride[dim] = stride;
    stride *= problem.batch_size[dim];
  }
  return with;
}

// Blocks that share the likelihood of an entry's points.
inline constexpr int64_t kLikelihoodParts = 64;

// The weighted sum of log_prob, in parts. Points of weight zero get log_prob -inf, which leaves
// them out of the sums.
template <class T>
__global__ void __launch_bounds__(kThreads)
    likelihood_kernel(const __grid_constant__ Problem problem, double* parts) {
  struct Memory {
    double sum[kSide];
  };
  Memory& memory = shared_memory<Memory>();
  const int64_t entry = blockIdx.x / kLikelihoodParts, part = blockIdx.x % kLikelihoodParts;
  const Column<const T> weight(problem, kSampleWeight, entry);
  const Column<T> log_prob(problem, kStrip, entry);
  const Range range = share(problem.n, part, kLikelihoodParts);
  double sum = 0;
  for (int64_t n = range.begin + threadIdx.x; n < range.end; n += kThreads)
    if (weight.at(n) != 0)
      sum += double(weight.at(n)) * double(log_prob.at(n));
    else
      log_prob.at(n) = -kInfinity<T>;
  sum = sum_over_lanes(sum);
  if (column_of_thread() == 0) memory.sum[row_of_thread()] = sum;
  __syncthreads();
  if (threadIdx.x != 0) return;
  double total = 0;
  for (int row = 0; row < kSide; ++row) total += memory.sum[row];
  parts[blockIdx.x] = total;
}

// Adds up so many parts an entry, a warp each.
__global__ void __launch_bounds__(32)
    total_likelihood_kernel(const __grid_constant__ Problem problem, const double* parts,
                            int64_t count) {
  double total = 0;
  for (int64_t i = threadIdx.x; i < count; i += 32) total += parts[blockIdx.x * count + i];
  total = sum_over_lanes(total, 32);
  if (threadIdx.x == 0) *data_of<double>(problem, kLikelihood, blockIdx.x) = total;
}

template <class T>
void add_likelihood_parts(const Problem& problem, const Runtime& runtime, double* parts) {
  launch(likelihood_kernel<T>, problem.batch * kLikelihoodParts, kThreads, kSide * sizeof(double),
         runtime.stream, problem, parts);
}
inline void total_likelihoods(const Problem& problem, const Runtime& runtime, const double* parts,
                              int64_t count) {
  launch(total_likelihood_kernel, problem.batch, 32, 0, runtime.stream, problem, parts, count);
}

template <class T>
void add_likelihoods(const Problem& problem, const Runtime& runtime) {
  double* const parts = take<double>(runtime, problem.batch * kLikelihoodParts);
  add_likelihood_parts<T>(problem, runtime, parts);
  total_likelihoods(problem, runtime, parts, kLikelihoodParts);
}

// The operands of the backward pass of log_prob with the sample weights as upstream gradients,
// whose coefficients are the responsibilities.
inline Problem as_backward(const Problem& problem) {
  Problem backward = problem;
  for (Operand& operand : backward.operand) operand = Operand();
  backward.operand[0] = problem.operand[kSampleWeight];
  for (int i = 0; i < 4; ++i) backward.operand[1 + i] = problem.operand[i];
  backward.operand[5] = problem.operand[kStrip];
  return backward;
}

}  // namespace
}  // namespace pyvae
