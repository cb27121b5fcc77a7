// SPDX-License-Identifier: MIT
// An op under examination, and one setting of its sizes.
#pragma once

#include <string>
#include <vector>

#include "array.h"
#include "bind/ops.h"
#include "cpu/table.h"

namespace pyvae::native {

struct Subject {
  std::string name;
  Op op;
  bool backward_uses_results;
  std::string letters;              // of which a call's work is a product, as "nkd"
  std::vector<KernelPair> kernels;  // one an instruction set, the baseline first
};

// Every op of the table.
std::vector<Subject> subjects(const std::vector<const Variant*>& variants);

struct Setting {
  int64_t n, k, d;
  Shape batch;
  bool is_double = false;
  bool narrow = false;  // dimensions that may be 1 are 1

  Kind kind() const { return is_double ? Kind::kDouble : Kind::kFloat; }
  Shape shape_of(const Core& core) const;
  std::string text() const;
};

// Whether dimension `dim` of a core may have size 1 instead.
bool may_be_one(const Core& core, size_t dim);
bool may_be_narrow(const Subject& subject);

// What the elements of a result are.
Kind kind_of_result(const Subject& subject, size_t result, const Setting& setting);

}  // namespace pyvae::native
