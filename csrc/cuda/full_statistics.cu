// SPDX-License-Identifier: MIT
// mixture_statistics_tril on the GPU.
#include "cuda/full/backward.h"
#include "cuda/statistics.h"
#include "kernels.h"

namespace pyvae {
namespace {

// counts, sum_dx and sum_dx2.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    full_moments_kernel(const __grid_constant__ Problem problem, int64_t parts,
                        Inverses<T> inverses, double* partial) {
  const int64_t factors = inverses.factors, entry = blockIdx.x / factors, d = problem.d;
  const int64_t factor = blockIdx.x % factors;
  const Range components = factors == 1 ? Range{0, problem.k} : Range{factor, factor + 1};
  add_up<true>(problem, parts, factors, entry, components, partial);
  const auto sums_of = [&](int64_t k) {
    return FullSums(partial + (entry * problem.k + k) * parts * FullSums::footprint(d), d);
  };
  const Column<double> counts(problem, kMoments, entry), by_gap(problem, kMoments + 1, entry);
  for (int64_t k = components.begin; k < components.end; ++k) {
    if (threadIdx.x == 0) counts.at(k) = *sums_of(k).coefficient;
    for (int64_t i = threadIdx.x; i < d; i += kThreads) by_gap.at(k, i) = sums_of(k).rows[i];
  }
  const Operand& of = problem.operand[kMoments + 2];
  double* const to = data_of<double>(problem, kMoments + 2, entry);
  for (int64_t element = threadIdx.x; element < d * d; element += kThreads) {
    const int64_t i = element / d, j = element % d, row = larger(i, j), column = smaller(i, j);
    to[factor * of.stride[0] + i * of.stride[1] + j * of.stride[2]] =
        problem.k ? sums_of(components.begin).outer[row * d + column] : 0;
  }
}

template <class T>
void full_statistics(const Problem& problem, const Runtime& runtime) {
  const Problem forward = with_strip<T>(problem, runtime);
  const Inverses<T> inverses = invert<T>(problem, runtime, 1);
  const Problem sums_of = as_backward(forward);
  FullBackward<Responsibilities<T>> backward(sums_of, runtime, inverses);
  double* const sums = backward.run();
  add_likelihoods<T>(forward, runtime);
  launch(full_moments_kernel<T>, problem.batch * inverses.factors, kThreads, 0, runtime.stream,
         problem, backward.parts(), inverses, sums);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_statistics_tril = {{full_statistics<Float>, full_statistics<Double>}, {}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
