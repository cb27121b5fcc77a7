// SPDX-License-Identifier: MIT
// From tensors to a kernel's problem: checks, sizes, strides, merged batch dimensions.
#pragma once

#include <torch/csrc/stable/tensor.h>

#include "bind/ops.h"
#include "problem.h"

namespace pyvae {

using torch::stable::Tensor;

// A tensor beside the name and core dimensions it must have.
struct Bound {
  const std::string* name;
  const Core* core;
  Tensor tensor;
  bool wanted = true;  // false: a gradient that nobody asked for; the tensor is a stand-in
};

// Where the tensors of a call must be: on a device of this type, all on the same one where there
// can be several. `text` ends the sentence "x must be ...".
struct Place {
  bool (Tensor::*is_there)() const;
  bool several;
  const char* text;
};

// Reads letters and batch from the first `known` tensors, which must agree. Raises
// std::runtime_error that names the op, the argument, what was expected and what came.
class Shapes {
 public:
  Shapes(const std::string& op, const std::vector<Bound>& known, const Place& place);

  // The shape of a tensor with this core; a dimension that may be 1 is as the arguments had it.
  std::vector<int64_t> of(const Core& core) const;
  Problem problem(const std::vector<Bound>& operands) const;
  bool is_double() const { return double_; }

 private:
  void read(const Bound& bound);
  bool in_place(const Tensor& tensor) const;

  const std::string& op_;  // which outlives it
  Place place_;
  int32_t device_index_ = -1;  // of the first tensor, where there can be several
  std::vector<int64_t> batch_;
  int64_t size_[26], relaxed_[26];  // by letter, -1: not seen; relaxed: where it may be 1
  bool double_ = false;
};

}  // namespace pyvae
