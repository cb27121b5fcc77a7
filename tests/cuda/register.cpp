// SPDX-License-Identifier: MIT
// The ops as pyvae_emulated: the CUDA kernels on tensors of the CPU, which play the device's
// memory.
#include "bind/register.h"

#include "cuda/table.h"

namespace pyvae {
namespace {

class Emulated : public Host {
 public:
  using Host::Host;
  static const KernelTable& table() { return cuda::table; }
};

}  // namespace
}  // namespace pyvae

STABLE_TORCH_LIBRARY(pyvae_emulated, library) { pyvae::define_ops(library); }

STABLE_TORCH_LIBRARY_IMPL(pyvae_emulated, CPU, library) {
  pyvae::implement_ops<pyvae::Emulated>(library);
}
