// SPDX-License-Identifier: MIT
#include "bind/problem_of.h"

#include <torch/headeronly/util/Exception.h>

#include <algorithm>

namespace pyvae {
namespace {

using torch::headeronly::ScalarType;

std::string shape_text(const Tensor& tensor) {
  std::string text;
  for (int64_t i = 0; i < tensor.dim(); ++i)
    text += (i ? ", " : "") + std::to_string(tensor.size(i));
  return "(" + text + ")";
}

}  // namespace

Shapes::Shapes(const std::string& op, const std::vector<Bound>& known, const Place& place)
    : op_(op), place_(place) {
  std::fill(std::begin(size_), std::end(size_), int64_t(-1));
  std::fill(std::begin(relaxed_), std::end(relaxed_), int64_t(-1));
  size_['l' - 'a'] = kListed;
  const Tensor& first = known[0].tensor;
  if (place.several) device_index_ = first.get_device_index();
  double_ = first.scalar_type() == ScalarType::Double;
  STD_TORCH_CHECK(
      double_ || first.scalar_type() == ScalarType::Float, op_, ": ", *known[0].name,
      " must be float32 or float64 here; the functions of pyvae.ops convert the other types");
  const int64_t rank = first.dim() - int64_t(known[0].core->letters.size());
  for (int64_t i = 0; i < rank; ++i) batch_.push_back(first.size(i));
  for (const Bound& bound : known) read(bound);
}

bool Shapes::in_place(const Tensor& tensor) const {
  return (tensor.*place_.is_there)() &&
         (!place_.several || tensor.get_device_index() == device_index_);
}

void Shapes::read(const Bound& bound) {
  const Tensor& tensor = bound.tensor;
  const Core& core = *bound.core;
  const int64_t rank = int64_t(batch_.size()), core_rank = int64_t(core.letters.size());
  STD_TORCH_CHECK(in_place(tensor), op_, ": ", *bound.name, " must be ", place_.text);
  STD_TORCH_CHECK((tensor.scalar_type() == ScalarType::Double) == double_ &&
                      (double_ || tensor.scalar_type() == ScalarType::Float),
                  op_, ": ", *bound.name, " has another dtype than the arguments before it");
  bool same = tensor.dim() == rank + core_rank;
  for (int64_t i = 0; same && i < rank; ++i) same = tensor.size(i) == batch_[i];
  STD_TORCH_CHECK(
      same, op_, ": ", *bound.name, " has shape ", shape_text(tensor),
      ", whose batch dimensions are not those of the first argument; expand them first");
  for (int64_t i = 0; i < core_rank; ++i) {
    const char letter = core.letters[i];
    int64_t& known = size_[letter - 'a'];
    const int64_t size = tensor.size(rank + i);
    if (core.may_be_one(letter)) {
      relaxed_[letter - 'a'] = size;
      if (size == 1) continue;
    }
    if (known < 0) known = size;
    STD_TORCH_CHECK(known == size, op_, ": ", *bound.name, " has ", letter, "=", size,
                    ", expected ", known);
  }
}

std::vector<int64_t> Shapes::of(const Core& core) const {
  std::vector<int64_t> shape = batch_;
  for (const char letter : core.letters)
    shape.push_back((core.may_be_one(letter) ? relaxed_ : size_)[letter - 'a']);
  return shape;
}

Problem Shapes::problem(const std::vector<Bound>& operands) const {
  Problem problem;
  const auto size_of = [&](char letter) {
    return size_[letter - 'a'] < 0 ? int64_t(1) : size_[letter - 'a'];
  };
  problem.n = size_of('n'), problem.k = size_of('k'), problem.d = size_of('d');
  for (const int64_t size : batch_) problem.batch *= size;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!operands[i].wanted) continue;
    Operand& to = problem.operand[i];
    const Tensor& tensor = operands[i].tensor;
    to.data = tensor.data_ptr();
    const int64_t core_rank = int64_t(operands[i].core->letters.size()),
                  rank = tensor.dim() - core_rank;
    for (int64_t dim = 0; dim < core_rank; ++dim) {
      to.size[dim] = tensor.size(rank + dim);
      to.stride[dim] = tensor.stride(rank + dim);
    }
  }
  // Merge dimension by dimension: a new one starts only where some operand does not continue in
  // step.
  int rank = 0;
  for (size_t dim = 0; dim < batch_.size(); ++dim) {
    if (batch_[dim] == 1) continue;
    bool in_step = rank > 0;
    for (size_t i = 0; i < operands.size() && in_step; ++i)
      in_step = !operands[i].wanted || problem.operand[i].batch_stride[rank - 1] ==
                                           operands[i].tensor.stride(int64_t(dim)) * batch_[dim];
    if (!in_step) ++rank;
    STD_TORCH_CHECK(rank <= kMaxBatchRank, op_, ": more than ", kMaxBatchRank,
                    " batch dimensions that cannot be merged; make the arguments contiguous");
    problem.batch_size[rank - 1] =
        in_step ? problem.batch_size[rank - 1] * batch_[dim] : batch_[dim];
    for (size_t i = 0; i < operands.size(); ++i)
      if (operands[i].wanted)
        problem.operand[i].batch_stride[rank - 1] = operands[i].tensor.stride(int64_t(dim));
  }
  problem.batch_rank = rank;
  return problem;
}

}  // namespace pyvae
