// SPDX-License-Identifier: MIT
// The terms of sums over a slab's points, of one component: without what is negligible, and packed
// where few are left.
#pragma once

#include "common/peaks.h"
#include "full/scores.h"

namespace pyvae {
namespace {

// Some points of a slab: bits for each of its vectors.
template <class V>
struct Selection {
  uint32_t bits[kMostSlabPoints / kLanesOf<V>];
  int64_t count = 0;

  void put(int64_t n, uint32_t lanes) {
    bits[n / kLanesOf<V>] = lanes;
    count += __builtin_popcount(lanes);
  }
  // body(the first point of a vector, which of its lanes, how many are before them)
  template <class Body>
  void for_each_vector(int64_t points, const Body& body) const {
    int64_t before = 0;
    for (int64_t n = 0; n < points; n += kLanesOf<V>) {
      const uint32_t lanes = bits[n / kLanesOf<V>];
      if (lanes) body(n, lanes, before);
      before += __builtin_popcount(lanes);
    }
  }
};

// What the terms of a slab's points are weighed by, zero where one is left out, and the lowest of
// their log-densities.
template <class V>
struct SlabWeights {
  using T = ScalarOf<V>;
  T *value, *log_size;
  T lowest_log_prob = kInfinity<T>;

  void set(int64_t n, T weight, T log_prob) {
    value[n] = weight;
    if (log_prob != -kInfinity<T>) lowest_log_prob = smaller(lowest_log_prob, log_prob);
  }
  void finish(int64_t points) const {
    for (int64_t n = 0; n < points; n += kLanesOf<V>)
      store<V>(log_size + n, log(size_of(load<V>(value + n))));
  }
};

// Logarithms of what counts for nothing: in a point's sums, and in the component's beside `peak`,
// what these are at least.
template <class T>
struct SlabLimits {
  T of_points, of_component;
  T& peak;
};

// The terms of one component. If its sum is small it keeps terms that the points' sums do without,
// and which they must do without: those are not to depend on which points are beside them.
template <class V>
struct SlabTerms {
  using T = ScalarOf<V>;
  // Strips of numbers a point that it takes of a worker's.
  static constexpr int kStrips = 6;

  Selection<V> kept;
  bool apart = false;            // the points' sums do without some of them
  T *term, *of_points;           // of every point of the slab; the latter only where `apart`
  T *packed, *packed_of_points;  // those of a selection
  T* room;                       // for a row of a slab, and a vector more

  SlabTerms(const FullScratch<V>& scratch, int64_t worker)
      : term(scratch.strip(worker, 0)),
        of_points(scratch.strip(worker, 1)),
        packed(scratch.strip(worker, 2)),
        packed_of_points(scratch.strip(worker, 3)),
        room(scratch.strip(worker, 4)) {}

  // So few that packing them is less work than passing over all.
  bool few(const Slab<V>& slab) const {
    return 4 * divide_up(kept.count, kGroupPoints<V>) <= 3 * slab.groups;
  }

