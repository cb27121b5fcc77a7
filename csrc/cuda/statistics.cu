// SPDX-License-Identifier: MIT
// mixture_statistics on the GPU: the sums of an EM step, about the current means. Operands are
// those of statistics.h.
#include "cuda/large/backward.h"
#include "cuda/large/screened_density.h"
#include "cuda/small/backward.h"
#include "cuda/small/density.h"
#include "cuda/statistics.h"
#include "kernels.h"

namespace pyvae {
namespace {

// From the sums of r z and r z^2 of a component to those of r (x - mu) and r (x - mu)^2, by a row
// of threads. `sums` has coefficient(), z(d) and square(d).
template <class T, class Scale, class Sums>
__device__ void write_moments(const Problem& problem, int64_t entry, int64_t k, bool alive,
                              const Scale& scale_of, const Sums& sums) {
  const Column<double> counts(problem, kMoments, entry), by_gap(problem, kMoments + 1, entry),
      by_square(problem, kMoments + 2, entry);
  const bool isotropic = problem.operand[kMoments + 2].size[1] == 1, there = k < problem.k;
  if (there && column_of_thread() == 0) counts.at(k) = alive ? sums.coefficient() : 0;
  double total = 0;
  for (int64_t d = column_of_thread(); there && d < problem.d; d += kSide) {
    const double scale = 1 / double(moment_scale(scale_of(d)));
    const double count = sums.coefficient();
    by_gap.at(k, d) = alive ? sum_of_counted(count, scale * sums.z(d)) : 0;
    const double square = alive ? sum_of_counted(count, scale * scale * sums.square(d)) : 0;
    total += square;
    if (!isotropic) by_square.at(k, d) = square;
  }
  total = sum_over_lanes(total);
  if (isotropic && there && column_of_thread() == 0) by_square.at(k, 0) = total;
}

struct WriteMoments {
  struct Of {
    const OwnSums& sums;
    int64_t own, dimension;
    __device__ double coefficient() const { return sums.coefficients[own]; }
    __device__ double z(int64_t d) const { return sums.z[own * dimension + d]; }
    __device__ double square(int64_t d) const { return sums.squares[own * dimension + d]; }
  };
  template <class T>
  __device__ static void write(const Problem& problem, const ComponentView<T>& components,
                               int64_t entry, int64_t k, int own, const OwnSums& sums) {
    write_moments<T>(
        problem, entry, k, components.constant(k) != -kInfinity<T>,
        [&](int64_t d) { return components.scale(k, d); }, Of{sums, own, problem.d});
  }
};

struct WriteWideMoments {
  struct Of {
    const WideSums& sums;
    int64_t k;
    __device__ double coefficient() const { return *sums.coefficient(0, k); }
    __device__ double z(int64_t d) const { return sums.z(0, k)[d]; }
    __device__ double square(int64_t d) const { return sums.squares(0, k)[d]; }
  };
  template <class T>
  __device__ static void write(const Problem& problem, const Panels<T>& panels, int64_t entry,
                               int64_t k, const WideSums& sums) {
    write_moments<T>(
        problem, entry, k, panels.constant[k] != -kInfinity<T>,
        [&](int64_t d) { return panels.row_scale[k * panels.padded_d + d]; }, Of{sums, k});
  }
};

// The sums are those of a backward pass.
template <class T>
void statistics_of_few(const Problem& problem, const Runtime& runtime) {
  using Shape = SmallTile<T>;
  run_density<Beside::kNothing, T>(problem, runtime, kStrip);
  add_likelihoods<T>(problem, runtime);
  const auto plan = BackwardPlan::of<Shape>(problem, false, true);
  double* const sums =
      run_sums<Responsibilities<T>, Shape>(as_backward(problem), runtime, plan, false);
  finish_sums<WriteMoments, T>(problem, runtime, 1, true, plan, sums);
}

inline constexpr PointOperands kStatisticsOperands = {0, kStrip, kSampleWeight, -1,
                                                      1u << 0 | 1u << kStrip | 1u << kSampleWeight};

// A tile of points a block: the scores are made once, for the log-densities, and lie meanwhile
// where the terms are to be; those of one tile stay with their threads.
template <class T>
__global__ void __launch_bounds__(kThreads, 1)
    weigh_kernel(const __grid_constant__ Problem problem, const __grid_constant__ Panels<T> panels,
                 const __grid_constant__ Chunk<T> chunk, int64_t points) {
  if (chunk.screen.chosen()) return;
  auto& memory = shared_memory<ScoredTermMemory<T>>();
  const int64_t tiles = panels.padded_k / kWide<T>, first = int64_t(blockIdx.x) * kWide<T>;
  WideScores<T> scores(memory.scores, panels, PointReader<T>(problem, 0, 0, first));
  RunningSum<T> sum[kEach<T>];
  T score[kEach<T>][kEach<T>];
  const auto row = [&](int i, int64_t tile) {
    return chunk.row(first + place<T>(row_of_thread(), i)) + tile * kWide<T>;
  };
  scores.begin(0);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    scores.score(tile, tile + 1 < tiles ? tile + 1 : -1, score);
    PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
      sum[i].add(score[i]);
      if (tiles > 1) store_own(row(i, tile), column_of_thread(), score[i]);
    }
  }
  scores.mark_unreachable();
  PYVAE_UNROLL for (int i = 0; i < kEach<T>; ++i) {
    const int at = place<T>(row_of_thread(), i);
    const T found = sum[i].value();
    if (column_of_thread() == 0 && first + at < problem.n)
      Column<T>(problem, kStrip, 0).at(first + at) =
          memory.scores.unreachable[at] ? -kInfinity<T> : found;
  }
  __syncthreads();
  TermTile<T> terms(memory.terms, problem, panels, chunk, kStatisticsOperands, first, points, false,
                    true);
  for (int64_t tile = 0; tile < tiles; ++tile) {
    PYVAE_UNROLL for (int i = 0; tiles > 1 && i < kEach<T>; ++i)
        load_own(score[i], row(i, tile), column_of_thread());
    terms.add(tile, score);
  }
  terms.finish();
}

