// SPDX-License-Identifier: MIT
// mixture_log_prob_tril, with lists and without,
// mixture_posterior_tril and mixture_predict_tril on the GPU.
#include "cuda/full/backward.h"
#include "cuda/full/density.h"
#include "cuda/lists.h"
#include "kernels.h"

namespace pyvae {
namespace {

template <Beside kBeside, class T>
void full_forward(const Problem& problem, const Runtime& runtime) {
  full_density<kBeside>(problem, runtime, log_prob_operand(kBeside),
                        invert<T>(problem, runtime, 1));
}

template <class T>
void listed_forward(const Problem& problem, const Runtime& runtime) {
  full_forward<Beside::kNothing, T>(problem, runtime);
  write_no_lists<T>(problem, runtime);
}

// The gradients by log_weights, means and factors, into the operands from `first`.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    full_gradients_kernel(const __grid_constant__ Problem problem, int first, int64_t parts,
                          Inverses<T> inverses, double* partial) {
  const int64_t factors = inverses.factors, entry = blockIdx.x / factors, d = problem.d;
  const int64_t factor = blockIdx.x % factors;
  const Range components = factors == 1 ? Range{0, problem.k} : Range{factor, factor + 1};
  add_up<false>(problem, parts, factors, entry, components, partial);
  const auto sums_of = [&](int64_t k) {
    return FullSums(partial + (entry * problem.k + k) * parts * FullSums::footprint(d), d);
  };
  const Column<T> by_weight(problem, first, entry), by_mean(problem, first + 1, entry);
  const double* const inverse = inverses.inverse + blockIdx.x * d * d;
  double coefficient = 0;
  for (int64_t k = components.begin; k < components.end; ++k) {
    const FullSums sums = sums_of(k);
    const bool alive = inverses.alive(entry, k);
    coefficient += alive ? *sums.coefficient : 0;
    if (by_weight.data && threadIdx.x == 0) by_weight.at(k) = alive ? T(*sums.coefficient) : T(0);
    for (int64_t j = threadIdx.x; by_mean.data && j < d; j += kThreads) {
      double total = 0;
      for (int64_t i = j; alive && i < d; ++i) total += inverse[i * d + j] * sums.rows[i];
      by_mean.at(k, j) = T(total);
    }
  }
  T* const to = data_of<T>(problem, first + 2, entry);
  if (!to) return;
  const Operand& of = problem.operand[first + 2];
  const double* const outer = sums_of(components.begin).outer;
  bool used = false;
  for (int64_t k = components.begin; k < components.end; ++k) used |= inverses.alive(entry, k);
  for (int64_t element = threadIdx.x; element < d * d; element += kThreads) {
    const int64_t a = element / d, b = element % d;
    double total = 0;
    for (int64_t i = a; used && b <= a && i < d; ++i)
      total += inverse[i * d + a] * outer[i * d + b];
    if (used && a == b) total -= inverse[a * d + a] * coefficient;
    to[factor * of.stride[0] + a * of.stride[1] + b * of.stride[2]] = T(total);
  }
}

template <class Op, class T = typename Op::Number>
void full_backward(const Problem& problem, const Runtime& runtime) {
  const Inverses<T> inverses = invert<T>(problem, runtime, Op::kParameters);
  bool by_components = false;
  for (int i = 0; i < 3; ++i)
    by_components |= problem.operand[Op::kByParameters + i].data != nullptr;
  FullBackward<Op> backward(problem, runtime, inverses);
  double* const sums = backward.run();
  if (by_components)
    launch(full_gradients_kernel<T>, problem.batch * inverses.factors, kThreads, 0, runtime.stream,
           problem, Op::kByParameters, backward.parts(), inverses, sums);
}

template <class Op>
void listed_backward(const Problem& problem, const Runtime& runtime) {
  full_backward<Op>(without_lists(problem), runtime);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_log_prob_tril = {
    {full_forward<Beside::kNothing, Float>, full_forward<Beside::kNothing, Double>},
    {full_backward<LogProbGradient<Float>>, full_backward<LogProbGradient<Double>>}};
const KernelPair mixture_log_prob_tril_listed = {
    {listed_forward<Float>, listed_forward<Double>},
    {listed_backward<LogProbGradient<Float>>, listed_backward<LogProbGradient<Double>>}};
const KernelPair mixture_posterior_tril = {
    {full_forward<Beside::kPosterior, Float>, full_forward<Beside::kPosterior, Double>},
    {full_backward<PosteriorGradients<Float>>, full_backward<PosteriorGradients<Double>>}};
const KernelPair mixture_predict_tril = {
    {full_forward<Beside::kComponent, Float>, full_forward<Beside::kComponent, Double>}, {}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
