// SPDX-License-Identifier: MIT
// What the forward pass has listed, as the backward pass takes it: no score is made again of a
// point that has a list.
//
// A component that keeps next to nothing has terms to sum that are in no list. Which are such is
// known before the first block: the terms that are listed are summed by their size, component by
// component.
#pragma once

#include "common/lists.h"
#include "common/peaks.h"

namespace pyvae {
namespace {

// In the place of the lists' operand.
inline constexpr int kNoLists = -1;

template <class V>
class Recalled {
  using T = ScalarOf<V>;

 public:
  // Where log_prob and the lists are among the operands; without lists nothing is recalled.
  // `weigh(entry, n)` gives the weight of a point's terms, `negligible(entry)` the logarithm of
  // what counts for nothing in its sums, and `constant(entry)` the components' largest scores.
  template <class Weigh, class Negligible, class Constant>
  Recalled(const Problem& problem, const Runtime& runtime, const Schedule& schedule,
           int log_prob_at, int lists_at, const Weigh& weigh, const Negligible& negligible,
           const Constant& constant)
      : problem_(problem), parts_(schedule.parts), lists_at_(lists_at) {
    if (lists_at == kNoLists) return;
    double* const sums = allocate<double>(runtime, schedule.tasks * problem.k);
    T* const lowest = allocate<T>(runtime, schedule.tasks);
    T* const heaviest = allocate<T>(runtime, schedule.tasks);
    clear(sums, schedule.tasks * problem.k);
    for (int64_t task = 0; task < schedule.tasks; ++task)
      lowest[task] = kInfinity<T>, heaviest[task] = 0;
    for_each_block(problem, runtime, schedule, [&](const Block& block) {
      const Column<T> log_prob(problem, log_prob_at, block.entry);
      const T small = negligible(block.entry);
      double* const here = sums + block.task * problem.k;
      T low = kInfinity<T>, heavy = 0;
      for (int64_t n = block.first; n < block.first + block.count; ++n) {
        const T total = log_prob.at(n), weight = weigh(block.entry, n), size = size_of(weight);
        if (total == -kInfinity<T>) continue;
        low = smaller(low, total), heavy = larger(heavy, size == size ? size : kInfinity<T>);
        list(block.entry, n)
            .template for_each_term<V>(total, weight, small,
                                       [&](int64_t k, T term) { here[k] += size_of(term); });
      }
      lowest[block.task] = smaller(lowest[block.task], low);
      heaviest[block.task] = larger(heaviest[block.task], heavy);
    });
    add_parts(schedule, runtime, sums, problem.k);
    known_ = allocate<T>(runtime, problem.batch * problem.k);
    open_ = allocate<bool>(runtime, problem.batch * problem.k);
    for (int64_t entry = 0; entry < problem.batch; ++entry) {
      const int64_t first = entry * parts_;
      for (int64_t task = first + 1; task < first + parts_; ++task) {
        lowest[first] = smaller(lowest[first], lowest[task]);
        heaviest[first] = larger(heaviest[first], heaviest[task]);
      }
      settle(entry, sums + first * problem.k, constant(entry), lowest[first],
             negligible(entry) + log(heaviest[first]));
    }
    if (2 * most_open_ > problem.k) lists_at_ = kNoLists;  // it would save little
  }

  bool has_lists() const { return lists_at_ != kNoLists; }

  // What the components' sums are known to be at least.
  void raise(const Schedule& schedule, const Peaks<T>& peaks) const {
    if (!has_lists()) return;
    for (int64_t task = 0; task < schedule.tasks; ++task)
      for (int64_t k = 0; k < problem_.k; ++k)
        peaks.of_task(task)[k] = known_[task / parts_ * problem_.k + k];
  }

  int64_t components() const { return problem_.k; }
  PointList<T> list(int64_t entry, int64_t n) const {
    return PointList<T>(ListColumns<T>(problem_, lists_at_, entry), n, problem_.k);
  }
  // Whether a component may have terms to sum that are in no list; and of how many this is so in
  // any entry.
  bool is_open(int64_t entry, int64_t k) const { return open_[entry * problem_.k + k]; }
  int64_t most_open() const { return has_lists() ? most_open_ : 0; }

 private:
  void settle(int64_t entry, const double* sums, const T* constant, T lowest, T needed) {
    int64_t count = 0;
    for (int64_t k = 0; k < problem_.k; ++k) {
      const T sum = sums[k] == 0 ? -kLargestFinite<T> : T(log(sums[k]));
      const T beside = log_negligible_of_component(problem_.n, constant[k], lowest, sum);
      const bool open = constant[k] != -kInfinity<T> && !(sum + beside >= needed);
      known_[entry * problem_.k + k] = sum;
      open_[entry * problem_.k + k] = open;
      count += open;
    }
    most_open_ = larger(most_open_, count);
  }

  const Problem& problem_;
  const int64_t parts_;
  int lists_at_;
  int64_t most_open_ = 0;
  T* known_;
  bool* open_;
};

}  // namespace
}  // namespace pyvae
