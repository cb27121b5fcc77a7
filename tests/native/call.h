// SPDX-License-Identifier: MIT
// One call of an op, forward and backward, in guarded memory.
#pragma once

#include "inputs.h"

namespace pyvae::native {

// How an op is called, beside its sizes and values.
struct Manner {
  size_t variant = 0;
  int threads = 1;
  Layout layout = Layout::kContiguous;
  uint64_t needs = ~uint64_t(0);  // bit i: the gradient of argument i is wanted
  uint32_t scratch = kUnwritten;  // what fresh scratch memory holds

  std::string text() const;
};

struct Outcome {
  std::vector<std::vector<double>> results, integers;  // results of that kind
  std::vector<std::vector<double>> gradients;          // one that nobody wanted is empty
};

// Throws std::runtime_error where the kernel left an output unwritten, or wrote where it must not.
Outcome call(const Subject& subject, const Setting& setting, const Inputs& inputs,
             const Manner& manner);

}  // namespace pyvae::native
