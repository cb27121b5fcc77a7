// SPDX-License-Identifier: MIT
// mixture_log_prob, mixture_posterior, mixture_predict and mixture_statistics on the GPU.
#include "cuda/backward.h"
#include "cuda/density.h"
#include "cuda/statistics.h"
#include "kernels.h"

namespace pyvae {
namespace {

// The sums of an EM step, about the current means.
template <int kFirst>
struct WriteMoments {
  template <class Shape, class View>
  __device__ static void write(const Problem& problem, const View& components, int64_t entry,
                               int64_t column, const TotalSums<Shape>& sums) {
    using T = typename Shape::T;
    const Column<double> counts(problem, kFirst, entry), by_gap(problem, kFirst + 1, entry),
        by_square(problem, kFirst + 2, entry);
    const bool isotropic = problem.operand[kFirst + 2].size[1] == 1;
    const int64_t tile = column / Shape::kColumns;
    for (int c = row_of_thread(); c < Shape::kColumns; c += kSide) {
      const int64_t k = column + c;
      const bool there = k < problem.k;
      const bool alive = components.constant(k) != -kInfinity<T>;
      if (there && column_of_thread() == 0) counts.at(k) = alive ? sums.coefficient(c) : 0;
      double total = 0;
      for (int64_t d = column_of_thread(); there && d < problem.d; d += kSide) {
        const T here = components.scale(k, d);
        const double scale = 1 / double(components.centred(tile) ? here : moment_scale(here));
        const double count = sums.coefficient(c);
        by_gap.at(k, d) = alive ? sum_of_counted(count, scale * sums.z(c, d)) : 0;
        const double square = alive ? sum_of_counted(count, scale * scale * sums.square(c, d)) : 0;
        total += square;
        if (!isotropic) by_square.at(k, d) = square;
      }
      total = sum_over_lanes(total);
      if (isotropic && there && column_of_thread() == 0) by_square.at(k, 0) = total;
    }
  }
};

// The sums are those of a backward pass.
template <class T, class Shape, bool kPacked>
void run_statistics(const Problem& problem, const Problem& backward, const Runtime& runtime,
                    const Packed<T>& packed) {
  const auto plan = BackwardPlan::of<Shape>(problem, false, true);
  double* const sums =
      run_sums<Responsibilities<T>, Shape, kPacked>(backward, runtime, plan, false, packed);
  launch(finish_kernel<WriteMoments<6>, Shape, kPacked>, plan.tiles, kThreads, 0, runtime.stream,
         problem, 1, true, plan, sums, packed);
}

// Operands: x, log_weights, means, logvars, sample_weight -> log_likelihood, counts, sum_dx,
// sum_dx2.
template <class T>
void statistics(const Problem& problem, const Runtime& runtime) {
  const Problem forward = with_strip<T>(problem, runtime);
  density<Beside::kNothing, T>(forward, runtime, kStrip);
  add_likelihoods<T>(forward, runtime);
  const Problem backward = as_backward(forward);
  if constexpr (sizeof(T) == sizeof(float))
    if (uses_large_tiles(problem))
      return run_statistics<T, LargeTile, true>(problem, backward, runtime,
                                                pack<LargeTile>(problem, runtime, 1));
  run_statistics<T, SmallTile<T>, false>(problem, backward, runtime, Packed<T>());
}

template <Beside kBeside, class T>
void density_forward(const Problem& problem, const Runtime& runtime) {
  density<kBeside, T>(problem, runtime, log_prob_operand(kBeside));
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_log_prob = {
    {density_forward<Beside::kNothing, Float>, density_forward<Beside::kNothing, Double>},
    {backward<LogProbGradient<Float>>, backward<LogProbGradient<Double>>}};
const KernelPair mixture_posterior = {
    {density_forward<Beside::kPosterior, Float>, density_forward<Beside::kPosterior, Double>},
    {backward<PosteriorGradients<Float>>, backward<PosteriorGradients<Double>>}};
const KernelPair mixture_predict = {
    {density_forward<Beside::kComponent, Float>, density_forward<Beside::kComponent, Double>}, {}};
const KernelPair mixture_statistics = {{statistics<Float>, statistics<Double>}, {}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
