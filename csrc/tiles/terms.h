// SPDX-License-Identifier: MIT
// The terms of sums over points and components: responsibilities, without what is negligible.
#pragma once

#include "common/peaks.h"
#include "tiles/workspace.h"

namespace pyvae {
namespace {

// What the terms of the points of a block are weighed by, and the lowest of their log-densities.
template <class V>
struct PointWeights {
  using T = ScalarOf<V>;
  T value[kBlock] = {}, log_size[kBlock], largest_log_size = 0, lowest_log_prob = kInfinity<T>;

  void set(int64_t n, T weight, T log_prob) {
    value[n] = weight;
    if (log_prob != -kInfinity<T>) lowest_log_prob = smaller(lowest_log_prob, log_prob);
  }
  void finish() {
    V most = -kInfinity<T> - V{};
    for (int64_t n = 0; n < kBlock; n += kLanesOf<V>) {
      const V here = log(size_of(load<V>(value + n)));
      store<V>(log_size + n, here);
      most = here <= most ? most : here == here ? here : kInfinity<T> - V{};  // NaN may be anything
    }
    largest_log_size = max_lanes(most);
  }
};

// The terms of one chunk. A component whose sum is small keeps terms that its points' sums do
// without, and which they must do without: those are not to depend on which points are beside them.
template <class V>
class Terms {
  using T = ScalarOf<V>;

 public:
  // `negligible` is the logarithm of what counts for nothing in the sums of one of so many points.
  // The terms replace the scores of `strip`; those for sums of points, where there are any, may
  // take a strip of their own.
  Terms(const Components<V>& components, const Chunk& chunk, const PointWeights<V>& weights,
        T negligible, int64_t points, T* peaks, const ComponentSums<V>& sums, T* strip,
        T* of_points)
      : chunk_(chunk),
        weights_(weights),
        negligible_(negligible),
        peaks_(peaks + chunk.first),
        strip_(strip),
        of_points_(of_points) {
    apart_.clear();
    bool settled = true;
    for (int64_t c = 0; c < chunk.columns; c += kLanesOf<V>) {
      T known[kLanesOf<V>];
      for (int lane = 0; lane < kLanesOf<V>; ++lane)
        known[lane] = T(sums.coefficients[chunk.first + c + lane]);
      const V peak = Largest()(load<V>(peaks_ + c), log(size_of(load<V>(known))));
      store<V>(peaks_ + c, peak);
      const V constant = load<V>(components.constant + chunk.first + c);
      const V beside = log_negligible_of_component(points, constant, weights.lowest_log_prob, peak);
      store<V>(of_component_ + c, beside);
      settled_[c / kLanesOf<V>] =
          !lanes_where<V>(~(peak + beside >= negligible + weights.largest_log_size));
      settled &= settled_[c / kLanesOf<V>];
    }
    if (settled) of_points_ = nullptr;
  }

  // Turns the scores of point n into responsibilities times its weight.
  void weigh(int64_t n, T log_prob) {
    begin(n);
    for (int64_t c = 0; c < chunk_.columns; c += kLanesOf<V>) {
      const V gap = load<V>(strip_ + n * kChunk<V> + c) - log_prob;
      const Choice choice = choose(n, c, gap);
      put(n, c, choice, choice.kept ? weights_.value[n] * exp_of_gap(gap) : V{});
    }
    end(n);
  }

  // The same by steps: of each vector of components of a point, from the logarithms of the
  // responsibilities, which terms count; and the terms of these.
  struct Choice {
    IntegerOf<V> small, left_out;  // in the sums of the point, and in those of the components
    uint32_t kept;                 // of the latter
  };
  void begin(int64_t n) { survivors_.begin(n), point_survivors_.begin(n); }
  Choice choose(int64_t n, int64_t c, V log_share) {
    const auto small = log_share < negligible_;  // NaN is never left out
    auto left_out = small;
    if (!settled_[c / kLanesOf<V>]) {
      const V size = log_share + weights_.log_size[n];
      const V peak = Largest()(load<V>(peaks_ + c), size);
      store<V>(peaks_ + c, peak);
      left_out &= size - peak < load<V>(of_component_ + c);
    }
    const Choice choice{small, left_out, lanes_where<V>(~left_out)};
    survivors_.add(n, c, choice.kept);
    if (of_points_) {
      const uint32_t of_point = lanes_where<V>(~small);
      point_survivors_.add(n, c, of_point);
      apart_.add(c, of_point ^ choice.kept);
    }
    return choice;
  }
  void put(int64_t n, int64_t c, const Choice& choice, V term) const {
    put(strip_, n, c, choice.left_out, term);
    if (of_points_) put(of_points_, n, c, choice.small, term);
  }
  static void put(T* strip, int64_t n, int64_t c, IntegerOf<V> left_out, V term) {
    store<V>(strip + n * kChunk<V> + c, left_out ? V{} : term);
  }
  void end(int64_t n) { survivors_.end(n), point_survivors_.end(n); }

  // Takes the term of every component k of point n as it is.
  template <class Term>
  void take(int64_t n, const Term& term) {
    T* const row = strip_ + n * kChunk<V>;
    begin(n);
    for (int64_t c = 0; c < chunk_.columns; ++c) row[c] = term(chunk_.first + c);
    for (int64_t c = 0; c < chunk_.columns; c += kLanesOf<V>)
      survivors_.add(n, c, lanes_where<V>(load<V>(row + c) != V{}));
    end(n);
  }
  void skip(int64_t n) {
    clear(strip_ + n * kChunk<V>, chunk_.columns);
    if (of_points_) clear(of_points_ + n * kChunk<V>, chunk_.columns);
    begin(n);
  }

  T* strip() const { return strip_; }
  void accumulate(const Components<V>& components, const PointBlock<V>& points, const T* scales,
                  const PointGradient<V>& gradient, ComponentSums<V>& sums) const {
    const Coefficients<V> of_components{strip_, survivors_};
    const Coefficients<V> of_points =
        apart_.any() ? Coefficients<V>{of_points_, point_survivors_} : of_components;
    pyvae::accumulate<V>({components, points, scales, chunk_, of_components, of_points, apart_},
                         gradient, sums);
  }

 private:
  const Chunk& chunk_;
  const PointWeights<V>& weights_;
  const T negligible_;
  T of_component_[kChunk<V>];  // the same of a component's sums, beside what it has
  T *const peaks_, *const strip_, *of_points_;
  bool settled_[kChunk<V> / kLanesOf<V>];  // vectors of components that keep nothing more
  ChunkBits<V> apart_;                     // those that keep more than their points' sums do
  Survivors<V> survivors_, point_survivors_;
};

}  // namespace
}  // namespace pyvae
