// SPDX-License-Identifier: MIT
// mixture_elbo_terms: E_q(z)[log N(w; mu_z, sigma_z^2)] and KL(q(z) || p(z)) in one stream over the
// components.
//
// With l the unnormalised log q, c the (expected) log-density and top = max l, four sums over e^(l
// - top) give
//   normalizer = top + log S,  expected_log_prob = V / S,  kl_z = T / S - log S - U / S,
// where S, T, U, V weigh 1, l - top, log_weights and c. Nothing large is subtracted from anything
// large.
#pragma once

#include "tiles/density.h"

namespace pyvae {
namespace {

// Where q(z) comes from, and with it the arguments in front of log_weights, means, logvars.
struct Exact {  // w: p(z | w)
  static constexpr int kPoint = 0, kSpread = -1, kSample = -1, kLogits = -1, kArguments = 1;
};
struct Gaussian {  // mean_q, logvar_q: softmax(log_weights + E_q(w|x) log N), the maximiser of the
                   // mean-field bound
  static constexpr int kPoint = 0, kSpread = 1, kSample = -1, kLogits = -1, kArguments = 2;
};
struct Sampled {  // w, mean_q, logvar_q: p(z | w) at the sample, expectations under q(w | x)
  static constexpr int kPoint = 1, kSpread = 2, kSample = 0, kLogits = -1, kArguments = 3;
};
struct Logits {  // mean_q, logvar_q, logits_q: softmax(logits_q)
  static constexpr int kPoint = 0, kSpread = 1, kSample = -1, kLogits = 2, kArguments = 3;
};

template <class T>
struct ElboSums {
  T top = -kInfinity<T>, mass = 0, entropy = 0, log_weight = 0, density = 0;
  bool impossible = false;  // q > 0 where the weight is zero
  bool dense = false;       // some component has a density at the point

  // One chunk of a point: l, and the scores whose log_weights are still in them.
  template <bool kLogits, class V>
  void add(const T* l, const T* score, const T* log_weights, const T* constants, int64_t columns) {
    raise(row_max<V>(l, columns));
    const V shift = splat<V>(finite_or_zero(top));
    V m{}, e{}, w{}, s{};
    for (int64_t c = 0; c < columns; c += kLanesOf<V>) {
      const V gap = load<V>(l + c) - shift, weight = exp(gap), prior = load<V>(log_weights + c);
      const auto absent = weight == T(0);
      m += weight;
      e += absent ? V{} : weight * gap;
      w += weight * prior;
      const auto dead = load<V>(constants + c) == splat<V>(-kInfinity<T>);
      // A NaN point scores NaN under a dead component too, which has no density there all the same.
      const auto none = dead | (load<V>(score + c) == splat<V>(-kInfinity<T>));
      if (kLogits) dense |= max_lanes(none ? V{} : splat<V>(1)) > 0;
      if (kLogits) impossible |= max_lanes(dead ? weight : V{}) > 0;
      s += absent | dead ? V{} : weight * (load<V>(score + c) - prior);
    }
    mass += sum_lanes(m), entropy += sum_lanes(e), log_weight += sum_lanes(w),
        density += sum_lanes(s);
  }

 private:
  void raise(T highest) {
    if (!(highest > top)) return;
    const T gap = finite_or_zero(top) - finite_or_zero(highest);
    if (mass != 0) {
      const T factor = exp(gap);
      entropy = factor * (entropy + gap * mass);
      mass *= factor, log_weight *= factor, density *= factor;
    }
    top = highest;
  }
};

// The strips of one worker: scores under q(w|x) (or at w) and l; the same strip where they are the
// same numbers.
template <class Source, class V>
struct ElboBlock {
  using T = ScalarOf<V>;
  static constexpr bool kTwoStrips = Source::kSample >= 0 || Source::kLogits >= 0;
  static constexpr int kRows = 2 + (Source::kSpread >= 0) * 2 + (Source::kSample >= 0) * 2;
  static constexpr int kStrips = kTwoStrips ? 2 : 1;

  const Problem& problem;
  const Components<V>& components;
  Block block;
  PointBlock<V> points, sample;
  T *scales = nullptr, *scores, *l;
  bool unreachable[kBlock];

