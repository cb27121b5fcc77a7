// SPDX-License-Identifier: MIT
// Points of execution on stacks of their own, and what the sanitizers must be told of them.
#pragma once

#include <cstddef>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace pyvae::emulation {

#if defined(__SANITIZE_ADDRESS__) || defined(PYVAE_THREAD_SANITIZER)
constexpr size_t kStackBytes = 256 << 10;
#else
constexpr size_t kStackBytes = 64 << 10;
#endif

// A point of execution on a stack of its own, of kStackBytes, or on the caller's.
class Context {
 public:
  Context();
  Context(char* stack, void (*entry)());
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void switch_to(Context& other);
  // To be called first on a stack that has just been entered. Tells the other's stack.
  void arrived_from(Context& other);

 private:
  const void* stack_ = nullptr;
  size_t stack_bytes_ = 0;
#if defined(__SANITIZE_ADDRESS__)
  void* fake_stack_ = nullptr;
#endif
#if defined(PYVAE_THREAD_SANITIZER)
  void* tsan_ = nullptr;
  bool owns_ = false;
#endif
#if defined(__x86_64__)
  void* saved_ = nullptr;
#else
  ucontext_t saved_;
#endif
};

// To be called before a stack is freed that was left before its functions returned.
void abandon(char* stack);

// What was done before release(of) comes before what is done after acquire(of), of any fiber.
void release(void* of);
void acquire(void* of);

}  // namespace pyvae::emulation
