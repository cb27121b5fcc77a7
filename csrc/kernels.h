// SPDX-License-Identifier: MIT
// The kernels of one device, by their names in the op table. The build names the device in
// PYVAE_DEVICE: an instruction set, for which every file in rows/, tiles/ and full/ is compiled
// once, or cuda. A file defines the kernels of its ops in that namespace. They are hidden, also
// where nothing else is, so that the linker misses those that no file defines, and not the loader.
#pragma once

#include "kernel_table.h"

namespace pyvae::PYVAE_DEVICE {

#pragma GCC visibility push(hidden)
#define OP(name, ...) extern const KernelPair name;
#include "ops.inc"
#undef OP
#pragma GCC visibility pop

// In the order of the op table. Addresses, which the linker fills in: no code of an instruction set
// may run before it was chosen.
[[maybe_unused]] constexpr const KernelPair* kKernels[] = {
#define OP(name, ...) &name,
#include "ops.inc"
#undef OP
};

extern const KernelTable table;

}  // namespace pyvae::PYVAE_DEVICE
