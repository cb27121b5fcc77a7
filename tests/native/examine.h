// SPDX-License-Identifier: MIT
// The tables that an op is put through.
#pragma once

#include "subject.h"

namespace pyvae::native {

// How many calls were made. Throws std::runtime_error that names the op, the instruction set, the
// sizes and what went wrong.
int64_t examine(const Subject& subject, const std::vector<std::string>& variants);

}  // namespace pyvae::native
