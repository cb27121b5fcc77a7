// SPDX-License-Identifier: MIT
// The backward passes of large problems.
#pragma once

#include "cuda/coefficients.h"
#include "cuda/large/backward.h"

namespace pyvae {
namespace {

inline bool wants(const Problem& problem, int operand) { return problem.operand[operand].data; }
inline bool wants_parameters(const Problem& problem, int first) {
  return wants(problem, first) || wants(problem, first + 1) || wants(problem, first + 2);
}

// Operands as of LogProbGradient.
template <class T>
void wide_log_prob_backward(const Problem& problem, const Runtime& runtime) {
  using Op = LogProbGradient<T>;
  constexpr PointOperands kOperands = {Op::kPoint, 5, 0, Op::kByPoint,
                                       1u << 0 | 1u << Op::kPoint | 1u << 5 | 1u << Op::kByPoint};
  const Panels<T> panels = pack_panels<T>(problem, runtime, Op::kParameters, true);
  const bool by_points = wants(problem, Op::kByPoint);
  WideBackward<T> pass(problem, runtime, panels, kOperands,
                       wants_parameters(problem, Op::kByParameters), true, false);
  pass.template run<WideGradients<Op::kByParameters>>(
      [&](const Problem& of, const Panels<T>& entry, const Chunk<T>& chunk, int64_t) {
        make_terms(of, runtime, entry, chunk, kOperands, problem.n, by_points);
      });
}

// A point a row of threads.
template <class T>
__global__ void __launch_bounds__(kThreads)
    posterior_terms_kernel(const __grid_constant__ Problem problem, Chunk<T> chunk) {
  const int64_t n = int64_t(blockIdx.x) * kSide + row_of_thread();
  const typename PosteriorGradients<T>::State state(problem, 0, smaller(n, problem.n - 1));
  PYVAE_UNROLL_FOUR for (int64_t k = column_of_thread(); k < chunk.padded_k; k += kSide) {
    T term = 0;
    if (n < problem.n && k < problem.k)
      term = state.coefficients(problem, 0, n, k, 0, 0, 0, 0).by_score;
    chunk.row(n)[k] = term;
  }
}

// Operands as of PosteriorGradients. What weighs its terms is unbounded: none is left out.
template <class T>
void wide_posterior_backward(const Problem& problem, const Runtime& runtime) {
  using Op = PosteriorGradients<T>;
  constexpr PointOperands kOperands = {
      Op::kPoint, 7, 1, Op::kByPoint,
      1u << 0 | 1u << 1 | 1u << Op::kPoint | 1u << 6 | 1u << 7 | 1u << Op::kByPoint};
  const Panels<T> panels = pack_panels<T>(problem, runtime, Op::kParameters, true);
  WideBackward<T> pass(problem, runtime, panels, kOperands,
                       wants_parameters(problem, Op::kByParameters), false, false);
  pass.template run<WideGradients<Op::kByParameters>>(
      [&](const Problem& of, const Panels<T>&, const Chunk<T>& chunk, int64_t) {
        const int64_t rows = divide_up(chunk.count, kWide<T>) * kWide<T>;
        launch(posterior_terms_kernel<T>, rows / kSide, kThreads, 0, runtime.stream, of, chunk);
      });
}

}  // namespace
}  // namespace pyvae
