// SPDX-License-Identifier: MIT
#include "emulation.h"

#include <memory>
#include <mutex>
#include <vector>

#include "fibers.h"
#include "scheduler.h"

namespace pyvae::emulation {

Index thread_index, block_index, block_size, grid_size;

namespace {

constexpr uint32_t kUnwritten = 0x7fffabcd;  // a NaN as a float and, twice, as a double

std::mutex one_launch;  // at a time: the fibers and everything below are shared
std::unique_ptr<char[]> shared;
size_t shared_size = 0;

// Addresses that order threads. Of two by turns, as a thread may come to its next barrier before
// the others have left this one; a part of a warp has a third.
char block_barrier[2], warp_barrier[1024 / kWarp][3];

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
};
std::vector<Copy> copies[1024];  // of each thread, on their way

void provide_shared(size_t bytes) {
  for (auto& of_thread : copies) of_thread.clear();
  shared.reset(new char[bytes]);
  shared_size = bytes;
  for (size_t at = 0; at + sizeof(kUnwritten) <= bytes; at += sizeof(kUnwritten))
    std::memcpy(shared.get() + at, &kUnwritten, sizeof(kUnwritten));
}

}  // namespace

int lane() { return int(thread_index.x) % kWarp; }

void wait_for_block(Place place) {
  Fiber& self = current();
  self.state = State::kAtBarrier, self.place = place;
  char* const of = &block_barrier[self.block_barriers++ % 2];
  release(of);
  wait();
  acquire(of);
}

uint64_t exchange(Place place, const char* operation, unsigned mask, int source, uint64_t value) {
  Fiber& self = current();
  self.state = State::kInWarp, self.place = place, self.operation = operation;
  self.mask = mask, self.source = source, self.brought = value;
  char* const of =
      &warp_barrier[thread_index.x / kWarp][mask == ~0u ? self.warp_barriers++ % 2 : 2];
  release(of);
  wait();
  acquire(of);
  return self.given;
}

unsigned ballot(Place place, unsigned mask, bool value) {
  exchange(place, "__ballot_sync", mask, lane(), value);
  return current().votes;
}

void copy_ahead(void* to, const void* from, size_t bytes) {
  copies[thread_index.x].push_back({to, from, bytes});
}

void wait_for_copies() {
  std::vector<Copy>& mine = copies[thread_index.x];
  for (const Copy& copy : mine) std::memcpy(copy.to, copy.from, copy.bytes);
  mine.clear();
}

void* shared_memory(size_t bytes) {
  if (bytes > shared_size)
    throw std::runtime_error("the kernel uses " + std::to_string(bytes) +
                             " bytes of shared memory and was launched with " +
                             std::to_string(shared_size));
  return shared.get();
}

void run(int64_t blocks, int threads, size_t shared_bytes, const std::function<void()>& kernel) {
  const std::lock_guard<std::mutex> lock(one_launch);
  provide_fibers(threads, kernel);
  block_size.x = unsigned(threads), grid_size.x = unsigned(blocks);
  try {
    for (int64_t block = 0; block < blocks; ++block) {
      provide_shared(shared_bytes);
      block_index.x = unsigned(block);
      release(&launch_barrier);
      run_block(threads);
      acquire(&launch_barrier);
    }
  } catch (...) {
    forget_fibers();
    throw;
  }
}

}  // namespace pyvae::emulation
