// SPDX-License-Identifier: MIT
// The terms of a slab of points, component by component, from the lists of the points.
#pragma once

#include "common/recalled.h"
#include "full/terms.h"

namespace pyvae {
namespace {

// The terms of a slab, linked by their components.
template <class T>
struct LinkedTerms {
  int32_t *first, *next, *point;  // the first: of every component, -1 where there is none
  T* term;
  int32_t count = 0;

  void clear(int64_t components) {
    count = 0;
    for (int64_t k = 0; k < components; ++k) first[k] = -1;
  }
  void add(int64_t k, int64_t n, T value) {
    next[count] = first[k], point[count] = int32_t(n), term[count] = value;
    first[k] = count++;
  }
  template <class Body>
  void for_each_of(int64_t k, const Body& body) const {
    for (int32_t i = first[k]; i >= 0; i = next[i]) body(point[i], term[i]);
  }
};

// Room for those of every worker.
template <class T>
class LinkedRoom {
 public:
  LinkedRoom(const Runtime& runtime, int64_t workers, int64_t components, int64_t points)
      : components_(components), terms_(kListed * points) {
    links_ = allocate<int32_t>(runtime, workers * (components + 2 * terms_));
    numbers_ = allocate<T>(runtime, workers * terms_);
  }
  LinkedTerms<T> of_worker(int64_t worker) const {
    int32_t* const first = links_ + worker * (components_ + 2 * terms_);
    return {first, first + components_, first + components_ + terms_, numbers_ + worker * terms_};
  }

 private:
  int64_t components_, terms_;
  int32_t* links_;
  T* numbers_;
};

// Not where there are no lists, or half of the points and more have none.
template <class V>
class RecalledSlab {
  using T = ScalarOf<V>;

 public:
  // What it takes of a worker's scratch memory, beside what others do: a slab for the points
  // without a list, and a strip for their scores.
  static constexpr int kSlabs = 1, kStrips = 1;

  RecalledSlab(const Recalled<V>& recalled, const Block& block, const Slab<V>& slab,
               const T* log_prob, const SlabWeights<V>& weights, T negligible,
               LinkedTerms<T>& linked, T* packed, T* scores, T* room)
      : recalled_(recalled),
        entry_(block.entry),
        points_(slab.points()),
        log_prob_(log_prob),
        weights_(weights),
        negligible_(negligible),
        linked_(linked),
        scores_(scores) {
    usable_ = recalled.has_lists();
    if (!usable_) return;
    linked.clear(recalled.components());
    for (int64_t n = 0; n < points_; n += kLanesOf<V>) {
      uint32_t lanes = 0;
      for (int64_t lane = 0; lane < kLanesOf<V>; ++lane)
        if (n + lane < block.count && weights.value[n + lane] != 0)
          lanes |= uint32_t(!take(n + lane, block)) << lane;
      without_.put(n, lanes);
    }
    usable_ = 2 * without_.count < block.count;
    if (!usable_ || without_.count == 0) return;
    others_ = packed_slab(slab, without_, packed);
    pack_rows(slab, slab.x, without_, others_, packed, room);
  }

  // Makes the terms of component k; whether it could, from the lists.
  bool fill(const FullComponents<V>& components, int64_t k, T* gap, SlabTerms<V>& terms) const {
    if (!usable_ || recalled_.is_open(entry_, k)) return false;
    terms.clear(points_);
    linked_.for_each_of(k, [&](int64_t n, T term) { terms.set(n, term); });
    if (without_.count == 0) return true;
    score_component<V>(components, k, others_, gap, nullptr, scores_);
    without_.for_each_vector(points_, [&](int64_t n, uint32_t lanes, int64_t before) {
      const V difference = load_lanes<V>(scores_ + before, lanes) - load<V>(log_prob_ + n);
      const uint32_t kept = lanes & lanes_where<V>(~(difference < negligible_));
      if (!kept) return;
      const V term = load<V>(weights_.value + n) * exp_of_gap(difference);
      for_each_bit(kept, [&](int lane) { terms.set(n + lane, term[lane]); });
    });
    return true;
  }

 private:
  // Whether point n has a list.
  bool take(int64_t n, const Block& block) {
    const PointList<T> list = recalled_.list(block.entry, block.first + n);
    list.template for_each_term<V>(log_prob_[n], weights_.value[n], negligible_,
                                   [&](int64_t k, T term) { linked_.add(k, n, term); });
    return list.count != kNoList;
  }

  const Recalled<V>& recalled_;
  const int64_t entry_, points_;
  const T* const log_prob_;
  const SlabWeights<V>& weights_;
  const T negligible_;
  LinkedTerms<T>& linked_;
  T* const scores_;
  bool usable_;
  Selection<V> without_;
  Slab<V> others_;
};

}  // namespace
}  // namespace pyvae
