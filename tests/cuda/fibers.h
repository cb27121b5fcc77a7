// SPDX-License-Identifier: MIT
// The threads of a block as fibers, which run until they wait.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "context.h"
#include "emulation.h"

namespace pyvae::emulation {

constexpr int kWarp = 32;

enum class State { kReady, kAtBarrier, kInWarp, kDone };

struct Fiber {
  std::unique_ptr<char[]> stack;
  std::unique_ptr<Context> context;
  State state = State::kReady;
  Place place{};
  const char* operation = "";
  unsigned mask = 0;
  int source = 0;
  uint64_t brought = 0, given = 0;
  unsigned votes = 0;
  unsigned block_barriers = 0, warp_barriers = 0;  // passed so far

  ~Fiber() {
    if (stack) abandon(stack.get());
  }
};

// Has fibers for so many threads, which will run the kernel.
void provide_fibers(int threads, const std::function<void()>& kernel);
// To be called where some still wait in a kernel that has failed.
void forget_fibers();

Fiber& fiber(int thread);
Fiber& current();

// From the launch into a thread, until it waits or is done. Throws what its kernel throws.
void run_fiber(int thread);
// From a thread back to the launch, until that lets it go on.
void wait();

// An address that orders what comes before a block, its threads, and what comes after.
extern char launch_barrier;

}  // namespace pyvae::emulation