template <class T>
void statistics_of_many(const Problem& problem, const Runtime& runtime) {
  const Panels<T> panels = pack_panels<T>(problem, runtime, 1, true);
  WideBackward<T> pass(problem, runtime, panels, kStatisticsOperands, true, true, true);
  const int64_t parts = pass.chunks() * kLikelihoodParts;
  double* const likelihoods = take<double>(runtime, problem.batch * parts);
  pass.template run<WriteWideMoments>([&](const Problem& of, const Panels<T>& entry,
                                          const Chunk<T>& chunk, int64_t index) {
    if constexpr (kScreens<T>) {
      if (chunk.screen.tried) {
        run_screened_density<Beside::kNothing>(of, runtime, kStrip, entry, chunk.screen, 0,
                                               chunk.count);
        make_screened_terms(of, runtime, entry, chunk, kStatisticsOperands, problem.n, false, true);
      }
    }
    launch(weigh_kernel<T>, divide_up(chunk.count, kWide<T>), kThreads, sizeof(ScoredTermMemory<T>),
           runtime.stream, of, entry, chunk, problem.n);
    add_likelihood_parts<T>(of, runtime, likelihoods + index * kLikelihoodParts);
  });
  total_likelihoods(problem, runtime, likelihoods, parts);
}

template <class T>
void statistics(const Problem& problem, const Runtime& runtime) {
  const Problem with = with_strip<T>(problem, runtime);
  uses_wide_tiles(problem, kWideSums) ? statistics_of_many<T>(with, runtime)
                                      : statistics_of_few<T>(with, runtime);
}

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_statistics = {{statistics<Float>, statistics<Double>}, {}};

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
