// SPDX-License-Identifier: MIT
#include "runtime.h"

#include <cstring>
#include <thread>

namespace pyvae::native {
namespace {

int thread_count = 1;  // `Runtime::run` is handed no context

// Tasks are dealt out, not queued: a shared counter would order the tasks of different threads and
// hide races between them.
void run_on_threads(int64_t tasks, void (*task)(void*, int64_t), void* argument) {
  const auto work = [=](int64_t first) {
    for (int64_t i = first; i < tasks; i += thread_count) task(argument, i);
  };
  std::vector<std::thread> others;
  for (int i = 1; i < thread_count && i < tasks; ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& other : others) other.join();
}

}  // namespace

void* Memory::take(size_t bytes) {
  blocks_.emplace_back(::operator new(bytes, std::align_val_t(64)));
  char* const block = static_cast<char*>(blocks_.back().get());
  for (size_t at = 0; at + sizeof(fill_) <= bytes; at += sizeof(fill_))
    std::memcpy(block + at, &fill_, sizeof(fill_));
  return block;
}

Runtime runtime_on(Memory& memory, int threads) {
  thread_count = threads;
  Runtime runtime;
  runtime.threads = threads;
  runtime.context = &memory;
  runtime.run = run_on_threads;
  runtime.allocate = [](void* context, size_t bytes) {
    return static_cast<Memory*>(context)->take(bytes);
  };
  return runtime;
}

}  // namespace pyvae::native
