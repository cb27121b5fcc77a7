// SPDX-License-Identifier: MIT
// The terms of a block of points, from their lists; and the components whose sums take more.
#pragma once

#include "common/recalled.h"
#include "tiles/terms.h"

namespace pyvae {
namespace {

// Not where there are no lists, a NaN is in the block, or half of its points and more have none.
template <class V>
class RecalledBlock {
  using T = ScalarOf<V>;

 public:
  // `rows` is room for those without a list.
  RecalledBlock(const Recalled<V>& recalled, const Block& block, const Components<V>& components,
                const PointBlock<V>& points, const PointWeights<V>& weights,
                const Column<T>& log_prob, T* rows)
      : block_(block), negligible_(log_negligible(components.scale_ratio)), weights_(weights) {
    without_.row = rows, without_.padded_d = points.padded_d;
    usable_ = recalled.has_lists() && !points.poisoned;
    for (int64_t n = 0; n < block.count && usable_; ++n) {
      count_[n] = next_[n] = 0;
      total_[n] = log_prob.at(block.first + n);
      if (total_[n] == -kInfinity<T>) continue;
      const PointList<T> list = recalled.list(block.entry, block.first + n);
      if (list.count == kNoList) leave(n, points);
      usable_ = 2 * without_.count < block.count;
      list.template for_each_term<V>(total_[n], weights.value[n], negligible_,
                                     [&](int64_t k, T term) {
                                       component_[n][count_[n]] = k;
                                       term_[n][count_[n]++] = term;
                                     });
    }
    if (!usable_) return;
    const int64_t rest = -without_.count & (kTilePoints - 1);
    clear(rows + without_.count * without_.padded_d, rest * without_.padded_d);
  }

  // Adds the terms of a chunk to the sums; whether it could. Chunks come in their order; `terms`
  // holds zeros, before and after, and `scores` is room.
  bool accumulate(const Components<V>& components, const PointBlock<V>& points, const Chunk& chunk,
                  const PointGradient<V>& gradient, ComponentSums<V>& sums, T* terms, T* scores) {
    if (!usable_) return false;
    if (without_.count) score_chunk<V>(components, without_, nullptr, chunk, scores);
    Survivors<V> survivors;
    for (int64_t n = 0; n < block_.count; ++n) {
      survivors.begin(n);
      T* const row = terms + n * kChunk<V>;
      if (count_[n] == kNoList) weigh(n, chunk, scores + next_[n] * kChunk<V>, row, survivors);
      for (; next_[n] < count_[n] && component_[n][next_[n]] < chunk.first + chunk.count;
           ++next_[n]) {
        const int64_t c = component_[n][next_[n]] - chunk.first;
        survivors.add(n, c, 1), row[c] = term_[n][next_[n]];
      }
      survivors.end(n);
    }
    if (survivors.none()) return true;
    const Coefficients<V> coefficients{terms, survivors};
    pyvae::accumulate<V>({components, points, nullptr, chunk, coefficients, coefficients, {}},
                         gradient, sums);
    for (int64_t n = 0; n < block_.count; ++n)
      survivors.of_point(n).for_each([&](int64_t c) { terms[n * kChunk<V> + c] = 0; });
    return true;
  }

 private:
  // Point n has no list; `next_` is its place among such.
  void leave(int64_t n, const PointBlock<V>& points) {
    count_[n] = kNoList, next_[n] = int(without_.count++);
    for (int64_t d = 0; d < points.padded_d; ++d)
      without_.row[next_[n] * points.padded_d + d] = points.at(n)[d];
  }
  void weigh(int64_t n, const Chunk& chunk, const T* scores, T* terms,
             Survivors<V>& survivors) const {
    for (int64_t c = 0; c < chunk.columns; c += kLanesOf<V>) {
      const V gap = load<V>(scores + c) - total_[n];
      const auto small = gap < negligible_;
      const uint32_t kept = lanes_where<V>(~small);
      if (!kept) continue;
      survivors.add(n, c, kept);
      store<V>(terms + c, small ? V{} : weights_.value[n] * exp_of_gap(gap));
    }
  }

