// SPDX-License-Identifier: MIT
#include "subject.h"

#include <algorithm>
#include <stdexcept>

namespace pyvae::native {

namespace {

// Every letter as often as it stands in one of the arguments.
std::string letters_of(const Op& op) {
  std::string letters;
  for (const Core& core : op.argument_cores)
    for (const char letter : core.letters) {
      const auto here = std::count(core.letters.begin(), core.letters.end(), letter);
      while (std::count(letters.begin(), letters.end(), letter) < here) letters += letter;
    }
  return letters;
}

}  // namespace

std::vector<Subject> subjects(const std::vector<const Variant*>& variants) {
  std::vector<Subject> all;
  for (int i = 0; i < kOpCount; ++i) {
    const OpLine& line = kOps[i];
    const Op& op = parsed(i);
    Subject subject{line.name, op, line.backward_uses_results(), letters_of(op), {}};
    for (const Variant* variant : variants) subject.kernels.push_back(*variant->table->ops[i]);
    all.push_back(subject);
  }
  return all;
}

bool may_be_one(const Core& core, size_t dim) { return core.may_be_one(core.letters[dim]); }

bool may_be_narrow(const Subject& subject) {
  for (const Core& core : subject.op.argument_cores)
    for (size_t dim = 0; dim < core.letters.size(); ++dim)
      if (may_be_one(core, dim)) return true;
  return false;
}

Kind kind_of_result(const Subject& subject, size_t result, const Setting& setting) {
  const Dtype dtype = subject.op.result_dtypes[result];
  if (dtype == Dtype::kInt64) return Kind::kInt64;
  return dtype == Dtype::kFloat64 ? Kind::kDouble : setting.kind();
}

Shape Setting::shape_of(const Core& core) const {
  Shape shape = batch;
  for (size_t dim = 0; dim < core.letters.size(); ++dim) {
    const char letter = core.letters[dim];
    if (letter == 'l') {
      shape.push_back(kListed);
      continue;
    }
    if (letter != 'n' && letter != 'k' && letter != 'd')
      throw std::runtime_error(std::string("no size for the letter ") + letter +
                               ": give Setting one, in tests/native/subject.h");
    const int64_t size = letter == 'n' ? n : letter == 'k' ? k : d;
    shape.push_back(narrow && may_be_one(core, dim) ? 1 : size);
  }
  return shape;
}

std::string Setting::text() const {
  std::string text = std::string(is_double ? "double" : "float") + " n=" + std::to_string(n) +
                     " k=" + std::to_string(k) + " d=" + std::to_string(d) + " batch=(";
  for (const int64_t size : batch) text += std::to_string(size) + ",";
  return text + (narrow ? ") narrow" : ")");
}

}  // namespace pyvae::native
