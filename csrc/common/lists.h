// SPDX-License-Identifier: MIT
// Which components count for a point, and their scores: listed by the forward pass, which has all
// scores in its hands, so that the backward pass need not make them again.
//
// A list has room for kListed components, which are in their order. A point with more of them has
// none. While the scores go by, what is best may be far below what is to come: so a list that
// overflows goes on with its better half, or begins anew, and holds if at the end what it lost
// counts for nothing.
#pragma once

#include "common/column.h"
#include "common/log_sum_exp.h"

namespace pyvae {
namespace {

// The operands of the lists, (n, kListed) each; components are numbers of the arguments' type.
template <class T>
struct ListColumns {
  Column<T> score, component;

  ListColumns(const Problem& problem, int first, int64_t entry)
      : score(problem, first, entry), component(problem, first + 1, entry) {}
};

// The list of one point, read. One that no forward pass can have made is none.
template <class T>
struct PointList {
  int count = 0;  // or kNoList
  T component[kListed + 1], score[kListed];

  PointList(const ListColumns<T>& from, int64_t n, int64_t components) {
    component[kListed] = T(kEnd);
    if (from.component.at(n, 0) == T(kNoList)) {
      count = kNoList;
      return;
    }
    for (int i = 0; i < kListed; ++i)
      component[i] = from.component.at(n, i), score[i] = from.score.at(n, i);
    bool sound = true;
    T before = -1;
    for (; component[count] != T(kEnd) && sound; before = component[count++])
      sound = component[count] > before && component[count] < T(components);
    if (!sound) count = kNoList;
  }

  // Calls body(component, term) for the terms that are not negligible, in the components' order.
  template <class V, class Body>
  void for_each_term(T log_prob, T weight, T negligible, const Body& body) const {
    static_assert(kListed % kLanesOf<V> == 0);
    for (int i = 0; i < count; i += kLanesOf<V>) {
      const V gap = load<V>(score + i) - log_prob;
      const V term = weight * exp_of_gap(gap);
      for_each_bit(lanes_where<V>(~(gap < negligible)), [&](int lane) {
        if (i + lane < count) body(int64_t(component[i + lane]), term[lane]);
      });
    }
  }
};

// A point's list while its scores go by.
template <class V>
struct alignas(64) GrowingList {
  using T = ScalarOf<V>;
  // Vectors of scores that are looked at together.
  static constexpr int kMostVectors = 8;
  // A sum of numbers of some size is off by less than this share of it.
  static constexpr T kRounding = sizeof(T) == sizeof(float) ? 0x1p-20f : 0x1p-49;

  T score[kListed + kLanesOf<V>], component[kListed + kLanesOf<V>];
  int count;  // kNoList: until a score is far above `lost`
  T lost;     // no score that was lost is above it

  // Whether there is a list, or one begins; else the scores that go by are lost.
  bool open(T top, T negligible) {
    if (count == kNoList && lost - top < negligible) count = 0;
    if (count == kNoList) lost = larger(lost, top);
    return count != kNoList;
  }

  // Takes what counts of the scores of components from k on, whole vectors of them, where `top` is
  // the largest score yet.
  void follow(T top, T negligible, const T* row, int64_t columns, int64_t k) {
    const V shift = splat<V>(finite_or_zero(top));
    uint32_t lanes[kMostVectors];
    const auto fits = [&](T level) {
      int found = 0;
      for (int64_t c = 0; c < columns; c += kLanesOf<V>) {
        lanes[c / kLanesOf<V>] = above(load<V>(row + c), shift, level);
        found += __builtin_popcount(lanes[c / kLanesOf<V>]);
      }
      if (count + found > kListed) keep(top, level);
      return count + found <= kListed;
    };
    if (!fits(negligible)) {
      const T better = negligible / 2;
      if (!fits(better)) {
        count = kNoList, lost = top;
        return;
      }
      lost = larger(lost, top + better + kRounding * size_of(top));
    }
    for (int64_t c = 0; c < columns; c += kLanesOf<V>) {
      const uint32_t bits = lanes[c / kLanesOf<V>];
      if (!bits) continue;
      store_lanes<V>(score + count, load<V>(row + c), bits);
      store_lanes<V>(component + count, lane_numbers<V>() + T(k + c), bits);
      count += __builtin_popcount(bits);
    }
  }

