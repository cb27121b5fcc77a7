// SPDX-License-Identifier: MIT
// Arguments by their names: ordinary values, and the values that break naive formulas.
#pragma once

#include <functional>

#include "subject.h"

namespace pyvae::native {

// The values of one argument or upstream gradient.
struct Input {
  std::string name;
  std::string letters;  // of its core
  Shape shape;
  std::vector<double> data;  // row-major
  int repeated = -1;         // a dimension along which all slices are the same
};

struct Inputs {
  std::vector<Input> arguments, upstream;
};

Inputs draw(const Subject& subject, const Setting& setting, uint64_t seed);

// Makes every input the same along one of its dimensions, another for each.
void repeat(Inputs& inputs, size_t shift);

struct Hard {
  std::string name;
  std::function<bool(Inputs&)> apply;  // false: the op has no argument to apply it to
};
std::vector<Hard> hard_values();

}  // namespace pyvae::native
