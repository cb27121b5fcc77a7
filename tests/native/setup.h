// SPDX-License-Identifier: MIT
// Which kernels a driver examines; every driver has one of its own.
#pragma once

#include <vector>

#include "subject.h"

namespace pyvae::native {

// The first is what the others are compared with.
std::vector<const Variant*> tested_variants();

// How much of the tables is gone through: of slow kernels a part.
enum class Extent { kAll, kSome, kFew };
Extent extent();

// Called before each call of a kernel, with the number of calls so far.
void prepare(int64_t calls, const Setting& setting);

}  // namespace pyvae::native
