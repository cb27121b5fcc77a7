// SPDX-License-Identifier: MIT
// Which instruction sets there are kernels for, and which set runs.
#pragma once

#include "kernel_table.h"

namespace pyvae {

struct Variant {
  const char* name;
  const KernelTable* table;
  bool (*supported)();
};

// Compiled variants, lowest first; the first is the baseline, which runs everywhere.
const Variant* variants(int* count);

// The variant in use: the highest that the processor supports, or a lower one that PYVAE_CPU_ISA
// names. Throws std::runtime_error where that names none, or one that the processor lacks.
const Variant& chosen();
void choose(const char* name);

}  // namespace pyvae
