// SPDX-License-Identifier: MIT
// mixture_log_prob, with lists and without, mixture_posterior and mixture_predict on the GPU.
#include "cuda/large/density.h"
#include "cuda/large/gradients.h"
#include "cuda/lists.h"
#include "cuda/small/backward.h"
#include "cuda/small/density.h"
#include "kernels.h"

namespace pyvae {
namespace {

template <Beside kBeside, class T>
void density_forward(const Problem& problem, const Runtime& runtime) {
  const int log_prob = log_prob_operand(kBeside);
  if (uses_wide_tiles(problem, kWideScores))
    return run_wide_density<kBeside, T>(problem, runtime, log_prob);
  run_density<kBeside, T>(problem, runtime, log_prob);
}

template <class T>
void listed_forward(const Problem& problem, const Runtime& runtime) {
  density_forward<Beside::kNothing, T>(problem, runtime);
  write_no_lists<T>(problem, runtime);
}

template <class T>
void log_prob_backward(const Problem& problem, const Runtime& runtime) {
  if (uses_wide_tiles(problem, kWideSums)) return wide_log_prob_backward<T>(problem, runtime);
  run_backward<LogProbGradient<T>, SmallTile<T>>(problem, runtime);
}
template <class T>
void listed_backward(const Problem& problem, const Runtime& runtime) {
  log_prob_backward<T>(without_lists(problem), runtime);
}
template <class T>
void posterior_backward(const Problem& problem, const Runtime& runtime) {
  if (uses_wide_tiles(problem, kWideSums)) return wide_posterior_backward<T>(problem, runtime);
  run_backward<PosteriorGradients<T>, SmallTile<T>>(problem, runtime);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_log_prob = {
    {density_forward<Beside::kNothing, Float>, density_forward<Beside::kNothing, Double>},
    {log_prob_backward<Float>, log_prob_backward<Double>}};
const KernelPair mixture_log_prob_listed = {{listed_forward<Float>, listed_forward<Double>},
                                            {listed_backward<Float>, listed_backward<Double>}};
const KernelPair mixture_posterior = {
    {density_forward<Beside::kPosterior, Float>, density_forward<Beside::kPosterior, Double>},
    {posterior_backward<Float>, posterior_backward<Double>}};
const KernelPair mixture_predict = {
    {density_forward<Beside::kComponent, Float>, density_forward<Beside::kComponent, Double>}, {}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
