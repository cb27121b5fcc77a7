// SPDX-License-Identifier: MIT
// mixture_elbo_terms on the GPU, from each source of q(z).
#include "common/elbo.h"
#include "cuda/small/backward.h"
#include "kernels.h"

namespace pyvae {
namespace {

// The sums of one point, of which every thread of a row keeps a share.
template <bool kLogits, class T>
struct RunningTerms {
  T top = -kInfinity<T>;
  ElboTotals<T> totals = {0, 0, 0, 0};
  T impossible = 0, dense = 0;

  template <int kCount>
  __device__ void add(const T (&l)[kCount], const T (&score)[kCount], const T* log_weight,
                      const T* constant) {
    T after = top;
    PYVAE_UNROLL for (int i = 0; i < kCount; ++i) after = Largest()(after, l[i]);
    totals.move(top, after);
    top = after;
    PYVAE_UNROLL for (int i = 0; i < kCount; ++i) {
      const ElboShare<T> share(l[i] - finite_or_zero(after), score[i], log_weight[i], constant[i]);
      totals.mass += share.mass, totals.entropy += share.entropy;
      totals.log_weight += share.log_weight, totals.density += share.density;
      impossible = Largest()(impossible, share.impossible);
      dense = Largest()(dense, share.dense);
    }
  }

  // The values of the whole row of threads, in each of them.
  __device__ ElboValues<T> values(bool unreachable) {
    const T highest = largest_over_lanes(top);
    totals.move(top, highest);
    const ElboTotals<T> all = {sum_over_lanes(totals.mass), sum_over_lanes(totals.entropy),
                               sum_over_lanes(totals.log_weight), sum_over_lanes(totals.density)};
    ElboValues<T> found(all, highest);
    const bool without = largest_over_lanes(dense) == 0 && kLogits;
    if (largest_over_lanes(impossible) > 0 && all.mass == all.mass && kLogits)
      found.kl = kInfinity<T>;
    if (unreachable || all.mass == 0 || without) {
      found.expected = found.normalizer = -kInfinity<T>;
      found.kl = 0;
    }
    return found;
  }
};

template <class Source, class Shape>
struct ElboMemory {
  static constexpr bool kSpread = Source::kSpread >= 0;
  union {
    ScoreChunk<Shape, kSpread> chunk;
    ScoreChunk<Shape, false> sample_chunk;
  };
  Constants<Shape> constants;
  bool unreachable[Shape::kPoints], sample_unreachable[Shape::kPoints];
};

// Operands: the source's arguments, log_weights, means, logvars -> expected_log_prob, kl_z,
// normalizer.
template <class Source, class Shape, class T = typename Shape::T>
__global__ void __launch_bounds__(kThreads, 1)
    elbo_kernel(const __grid_constant__ Problem problem) {
  constexpr int kP = Shape::kPointsEach, kC = Shape::kColumnsEach, kOut = Source::kArguments + 3;
  constexpr bool kSpread = Source::kSpread >= 0, kSample = Source::kSample >= 0,
                 kLogits = Source::kLogits >= 0;
  auto& memory = shared_memory<ElboMemory<Source, Shape>>();
  const PointTile<Shape> tile(problem, blockIdx.x);
  const ComponentView<T> components(problem, Source::kArguments, true, tile.entry);
  const auto tile_of = [&](int operand, const bool* skip) {
    return Points<T>(problem, operand, tile.entry, tile.first, Shape::kPoints, skip);
  };
  const Points<T> points = tile_of(Source::kPoint, memory.unreachable);
  const Points<T> spreads = tile_of(kSpread ? Source::kSpread : 0, memory.unreachable);
  const Points<T> samples = tile_of(kSample ? Source::kSample : 0, memory.sample_unreachable);
  mark_unreachable(points, Shape::kPoints, problem.d, memory.unreachable);
  if constexpr (kSpread)
    mark_infinite_spread(spreads, Shape::kPoints, problem.d, memory.unreachable);
  if constexpr (kSample)
    mark_unreachable(samples, Shape::kPoints, problem.d, memory.sample_unreachable);
  const Column<const T> logits(problem, kLogits ? Source::kLogits : 0, tile.entry);
  const int row = row_of_thread() * kP, column = column_of_thread() * kC;
  RunningTerms<kLogits, T> terms[kP];
  for (int64_t first = 0; first < problem.k; first += Shape::kColumns) {
    T score[kP][kC], l[kP][kC];
    memory.constants.load(components, first);
    score_tile(memory.chunk, memory.constants, components, first, points, &spreads, score);
    if constexpr (kSample)
      score_tile(memory.sample_chunk, memory.constants, components, first, samples, nullptr, l);
    PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
      PYVAE_UNROLL for (int j = 0; j < kC; ++j) {
        const int64_t k = first + column + j;
        const bool there = row + i < points.count && k < problem.k;
        if constexpr (kLogits)
          l[i][j] = there ? logits.at(points.first + row + i, k) : -kInfinity<T>;
        else if constexpr (!kSample)
          l[i][j] = score[i][j];
      }
      terms[i].add(l[i], score[i], memory.constants.log_weight + column,
                   memory.constants.constant + column);
    }
    __syncthreads();  // the constants have been read
  }
  if (problem.k == 0) __syncthreads();  // `unreachable` has been written
  const Column<T> expected(problem, kOut, tile.entry), kl(problem, kOut + 1, tile.entry),
      normalizer(problem, kOut + 2, tile.entry);
  PYVAE_UNROLL for (int i = 0; i < kP; ++i) {
    const bool unreachable =
        memory.unreachable[row + i] || (kSample && memory.sample_unreachable[row + i]);
    const ElboValues<T> values = terms[i].values(unreachable);
    const int64_t n = points.first + row + i;
    if (column_of_thread() != 0 || row + i >= points.count) continue;
    expected.at(n) = values.expected, kl.at(n) = values.kl, normalizer.at(n) = values.normalizer;
  }
}

// Operands: the gradients of expected_log_prob and kl_z; the arguments; the three results; the
// gradients by the arguments.
template <class Source, class T>
struct ElboGradient {
  using Number = T;
  static constexpr int kFirst = 2, kParameters = kFirst + Source::kArguments,
                       kOut = kParameters + 3, kGradients = kOut + 3;
  static constexpr int operand(int from, int argument) {
    return argument < 0 ? -1 : from + argument;
  }
  static constexpr int kPoint = operand(kFirst, Source::kPoint),
                       kSpread = operand(kFirst, Source::kSpread),
                       kSample = operand(kFirst, Source::kSample),
                       kLogits = operand(kFirst, Source::kLogits);
  static constexpr int kByPoint = operand(kGradients, Source::kPoint),
                       kBySpread = operand(kGradients, Source::kSpread),
                       kBySample = operand(kGradients, Source::kSample),
                       kByLogits = operand(kGradients, Source::kLogits);
  static constexpr int kByParameters = kGradients + Source::kArguments, kSpreadOffset = 0;
  static constexpr bool kWeighted = true, kScores = true, kOwnWeights = true, kMoments = false;
  static constexpr bool kTwo = Source::kSample >= 0 || Source::kLogits >= 0;  // l is not the score