  ElboBlock(const Problem& problem_, const Components<V>& components_, const Block& block_,
            const Scratch<V>& scratch, int first)
      : problem(problem_), components(components_), block(block_), first_(first) {
    scores = scratch.strip(block.worker);
    l = kTwoStrips ? scratch.strip(block.worker, 1) : scores;
    points.row = scratch.rows(block.worker, 0);
    points.load(source(Source::kPoint), block.first, block.count, components);
    for (int64_t n = 0; n < block.count; ++n) unreachable[n] = points.unreachable[n];
    if constexpr (Source::kSpread >= 0) load_spread(scratch);
    if constexpr (Source::kSample >= 0) {
      sample.row = scratch.rows(block.worker, 4);
      sample.load(source(Source::kSample), block.first, block.count, components);
      for (int64_t n = 0; n < block.count; ++n) unreachable[n] |= sample.unreachable[n];
    }
  }

  void score(const Chunk& chunk) {
    score_chunk<V>(components, points, scales, chunk, scores);
    if constexpr (Source::kSample >= 0) score_chunk<V>(components, sample, nullptr, chunk, l);
    if constexpr (Source::kLogits >= 0) {
      const Column<const T> logits(problem, first_ + Source::kLogits, block.entry);
      for (int64_t n = 0; n < block.count; ++n)
        for (int64_t c = 0; c < chunk.columns; ++c)
          l[n * kChunk<V> + c] = chunk.first + c < problem.k
                                     ? logits.at(block.first + n, chunk.first + c)
                                     : -kInfinity<T>;
    }
  }

  // A point without a density passes no gradient, and must not meet the components' numbers: 0 *
  // inf is NaN.
  void clear_point(int64_t n) {
    points.clear(n);
    if constexpr (Source::kSpread >= 0)
      clear(scales + n * components.padded_d, components.padded_d);
  }
  void clear_sample(int64_t n) {
    if constexpr (Source::kSample >= 0) sample.clear(n);
  }

 private:
  Column<const T> source(int argument) const {
    return Column<const T>(problem, first_ + argument, block.entry);
  }

  void load_spread(const Scratch<V>& scratch) {
    scales = scratch.rows(block.worker, 2);
    load_scales<V>(source(Source::kSpread), block.first, block.count, components, scales);
    const int64_t width = components.padded_d;
    for (int64_t n = 0; n < block.count; ++n) {
      bool infinite = false;  // an infinite spread leaves no density either
      for (int64_t d = 0; d < width; ++d) infinite |= scales[n * width + d] == kInfinity<T>;
      if (!infinite) continue;
      unreachable[n] = true;
      clear(scales + n * width, width);
    }
  }

  int first_;
};

// Operands: the source's arguments, log_weights, means, logvars -> expected_log_prob, kl_z,
// normalizer.
template <class Source, class V>
void elbo_forward(const Problem& problem, const Runtime& runtime) {
  using T = ScalarOf<V>;
  constexpr int kFirst = Source::kArguments, kOut = kFirst + 3;
  const PackedMixture<V> mixture(problem, runtime, kFirst, false);
  const Schedule schedule(problem, runtime);
  const Scratch<V> scratch(problem, runtime, schedule, ElboBlock<Source, V>::kRows,
                           ElboBlock<Source, V>::kStrips);
  for_each_block(problem, runtime, schedule, [&](const Block& block) {
    const Components<V>& components = mixture.entries[block.entry];
    ElboBlock<Source, V> work(problem, components, block, scratch, 0);
    ElboSums<T> sums[kBlock];
    for_each_chunk(components, [&](const Chunk& chunk) {
      work.score(chunk);
      for (int64_t n = 0; n < block.count; ++n)
        sums[n].template add<(Source::kLogits >= 0), V>(
            work.l + n * kChunk<V>, work.scores + n * kChunk<V>,
            components.log_weight + chunk.first, components.constant + chunk.first, chunk.columns);
    });
    const Column<T> expected(problem, kOut, block.entry), kl(problem, kOut + 1, block.entry),
        normalizer(problem, kOut + 2, block.entry);
    for (int64_t n = 0; n < block.count; ++n) {
      const ElboSums<T>& sum = sums[n];
      const bool reachable =
          !work.unreachable[n] && sum.mass != 0 && (Source::kLogits < 0 || sum.dense);
      const T log_mass = T(__builtin_log(double(sum.mass)));
      const T divergence = (sum.entropy - sum.log_weight) / sum.mass - log_mass;
      expected.at(block.first + n) = reachable ? sum.density / sum.mass : -kInfinity<T>;
      kl.at(block.first + n) = !reachable ? T(0) : sum.impossible ? kInfinity<T> : divergence;
      normalizer.at(block.first + n) =
          reachable ? finite_or_zero(sum.top) + log_mass : -kInfinity<T>;
    }
  });
}

}  // namespace
}  // namespace pyvae
