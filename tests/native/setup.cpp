// SPDX-License-Identifier: MIT
// The kernels of every instruction set that this processor has.
#include "setup.h"

namespace pyvae::native {

std::vector<const Variant*> tested_variants() {
  int count = 0;
  const Variant* const all = variants(&count);
  std::vector<const Variant*> found;
  for (int i = 0; i < count; ++i)
    if (all[i].supported()) found.push_back(&all[i]);
  return found;
}

Extent extent() { return Extent::kAll; }

void prepare(int64_t, const Setting&) {}

}  // namespace pyvae::native
