// SPDX-License-Identifier: MIT
// The kernels for NVIDIA's GPUs.
#pragma once

#include "kernel_table.h"

namespace pyvae {

extern const KernelTable cuda_table;

}  // namespace pyvae