  // Drops what is below a level; what stands behind the last is written over.
  void keep(T total, T level) {
    const V shift = splat<V>(finite_or_zero(total));
    int kept = 0;
    for (int i = 0; i < count; i += kLanesOf<V>) {
      const V here = load<V>(score + i), numbers = load<V>(component + i);
      uint32_t bits = above(here, shift, level);
      if (count - i < kLanesOf<V>) bits &= (1u << (count - i)) - 1;
      store_lanes<V>(score + kept, here, bits);
      store_lanes<V>(component + kept, numbers, bits);
      kept += __builtin_popcount(bits);
    }
    if (count != kNoList) count = kept;
  }

  // Ends it, and writes it to row `row`.
  void finish(T log_prob, T negligible, const ListColumns<T>& to, int64_t row) {
    keep(log_prob, negligible);
    const bool complete = lost - finite_or_zero(log_prob) < negligible && log_prob == log_prob;
    if (!complete) count = kNoList;
    for (int i = 0; i < kListed; i += kLanesOf<V>) {
      const auto past = lane_numbers<V>() + T(i) >= T(larger(count, 0));
      const V rest = T(complete ? kEnd : kNoList) - V{}, none = -kInfinity<T> - V{};
      to.score.write_vector(row, i, past ? none : load<V>(score + i));
      to.component.write_vector(row, i, past ? rest : load<V>(component + i));
    }
  }

 private:
  // A score is compared as the backward pass will compare it, with a total not below the largest.
  static uint32_t above(V score, V shift, T level) {
    return lanes_where<V>(~(score - shift < level));
  }
};

// The lists of a block of points.
template <class V>
class Lists {
  using T = ScalarOf<V>;
  // Numbers of the arguments' type have to tell all components from each other.
  static constexpr int64_t kMostComponents = int64_t(1) << (sizeof(T) == sizeof(float) ? 24 : 53);
  static constexpr int kRest = 15;

 public:
  // What is below the logarithm `negligible` of a point's total is left out. `lists` is room for
  // those of the points; none is begun where `resting` is above zero.
  Lists(T negligible, int64_t components, int64_t points, GrowingList<V>* lists, int& resting)
      : negligible_(negligible), points_(points), lists_(lists), resting_(resting) {
    const bool any = components < kMostComponents && resting <= 0;
    for (int64_t n = 0; n < points; ++n) {
      lists_[n].count = any ? 0 : kNoList;
      lists_[n].lost = any ? -kInfinity<T> : kInfinity<T>;
    }
  }

  // `total` has just taken the scores of `columns` components from k on, whole vectors, with a row
  // a point.
  void follow_rows(const LogSumExp<V>& total, const T* scores, int64_t stride, int64_t columns,
                   int64_t k) const {
    for (int64_t n = 0; n < points_; ++n)
      if (lists_[n].open(total.top[n], negligible_))
        lists_[n].follow(total.top[n], negligible_, scores + n * stride, columns, k);
  }

  // The same with a row a component, kRows of them at most.
  template <int64_t kRows>
  void follow_columns(const LogSumExp<V>& total, const T* scores, int64_t stride, int64_t rows,
                      int64_t k) const {
    for (int64_t n = 0; n < points_; ++n) {
      if (!lists_[n].open(total.top[n], negligible_)) continue;
      T row[kRows];
      for (int64_t r = 0; r < kRows; ++r)
        row[r] = r < rows ? scores[r * stride + n] : -kInfinity<T>;
      lists_[n].follow(total.top[n], negligible_, row, kRows, k);
    }
  }

  // Writes them, from row `row` on. Where most points had none the next blocks rest.
  void finish(const T* log_prob, const ListColumns<T>& to, int64_t row) const {
    int64_t none = 0;
    for (int64_t n = 0; n < points_; ++n) {
      lists_[n].finish(log_prob[n], negligible_, to, row + n);
      none += lists_[n].count == kNoList;
    }
    if (resting_ > 0)
      --resting_;
    else if (2 * none > points_)
      resting_ = kRest;
  }

 private:
  const T negligible_;
  const int64_t points_;
  GrowingList<V>* const lists_;
  int& resting_;
};

}  // namespace
}  // namespace pyvae
