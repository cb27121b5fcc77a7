// SPDX-License-Identifier: MIT
// The weighted log-likelihood of an EM step, summed in double in the order of the points.
#pragma once

#include "common/column.h"
#include "common/schedule.h"

namespace pyvae {
namespace {

class LogLikelihoods {
 public:
  LogLikelihoods(const Runtime& runtime, const Schedule& schedule)
      : parts_(schedule.parts), sums_(allocate<double>(runtime, schedule.tasks)) {
    for (int64_t task = 0; task < schedule.tasks; ++task) sums_[task] = 0;
  }

  // Adds a point; returns the weight of its responsibilities: none without a density.
  template <class T>
  T add(int64_t task, T sample_weight, T log_prob) const {
    if (sample_weight == 0) return 0;
    sums_[task] += double(sample_weight) * double(log_prob);
    return log_prob == -kInfinity<T> ? T(0) : sample_weight;
  }

  void write(const Problem& problem, int operand) const {
    for (int64_t entry = 0; entry < problem.batch; ++entry) {
      double total = 0;
      for (int64_t part = 0; part < parts_; ++part) total += sums_[entry * parts_ + part];
      *data_of<double>(problem, operand, entry) = total;
    }
  }

 private:
  int64_t parts_;
  double* sums_;
};

}  // namespace
}  // namespace pyvae
