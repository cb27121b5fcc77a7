// SPDX-License-Identifier: MIT
#pragma once

namespace pyvae {
namespace {

// What an op gives beside log p(x): nothing, log p(z | x) of every component, the most probable
// component, or lists of the components that count.
enum class Beside { kNothing, kPosterior, kComponent, kLists };

// Operands: x, log_weights, means, covariances -> [posterior | component,] log_prob[, lists].
inline constexpr int log_prob_operand(Beside beside) {
  return beside == Beside::kPosterior || beside == Beside::kComponent ? 5 : 4;
}

}  // namespace
}  // namespace pyvae