  const Block& block_;
  const T negligible_;
  const PointWeights<V>& weights_;
  bool usable_;
  PointBlock<V> without_;
  int count_[kBlock], next_[kBlock];
  T total_[kBlock];
  int64_t component_[kBlock][kListed];
  T term_[kBlock][kListed];
};

// The components that may have terms to sum that are in no list: a mixture of their own, whose sums
// over all points replace those of the lists.
template <class V>
class OpenComponents {
  using T = ScalarOf<V>;

 public:
  OpenComponents(const Problem& problem, const Runtime& runtime, const Schedule& schedule,
                 const PackedMixture<V>& mixture, const Recalled<V>& recalled)
      : count_(recalled.most_open()),
        which_(allocate<int64_t>(runtime, problem.batch * count_)),
        mixture_(gathered(problem, runtime, mixture, recalled)),
        schedule_(schedule),
        sums_(problem, runtime, schedule, mixture_),
        peaks_(runtime, schedule, Components<V>::padded(count_, Components<V>::kPanel)) {}

  // Adds the terms of a block; `fill(terms)` makes them of the scores.
  template <class Fill>
  void accumulate(const Block& block, const PointBlock<V>& points, const PointWeights<V>& weights,
                  T negligible, T* strip, const Fill& fill) const {
    if (count_ == 0) return;
    const Components<V>& components = mixture_.entries[block.entry];
    ComponentSums<V> sums = sums_.of_task(block.task);
    for_each_chunk(components, [&](const Chunk& chunk) {
      Terms<V> terms(components, chunk, weights, negligible, schedule_.points(),
                     peaks_.of_task(block.task), sums, strip, nullptr);
      score_chunk<V>(components, points, nullptr, chunk, strip);
      fill(terms);
      terms.accumulate(components, points, nullptr, PointGradient<V>(), sums);
    });
  }

  void replace(const Problem& problem, const Runtime& runtime, const TileSums<V>& totals) const {
    if (count_ == 0) return;
    sums_.add_up(runtime);
    for (int64_t entry = 0; entry < problem.batch; ++entry) {
      const int64_t row = mixture_.entries[entry].padded_d;
      const ComponentSums<V> from = sums_.of_entry(entry), to = totals.of_entry(entry);
      for (int64_t i = 0; i < count_; ++i) {
        const int64_t k = which_[entry * count_ + i];
        if (k < 0) continue;
        to.coefficients[k] = from.coefficients[i];
        for (int64_t d = 0; d < row; ++d) {
          to.z[k * row + d] = from.z[i * row + d];
          to.squares[k * row + d] = from.squares[i * row + d];
        }
      }
    }
  }

 private:
  PackedMixture<V> gathered(const Problem& problem, const Runtime& runtime,
                            const PackedMixture<V>& from, const Recalled<V>& recalled) const {
    const int64_t each = Components<V>::footprint(count_, problem.d);
    T* const memory = allocate<T>(runtime, problem.batch * each);
    auto* const entries = allocate<Components<V>>(runtime, problem.batch);
    for (int64_t entry = 0; entry < problem.batch; ++entry) {
      int64_t* const which = which_ + entry * count_;
      int64_t found = 0;
      for (int64_t k = 0; k < problem.k && count_; ++k)
        if (recalled.is_open(entry, k)) which[found++] = k;
      while (found < count_) which[found++] = -1;
      entries[entry] = from.entries[entry].gathered(which, count_, memory + entry * each);
    }
    return PackedMixture<V>(entries);
  }

  const int64_t count_;
  int64_t* const which_;  // of every entry; -1 where it has fewer
  const PackedMixture<V> mixture_;
  const Schedule& schedule_;
  const TileSums<V> sums_;
  const Peaks<T> peaks_;
};

}  // namespace
}  // namespace pyvae
