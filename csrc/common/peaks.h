// SPDX-License-Identifier: MIT
#pragma once

#include "common/negligible.h"
#include "common/schedule.h"

namespace pyvae {
namespace {

// The logarithm of what every component's sum is at least, of each task: its largest term yet, or
// the sum itself as far as it is known.
template <class T>
class Peaks {
 public:
  Peaks(const Runtime& runtime, const Schedule& schedule, int64_t components)
      : each_(components), memory_(allocate<T>(runtime, schedule.tasks * components)) {
    for (int64_t i = 0; i < schedule.tasks * each_; ++i) memory_[i] = -kLargestFinite<T>;
  }
  T* of_task(int64_t task) const { return memory_ + task * each_; }

 private:
  int64_t each_;
  T* memory_;
};

}  // namespace
}  // namespace pyvae
