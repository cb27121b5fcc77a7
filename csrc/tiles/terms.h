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

// The terms of one chunk. What counts for a component alone, whose sum is small, is kept apart: the
// points' sums must not depend on which points are beside them.
template <class V>
class Terms {
  using T = ScalarOf<V>;

 public:
  // `negligible` is the logarithm of what counts for nothing in the sums of one of so many points;
  // `own` is a strip for what counts for a component alone.
  Terms(const Components<V>& components, const Chunk& chunk, const PointWeights<V>& weights,
        T negligible, int64_t points, T* peaks, const ComponentSums<V>& sums, T* strip, T* own)
      : chunk_(chunk),
        weights_(weights),
        negligible_(negligible),
        peaks_(peaks + chunk.first),
        strip_(strip),
        own_(own) {
    for (int64_t c = 0; c < chunk.columns; c += kLanesOf<V>) {
      T known[kLanesOf<V>];
      for (int lane = 0; lane < kLanesOf<V>; ++lane)
        known[lane] = T(sums.coefficients[chunk.first + c + lane]);
      const V peak = Largest()(load<V>(peaks_ + c), log(size_of(load<V>(known))));
      store<V>(peaks_ + c, peak);
      const V constant = load<V>(components.constant + chunk.first + c);
      const V beside = log_negligible_of_component(points, constant, weights.lowest_log_prob);
      store<V>(of_component_ + c, beside);
      settled_[c / kLanesOf<V>] =
          !lanes_where<V>(~(peak + beside >= negligible + weights.largest_log_size));
    }
  }

  // Turns the scores of point n into responsibilities times its weight.
  void weigh(int64_t n, T log_prob) {
    begin(n);
    for (int64_t c = 0; c < chunk_.columns; c += kLanesOf<V>) {
      const V gap = load<V>(strip_ + n * kChunk<V> + c) - log_prob;
      const Choice choice = choose(n, c, gap);
      put(n, c, choice, choice.any() ? weights_.value[n] * exp_of_gap(gap) : V{});
    }
    end(n);
  }

  // The same by steps: of each vector of components of a point, from the logarithms of the
  // responsibilities, which terms count; and the terms of these.
  struct Choice {
    IntegerOf<V> small;
    uint32_t of_point, of_component;
    bool any() const { return of_point | of_component; }
  };
  void begin(int64_t n) { survivors_.begin(n), own_survivors_.begin(n); }
  Choice choose(int64_t n, int64_t c, V log_share) {
    if (settled_[c / kLanesOf<V>]) {
      const auto small = log_share < negligible_;
      const Choice choice{small, lanes_where<V>(~small), 0};
      survivors_.add(n, c, choice.of_point);
      return choice;
    }
    const V size = log_share + weights_.log_size[n], peak = Largest()(load<V>(peaks_ + c), size);
    store<V>(peaks_ + c, peak);
    const auto small = log_share < negligible_, smaller = size - peak < load<V>(of_component_ + c);
    const Choice choice{small, lanes_where<V>(~small), lanes_where<V>(small & ~smaller)};
    survivors_.add(n, c, choice.of_point);  // NaN is never left out
    own_survivors_.add(n, c, choice.of_component);
    return choice;
  }
  void put(int64_t n, int64_t c, const Choice& choice, V term) const {
    put(strip_, own_, n, c, choice, term);
  }
  static void put(T* strip, T* own, int64_t n, int64_t c, const Choice& choice, V term) {
    store<V>(strip + n * kChunk<V> + c, choice.small ? V{} : term);
    if (choice.of_component) store<V>(own + n * kChunk<V> + c, term);
  }
  void end(int64_t n) { survivors_.end(n), own_survivors_.end(n); }

  // Takes the term of every component k of point n as it is.
  template <class Term>
  void take(int64_t n, const Term& term) {
    T* const row = strip_ + n * kChunk<V>;
    survivors_.begin(n);
    for (int64_t c = 0; c < chunk_.columns; ++c) row[c] = term(chunk_.first + c);
    for (int64_t c = 0; c < chunk_.columns; c += kLanesOf<V>)
      survivors_.add(n, c, lanes_where<V>(load<V>(row + c) != V{}));
    survivors_.end(n);
  }
  void skip(int64_t n) {
    clear(strip_ + n * kChunk<V>, chunk_.columns);
    begin(n);
  }

  T* strip() const { return strip_; }
  void accumulate(const Components<V>& components, const PointBlock<V>& points, const T* scales,
                  const PointGradient<V>& gradient, ComponentSums<V>& sums) const {
    pyvae::accumulate<V>({components, points, scales, chunk_, strip_, survivors_}, gradient, sums);
    if (own_survivors_.none()) return;
    add_own(own_, sums.coefficients);
    accumulate_own<V>({components, points, scales, chunk_, own_, own_survivors_}, sums);
  }
  // Adds what counts for components alone in a strip of such terms.
  void add_own(const T* own, double* to) const {
    if (own_survivors_.none()) return;
    uint64_t points_of[kChunk<V>];
    own_survivors_.by_component(points_of);
    for (int64_t c = 0; c < chunk_.count; ++c) {
      T total = 0;
      for_each_bit(points_of[c], [&](int n) { total += own[n * kChunk<V> + c]; });
      to[chunk_.first + c] += double(total);
    }
  }

 private:
  const Chunk& chunk_;
  const PointWeights<V>& weights_;
  const T negligible_;
  T of_component_[kChunk<V>];  // the same of a component's sums, beside what it has
  T *const peaks_, *const strip_, *const own_;
  bool settled_[kChunk<V> / kLanesOf<V>];  // vectors of components for which nothing is kept apart
  Survivors<V> survivors_, own_survivors_;
};

}  // namespace
}  // namespace pyvae
