// SPDX-License-Identifier: MIT
// What an op's backward pass says of itself: its operands, what it keeps of a point, and the
// coefficient of a score.
//
// An `Op` has: kPoint, kSpread, kSample, kLogits and kByPoint, kBySpread, kBySample, kByLogits, the
// operands of the arguments and of their gradients (-1: there is none); kParameters, kWeighted, and
// kByParameters, the first of the gradients of the last two or three; kScores (are scores needed),
// kOwnWeights (has log_weights a coefficient of its own), kSpreadOffset, kMoments (are the sums
// those of an EM step); and State, what it keeps of a point, which so many lanes make together.
#pragma once

#include "cuda/block.h"

namespace pyvae {
namespace {

template <class T>
struct Coefficients {
  T by_score = 0, by_logit = 0, by_log_weight = 0;
};

struct Nothing {};

// What the ops with one kind of points have not.
struct OnlyPoints {
  static constexpr int kSpread = -1, kSample = -1, kLogits = -1, kBySpread = -1, kBySample = -1,
                       kByLogits = -1, kSpreadOffset = 0;
  static constexpr bool kWeighted = true, kOwnWeights = false, kMoments = false;
};

// Operands: the gradient of log_prob; x, log_weights, means, logvars; log_prob; then the four
// gradients.
template <class T>
struct LogProbGradient : OnlyPoints {
  using Number = T;
  static constexpr int kPoint = 1, kParameters = 2, kByPoint = 6, kByParameters = 7, kWeight = 0,
                       kLogProb = 5;
  static constexpr bool kScores = true;

  struct State {
    T weight, log_prob;

    __device__ State(T weight_, T log_prob_) : weight(weight_), log_prob(log_prob_) {}

    __device__ State(const Problem& problem, int64_t entry, int64_t n, int = kSide)
        : weight(Column<const T>(problem, kWeight, entry).at(n)),
          log_prob(Column<const T>(problem, kLogProb, entry).at(n)) {}
    __device__ bool skips() const { return log_prob == -kInfinity<T>; }
    __device__ bool skips_sample() const { return false; }
    __device__ Coefficients<T> coefficients(const Problem&, int64_t, int64_t, int64_t, T, T score,
                                            T, T) const {
      return {skips() ? T(0) : weight * exp_of_gap(score - log_prob)};
    }
  };
};

// The responsibilities are the coefficients of the gradient of sum sample_weight log_prob.
template <class T>
struct Responsibilities : LogProbGradient<T> {
  static constexpr bool kMoments = true;
};

// Operands: the gradients of log_posterior and log_prob; the four arguments; log_posterior,
// log_prob; four gradients.
template <class T>
struct PosteriorGradients : OnlyPoints {
  using Number = T;
  static constexpr int kPoint = 2, kParameters = 3, kByPoint = 8, kByParameters = 9;
  static constexpr bool kScores = false;

  struct State {
    T rest;
    bool skip;

    __device__ State(const Problem& problem, int64_t entry, int64_t n, int lanes = kSide) {
      const PosteriorGradient<T> by{problem, 0, 1, 6};
      T sum = 0;
      PYVAE_UNROLL_FOUR for (int64_t k = int(threadIdx.x) % lanes; k < problem.k; k += lanes) sum +=
          by.masked(entry, n, k);
      rest = Column<const T>(problem, 1, entry).at(n) - sum_over_lanes(sum, lanes);
      skip = Column<const T>(problem, 7, entry).at(n) == -kInfinity<T>;
    }
    __device__ bool skips() const { return skip; }
    __device__ bool skips_sample() const { return false; }
    __device__ Coefficients<T> coefficients(const Problem& problem, int64_t entry, int64_t n,
                                            int64_t k, T, T, T, T) const {
      const PosteriorGradient<T> by{problem, 0, 1, 6};
      return {skip ? T(0) : by.by_score(entry, n, k, rest)};
    }
  };
};

}  // namespace
}  // namespace pyvae