  // Turns the scores in `term` into responsibilities times the weights of the points.
  void weigh(const SlabWeights<V>& weights, const T* log_prob, int64_t points,
             const SlabLimits<T>& limits) {
    T* const scores = term;
    const T *const weight = weights.value, *const log_size = weights.log_size;
    kept.count = 0, apart = false;
    V top = limits.peak - V{};
    for (int64_t n = 0; n < points; n += kLanesOf<V>)
      top = Largest()(top, load<V>(scores + n) - load<V>(log_prob + n) + load<V>(log_size + n));
    const T peak = limits.peak = max_lanes(top);
    for (int64_t n = 0; n < points; n += kLanesOf<V>) {
      const V gap = load<V>(scores + n) - load<V>(log_prob + n);
      const V size = gap + load<V>(log_size + n), given = load<V>(weight + n);
      const auto absent = given == V{}, small = gap < limits.of_points;
      const auto left_out = absent | (small & (size - peak < limits.of_component));
      const uint32_t lanes = lanes_where<V>(~left_out);  // NaN is never left out
      V found{};
      if (lanes) found = given * exp_of_gap(gap);
      store<V>(term + n, left_out ? V{} : found);
      store<V>(of_points + n, absent | small ? V{} : found);
      kept.put(n, lanes);
      apart |= lanes != lanes_where<V>(~(absent | small));
    }
  }
  // No term, and then one after the other.
  void clear(int64_t points) {
    kept.count = 0, apart = false;
    for (int64_t n = 0; n < points; n += kLanesOf<V>) store<V>(term + n, V{}), kept.put(n, 0);
  }
  void set(int64_t n, T value) {
    term[n] = value;
    kept.bits[n / kLanesOf<V>] |= uint32_t(1) << n % kLanesOf<V>;
    ++kept.count;
  }
  // Takes the terms as they are.
  void take(int64_t points) {
    kept.count = 0, apart = false;
    for (int64_t n = 0; n < points; n += kLanesOf<V>)
      kept.put(n, lanes_where<V>(load<V>(term + n) != V{}));
  }
};

// What the terms of component k are judged by, whose sum so far is known.
template <class V>
SlabLimits<ScalarOf<V>> limits_of(const FullComponents<V>& components, int64_t k, int64_t points,
                                  const SlabWeights<V>& weights, double sum, ScalarOf<V> of_points,
                                  ScalarOf<V>* peaks) {
  using T = ScalarOf<V>;
  peaks[k] = larger(peaks[k], log(T(size_of(sum))));
  const T of_component = log_negligible_of_component(points, components.constant[k],
                                                     weights.lowest_log_prob, peaks[k]);
  return {of_points, of_component, peaks[k]};
}

// The slab of a selection's points, the last group filled up with copies of the first, whose
// terms are zero. Its x are to be packed.
template <class V>
Slab<V> packed_slab(const Slab<V>& from, const Selection<V>& selection, ScalarOf<V>* x) {
  Slab<V> to;
  to.d = from.d, to.count = selection.count, to.x = x;
  to.groups = divide_up(selection.count, kGroupPoints<V>);
  const int64_t left = selection.count - (to.groups - 1) * kGroupPoints<V>;
  to.last_vectors = left <= kLanesOf<V> ? 1 : left <= 2 * kLanesOf<V> ? 2 : kVectors;
  return to;
}

// Packs vectors; `at(n)` is where that of point n lies.
template <class V, class At>
void pack_vectors(const Selection<V>& selection, int64_t points, const At& at, ScalarOf<V>* to) {
  selection.for_each_vector(points, [&](int64_t n, uint32_t lanes, int64_t before) {
    store_lanes<V>(to + before, load<V>(at(n)), lanes);
  });
}
template <class V>
void pack_terms(const Slab<V>& slab, const ScalarOf<V>* term, const Selection<V>& selection,
                const Slab<V>& to, ScalarOf<V>* packed) {
  pack_vectors<V>(selection, slab.points(), [&](int64_t n) { return term + n; }, packed);
  for (int64_t m = selection.count; m < to.points(); ++m) packed[m] = 0;
}
template <class V>
void pack_rows(const Slab<V>& slab, const ScalarOf<V>* from, const Selection<V>& selection,
               const Slab<V>& to, ScalarOf<V>* packed, ScalarOf<V>* room) {
  for (int64_t i = 0; i < slab.d; ++i) {
    const auto* const row = from + i * kGroupPoints<V>;
    pack_vectors<V>(selection, slab.points(), [&](int64_t n) { return row + slab.at(n); }, room);
    for (int64_t m = selection.count; m < to.points(); ++m) room[m] = room[0];
    for (int64_t m = 0; m < to.points(); m += kLanesOf<V>)
      store<V>(packed + to.at(m) + i * kGroupPoints<V>, load<V>(room + m));
  }
}
template <class V>
void add_unpacked(const Slab<V>& from, const ScalarOf<V>* packed, const Selection<V>& selection,
                  const Slab<V>& slab, ScalarOf<V>* to, ScalarOf<V>* room) {
  for (int64_t i = 0; i < slab.d; ++i) {
    for (int64_t m = 0; m < from.points(); m += kLanesOf<V>)
      store<V>(room + m, load<V>(packed + from.at(m) + i * kGroupPoints<V>));
    selection.for_each_vector(slab.points(), [&](int64_t n, uint32_t lanes, int64_t before) {
      add_vector<V>(to + slab.at(n) + i * kGroupPoints<V>, load_lanes<V>(room + before, lanes));
    });
  }
}

}  // namespace
}  // namespace pyvae
