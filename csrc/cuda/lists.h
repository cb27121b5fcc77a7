// SPDX-License-Identifier: MIT
// Lists of the components that count for a point: on a GPU, which makes the scores again, no point
// has one.
#pragma once

#include "common/column.h"
#include "cuda/device.h"

namespace pyvae {
namespace {

// Operands: four arguments, log_prob, lists.
template <class T>
__global__ void __launch_bounds__(kThreads)
    no_lists_kernel(const __grid_constant__ Problem problem) {
  const int64_t i = int64_t(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= problem.batch * problem.n) return;
  const int64_t entry = i / problem.n, n = i % problem.n;
  const Column<T> score(problem, 5, entry), component(problem, 6, entry);
  for (int l = 0; l < kListed; ++l) score.at(n, l) = -kInfinity<T>, component.at(n, l) = T(kNoList);
}
template <class T>
void write_no_lists(const Problem& problem, const Runtime& runtime) {
  launch(no_lists_kernel<T>, divide_up(problem.batch * problem.n, kThreads), kThreads, 0,
         runtime.stream, problem);
}

// The problem of a backward pass whose four gradients stand behind log_prob, not behind the lists.
inline Problem without_lists(const Problem& problem) {
  Problem without = problem;
  for (int i = 0; i < 4; ++i) without.operand[6 + i] = problem.operand[8 + i];
  return without;
}

}  // namespace
}  // namespace pyvae
