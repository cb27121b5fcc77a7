// SPDX-License-Identifier: MIT
// Kernels with a bug each, which prove that the examination would see one.
#pragma once

#include "subject.h"

namespace pyvae::native {

// "overrun", "overflow", "race", "unwritten", "disagreement" (of the baseline with the other
// instruction sets) or, without a bug, "nothing". Throws std::runtime_error for any other name.
Subject planted(const std::string& bug, size_t variants);

}  // namespace pyvae::native
