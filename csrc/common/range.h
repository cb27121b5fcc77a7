// SPDX-License-Identifier: MIT
// Cutting work into equal parts.
#pragma once

#include <cstdint>

#include "math/host_device.h"

namespace pyvae {
namespace {

PYVAE_HD inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Share `part` of `parts` of [0, total): contiguous, in order, the same for the same number of
// parts.
struct Range {
  int64_t begin, end;
};
PYVAE_HD inline Range share(int64_t total, int64_t part, int64_t parts) {
  return {total * part / parts, total * (part + 1) / parts};
}

}  // namespace
}  // namespace pyvae
