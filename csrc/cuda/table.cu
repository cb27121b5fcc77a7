// SPDX-License-Identifier: MIT
#include "cuda/table.h"
#include "cuda/tuning.h"
#include "kernels.h"

pyvae::CudaTuning pyvae_cuda_tuning;

namespace pyvae {

const KernelTable PYVAE_DEVICE::table = {kKernels, {nullptr, nullptr}};

}  // namespace pyvae
