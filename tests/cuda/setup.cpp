// SPDX-License-Identifier: MIT
// The CUDA kernels on the emulated device, beside the baseline of the CPU.
#include "setup.h"

#include <cstdlib>
#include <cstring>

#include "cuda/table.h"
#include "cuda/tuning.h"
#include "emulation.h"

namespace pyvae::native {

std::vector<const Variant*> tested_variants() {
  static const Variant emulated = {"emulated-cuda", &cuda::table, [] { return true; }};
  int count = 0;
  return {variants(&count), &emulated};
}

// ThreadSanitizer is slow: a few sizes of each kernel are its share.
Extent extent() {
#if defined(__SANITIZE_THREAD__)
  return Extent::kFew;
#else
  return Extent::kSome;
#endif
}

// Threads forward and in reverse by turns; and half of the sizes by the kernels for large problems,
// by survivors or not, and screened or not.
void prepare(int64_t calls, const Setting& setting) {
  emulation::set_order(calls % 2 ? emulation::Order::kReverse : emulation::Order::kForward);
  const int64_t sum = setting.n + setting.k + setting.d;
  CudaTuning tuning;
  if (sum % 2) {
    tuning.wide_tile_work = tuning.one_part_points = tuning.chunk_bytes = tuning.row_threads = 0;
    tuning.sparse_share = sum / 2 % 2 ? 1024 : -1024;
    tuning.screened_work = tuning.screened_row = 0;
    tuning.screened_share = sum / 4 % 2 ? 1024 : -1;
    tuning.sum_blocks = 3;
  }
  pyvae_cuda_tuning = tuning;
}

}  // namespace pyvae::native
