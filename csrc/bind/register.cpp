// SPDX-License-Identifier: MIT
// The ops' schemas, and their kernels on the CPU.
#include "bind/register.h"

#include "cpu/table.h"

namespace pyvae {
namespace {

class Cpu : public Host {
 public:
  using Host::Host;
  static const KernelTable& table() { return *chosen().table; }
};

}  // namespace
}  // namespace pyvae

STABLE_TORCH_LIBRARY(pyvae, library) { pyvae::define_ops(library); }

STABLE_TORCH_LIBRARY_IMPL(pyvae, CPU, library) { pyvae::implement_ops<pyvae::Cpu>(library); }
