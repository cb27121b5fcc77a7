// SPDX-License-Identifier: MIT
// The op table as schemas, shape checks and the Python registration read it.
#pragma once

#include <string>
#include <vector>

namespace pyvae {

// Whether an op has a backward op, and what that one is handed beside the gradients and the
// arguments.
enum class Backward { kNone, kFromArguments, kFromResults };

// A line of the op table.
struct OpLine {
  const char* name;
  const char* arguments;
  const char* results;
  const char* signature;
  Backward backward;

  bool has_backward() const { return backward != Backward::kNone; }
  bool backward_uses_results() const { return backward == Backward::kFromResults; }
};

inline constexpr OpLine kOps[] = {
#define OP(name, arguments, results, signature, backward) \
  {#name, arguments, results, signature, Backward::backward},
#include "ops.inc"
#undef OP
};
inline constexpr int kOpCount = sizeof(kOps) / sizeof(kOps[0]);

// The core dimensions of one tensor: their letters, and those among them that may be 1 instead.
struct Core {
  std::string letters, relaxed;

  bool may_be_one(char letter) const { return relaxed.find(letter) != std::string::npos; }
};

enum class Dtype { kOfArguments, kFloat64, kInt64 };

// A line of the op table, taken apart.
struct Op {
  std::string name, backward_name;
  std::vector<std::string> arguments, results;
  std::vector<Core> argument_cores, result_cores;
  std::vector<Dtype> result_dtypes;
  size_t returned;  // results of the public function; the others are kept for the backward pass
};
const Op& parsed(int index);

std::string schema(int index);
std::string backward_schema(int index);

}  // namespace pyvae
