// SPDX-License-Identifier: MIT
// The services that a kernel asks of its caller, on threads of the standard library:
// ThreadSanitizer understands these, and not the barriers of libgomp.
#pragma once

#include <memory>
#include <new>
#include <vector>

#include "problem.h"

namespace pyvae::native {

// Memory of one call, every word of it `fill`: a kernel that reads what it has not written gives
// other bits with another filling.
class Memory {
 public:
  explicit Memory(uint32_t fill) : fill_(fill) {}
  void* take(size_t bytes);

 private:
  struct Free {
    void operator()(void* block) const { ::operator delete(block, std::align_val_t(64)); }
  };
  std::vector<std::unique_ptr<void, Free>> blocks_;
  uint32_t fill_;
};

Runtime runtime_on(Memory& memory, int threads);

}  // namespace pyvae::native