  struct State {
    ElboPoint<T> point;

    __device__ State(const Problem& problem, int64_t entry, int64_t n, int = kSide)
        : point(problem, entry, n, kOut) {}
    __device__ bool skips() const { return !point.reachable() || !point.dense; }
    __device__ bool skips_sample() const { return !point.reachable(); }
    __device__ Coefficients<T> coefficients(const Problem&, int64_t, int64_t, int64_t, T l, T score,
                                            T prior, T constant) const {
      if (!point.reachable()) return {};
      const ElboCoefficients<T> by(point, l, score, prior, constant);
      Coefficients<T> found{by.by_score, by.by_logit, by.by_log_weight};
      if (!kTwo) found.by_score += by.by_logit;
      if (Source::kLogits < 0) found.by_log_weight += by.by_logit;
      return found;
    }
  };
};

template <class Source, class T>
void elbo_forward(const Problem& problem, const Runtime& runtime) {
  using Shape = SmallTile<T>;
  launch(elbo_kernel<Source, Shape>, PointTile<Shape>::count(problem), kThreads,
         sizeof(ElboMemory<Source, Shape>), runtime.stream, problem);
}
template <class Source, class T>
void elbo_backward(const Problem& problem, const Runtime& runtime) {
  run_backward<ElboGradient<Source, T>, SmallTile<T>>(problem, runtime);
}

template <class Source>
constexpr KernelPair elbo = {{elbo_forward<Source, Float>, elbo_forward<Source, Double>},
                             {elbo_backward<Source, Float>, elbo_backward<Source, Double>}};

}  // namespace

namespace PYVAE_DEVICE {

const KernelPair mixture_elbo_terms = elbo<Exact>;
const KernelPair mixture_elbo_terms_gaussian = elbo<Gaussian>;
const KernelPair mixture_elbo_terms_sampled = elbo<Sampled>;
const KernelPair mixture_elbo_terms_logits = elbo<Logits>;

}  // namespace PYVAE_DEVICE
}  // namespace pyvae
