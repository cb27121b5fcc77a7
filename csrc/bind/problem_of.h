// SPDX-License-Identifier: MIT
// From tensors to a kernel's problem: checks, sizes, strides, merged batch dimensions.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include "bind/ops.h"

namespace pyvae {

using torch::stable::Tensor;

// A tensor beside the name and core dimensions it must have.
struct Bound {
  const std::string* name;
  const Core* core;
  Tensor tensor;
  bool wanted = true;  // false: a gradient that nobody asked for; the tensor is a stand-in
};

// Reads letters and batch from the first `known` tensors, which must agree. Raises
// std::runtime_error that names the op, the argument, what was expected and what came.
class Shapes {
 public:
  Shapes(const std::string& op, const std::vector<Bound>& known);

  // The shape of a tensor with this core; a dimension that may be 1 is as the arguments had it.
  std::vector<int64_t> of(const Core& core) const;
  Problem problem(const std::vector<Bound>& operands) const;
  bool is_double() const { return double_; }

 private:
  void read(const Bound& bound);

  std::string op_;
  std::vector<int64_t> batch_;
  int64_t size_[26], relaxed_[26];  // by letter, -1: not seen; relaxed: where it may be 1
  bool double_ = false;
};

}  // namespace pyvae
