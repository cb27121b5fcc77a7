// SPDX-License-Identifier: MIT
// The kernels for NVIDIA's GPUs.
#pragma once

#include "kernel_table.h"

namespace pyvae::cuda {

extern const KernelTable table;

}  // namespace pyvae::cuda
