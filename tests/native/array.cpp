// SPDX-License-Identifier: MIT
#include "array.h"

#include <algorithm>
#include <cstring>

namespace pyvae::native {

Array::Array(const Shape& shape, Kind kind, Layout layout, int repeated)
    : shape_(shape), stride_(shape.size()), kind_(kind), width_(kind == Kind::kFloat ? 1 : 2) {
  lay_out(layout, repeated);
  const int64_t words = elements_ * width_ + 2 * kGuard;
  words_.reset(new uint32_t[size_t(words)]);
  std::fill_n(words_.get(), words, kUnwritten);
}

void Array::lay_out(Layout layout, int repeated) {
  const int rank = int(shape_.size());
  if (layout == Layout::kTransposed && rank < 2) layout = Layout::kStrided;
  std::vector<int> order(shape_.size());  // dimensions, the fastest last
  for (int dim = 0; dim < rank; ++dim) order[size_t(dim)] = dim;
  if (layout == Layout::kTransposed) std::swap(order[size_t(rank) - 2], order[size_t(rank) - 1]);
  elements_ = 1;
  for (int i = rank - 1; i >= 0; --i) {
    const size_t dim = size_t(order[size_t(i)]);
    if (layout == Layout::kRepeated && order[size_t(i)] == repeated) continue;
    const bool gaps = layout == Layout::kStrided;
    const int64_t step = gaps && i == rank - 1 ? 2 : 1;
    stride_[dim] = step * elements_;
    if (gaps) first_ += elements_;
    elements_ *= step * std::max<int64_t>(shape_[dim], 1) + (gaps ? 1 : 0);
  }
  if (count_of(shape_) == 0) elements_ = 0;
  if (layout == Layout::kUnaligned) first_ = 1, elements_ += 1;
}

template <class Body>
void Array::for_each_element(const Body& body) const {
  const int64_t count = count_of(shape_);
  Shape index(shape_.size());
  int64_t at = first_;
  for (int64_t i = 0; i < count; ++i) {
    body(i, at);
    for (size_t dim = shape_.size(); dim-- > 0;) {
      at += stride_[dim];
      if (++index[dim] < shape_[dim]) break;
      at -= stride_[dim] * shape_[dim];
      index[dim] = 0;
    }
  }
}

void Array::fill(const std::vector<double>& values) {
  for_each_element([&](int64_t i, int64_t at) {
    const double wide = values[size_t(i)];
    const float narrow = float(wide);
    if (kind_ == Kind::kFloat)
      std::memcpy(word(at), &narrow, sizeof(narrow));
    else
      std::memcpy(word(at), &wide, sizeof(wide));
  });
}

std::vector<double> Array::values() const {
  std::vector<double> found(size_t(count_of(shape_)));
  for_each_element([&](int64_t i, int64_t at) {
    const auto read = [&]<class T>(T value) {
      std::memcpy(&value, word(at), sizeof(T));
      return double(value);
    };
    found[size_t(i)] = kind_ == Kind::kFloat    ? read(float())
                       : kind_ == Kind::kDouble ? read(double())
                                                : read(int64_t());
  });
  return found;
}

Operand Array::operand(size_t batch_rank) const {
  Operand operand;
  operand.data = count_of(shape_) ? word(first_) : nullptr;  // as torch has it
  for (size_t dim = 0; dim < batch_rank; ++dim) operand.batch_stride[dim] = stride_[dim];
  for (size_t dim = batch_rank; dim < shape_.size(); ++dim) {
    operand.size[dim - batch_rank] = shape_[dim];
    operand.stride[dim - batch_rank] = stride_[dim];
  }
  return operand;
}

bool Array::has_unwritten() const {
  bool found = false;
  for_each_element([&](int64_t, int64_t at) {
    found |= word(at)[0] == kUnwritten && word(at)[width_ - 1] == kUnwritten;
  });
  return found;
}

bool Array::was_overrun() const {
  const int64_t words = elements_ * width_ + 2 * kGuard;
  std::vector<bool> owned(static_cast<size_t>(words), false);
  for_each_element([&](int64_t, int64_t at) {
    for (int64_t i = 0; i < width_; ++i) owned[size_t(kGuard + at * width_ + i)] = true;
  });
  for (int64_t i = 0; i < words; ++i)
    if (!owned[size_t(i)] && words_[size_t(i)] != kUnwritten) return true;
  return false;
}

}  // namespace pyvae::native
