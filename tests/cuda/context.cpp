// SPDX-License-Identifier: MIT
#include "context.h"

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(PYVAE_THREAD_SANITIZER)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__)
// Saves the registers that a callee must keep, and goes on where `to` was saved.
asm(R"(
.text
.local pyvae_emulation_switch
pyvae_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
extern "C" void pyvae_emulation_switch(void** from, void* to);
#endif

namespace pyvae::emulation {

Context::Context() {
#if defined(PYVAE_THREAD_SANITIZER)
  tsan_ = __tsan_get_current_fiber();
#endif
}

Context::Context(char* stack, void (*entry)()) : stack_(stack), stack_bytes_(kStackBytes) {
#if defined(PYVAE_THREAD_SANITIZER)
  tsan_ = __tsan_create_fiber(0);
  owns_ = true;
#endif
#if defined(__x86_64__)
  void** top =
      reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(stack) + kStackBytes) & ~uintptr_t(15));
  *--top = nullptr;  // where entry would return to
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  saved_ = top;
#else
  getcontext(&saved_);
  saved_.uc_stack.ss_sp = stack, saved_.uc_stack.ss_size = kStackBytes;
  saved_.uc_link = nullptr;
  makecontext(&saved_, entry, 0);
#endif
}

Context::~Context() {
#if defined(PYVAE_THREAD_SANITIZER)
  if (owns_) __tsan_destroy_fiber(tsan_);
#endif
}

void Context::switch_to(Context& other) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&fake_stack_, other.stack_, other.stack_bytes_);
#endif
#if defined(PYVAE_THREAD_SANITIZER)
  __tsan_switch_to_fiber(other.tsan_, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__x86_64__)
  pyvae_emulation_switch(&saved_, other.saved_);
#else
  swapcontext(&saved_, &other.saved_);
#endif
  arrived_from(other);
}

void Context::arrived_from([[maybe_unused]] Context& other) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack_, &other.stack_, &other.stack_bytes_);
#endif
}

void abandon([[maybe_unused]] char* stack) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(stack, kStackBytes);
#endif
}

void release([[maybe_unused]] void* of) {
#if defined(PYVAE_THREAD_SANITIZER)
  __tsan_release(of);
#endif
}

void acquire([[maybe_unused]] void* of) {
#if defined(PYVAE_THREAD_SANITIZER)
  __tsan_acquire(of);
#endif
}

}  // namespace pyvae::emulation
