// SPDX-License-Identifier: MIT
#pragma once

namespace pyvae {
namespace {

// What an op gives beside log p(x): nothing, log p(z | x) of every component, or the most probable
// component.
enum class Beside { kNothing, kPosterior, kComponent };

// Operands: x, log_weights, means, covariances -> [what is beside it,] log_prob.
inline constexpr int log_prob_operand(Beside beside) { return beside == Beside::kNothing ? 4 : 5; }

}  // namespace
}  // namespace pyvae
