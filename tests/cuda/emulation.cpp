// SPDX-License-Identifier: MIT
#include "emulation.h"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
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

Index thread_index, block_index, block_size, grid_size;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(PYVAE_THREAD_SANITIZER)
constexpr size_t kStackBytes = 256 << 10;
#else
constexpr size_t kStackBytes = 64 << 10;
#endif
constexpr int kWarp = 32;
constexpr uint32_t kUnwritten = 0x7fffabcd;  // a NaN as a float and, twice, as a double

// A point of execution on a stack of its own, or on the caller's.
class Context {
 public:
  Context() {
#if defined(PYVAE_THREAD_SANITIZER)
    tsan_ = __tsan_get_current_fiber();
#endif
  }
  Context(char* stack, void (*entry)()) : stack_(stack), stack_bytes_(kStackBytes) {
#if defined(PYVAE_THREAD_SANITIZER)
    tsan_ = __tsan_create_fiber(0);
    owns_ = true;
#endif
#if defined(__x86_64__)
    void** top = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(stack) + kStackBytes) &
                                          ~uintptr_t(15));
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
  ~Context() {
#if defined(PYVAE_THREAD_SANITIZER)
    if (owns_) __tsan_destroy_fiber(tsan_);
#endif
  }

  void switch_to(Context& other) {
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

  // To be called first on a stack that has just been entered. Tells the other's stack.
  void arrived_from([[maybe_unused]] Context& other) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_stack_, &other.stack_, &other.stack_bytes_);
#endif
  }

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
#if defined(__SANITIZE_ADDRESS__)
    if (stack) __asan_unpoison_memory_region(stack.get(), kStackBytes);
#endif
  }
};

std::mutex one_launch;  // at a time: everything below is shared
std::deque<Fiber> fibers;
std::unique_ptr<Context> caller;
const std::function<void()>* body = nullptr;
std::exception_ptr failure;
std::unique_ptr<char[]> shared;
size_t shared_size = 0;
Order order = [] {
  const char* const name = std::getenv("PYVAE_EMULATION_ORDER");
  const std::string text = name ? name : "forward";
  return text == "reverse" ? Order::kReverse : text == "random" ? Order::kRandom : Order::kForward;
}();
std::mt19937 generator;

// Addresses that order threads. Of two by turns, as a thread may come to its next barrier before
// the others have left this one; a part of a warp has a third.
char launch_barrier, block_barrier[2], warp_barrier[1024 / kWarp][3];

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

Fiber& current() { return fibers[thread_index.x]; }

// Back to the scheduler, until it says that the thread may go on.
void wait() {
  Fiber& self = current();
  self.context->switch_to(*caller);
}

void fiber_main() {
  current().context->arrived_from(*caller);
  for (;;) {
    acquire(&launch_barrier);
    try {
      (*body)();
    } catch (...) {
      failure = std::current_exception();
    }
    release(&launch_barrier);
    current().state = State::kDone;
    wait();
  }
}

std::string name_of(int thread) {
  return "thread " + std::to_string(thread) + " of block " + std::to_string(block_index.x);
}
std::string text_of(const Place& place) {
  return std::string(place.file) + ":" + std::to_string(place.line);
}

class Block {
 public:
  explicit Block(int threads) : threads_(threads), turn_(size_t(threads)) {
    std::iota(turn_.begin(), turn_.end(), 0);
    if (order == Order::kReverse) std::reverse(turn_.begin(), turn_.end());
    for (int i = 0; i < threads; ++i) {
      Fiber& fiber = fibers[size_t(i)];
      fiber.state = State::kReady, fiber.block_barriers = fiber.warp_barriers = 0;
    }
  }

  void run() {
    int left = threads_;
    while (left > 0) {
      if (order == Order::kRandom) std::shuffle(turn_.begin(), turn_.end(), generator);
      bool progress = false;
      left = threads_;
      for (const int thread : turn_) {
        progress |= run_thread(thread);
        left -= fibers[size_t(thread)].state == State::kDone;
      }
      for (int first = 0; first < threads_; first += kWarp) progress |= release_warp(first);
      if (!progress && left > 0) release_block(left);
    }
  }

 private:
  Fiber& at(int thread) const { return fibers[size_t(thread)]; }

  bool run_thread(int thread) {
    if (at(thread).state != State::kReady) return false;
    thread_index.x = unsigned(thread);
    caller->switch_to(*at(thread).context);
    if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
    return true;
  }

  // Lets go the lanes of a warp that have all met in one operation.
  bool release_warp(int first) const {
    bool progress = false;
    for (int thread = first; thread < std::min(first + kWarp, threads_); ++thread)
      if (at(thread).state == State::kInWarp) progress |= release_lanes(first, thread);
    return progress;
  }

  bool release_lanes(int first, int thread) const {
    const Fiber& one = at(thread);
    if (!(one.mask >> (thread - first) & 1))
      throw std::runtime_error(name_of(thread) + " calls " + one.operation + " at " +
                               text_of(one.place) + " with a mask that does not name it");
    unsigned votes = 0;
    for (int lane = 0; lane < kWarp; ++lane) {
      if (!(one.mask >> lane & 1) || first + lane >= threads_) continue;
      const Fiber& other = at(first + lane);
      if (other.state == State::kDone)
        throw std::runtime_error(name_of(thread) + " calls " + one.operation + " at " +
                                 text_of(one.place) + " with lane " + std::to_string(lane) +
                                 ", which has left the kernel");
      if (other.state != State::kInWarp) return false;
      if (other.mask != one.mask || other.place.line != one.place.line ||
          std::strcmp(other.place.file, one.place.file) != 0)
        throw std::runtime_error(
            "the lanes of a warp meet in different operations: " + name_of(thread) + " at " +
            text_of(one.place) + ", " + name_of(first + lane) + " at " + text_of(other.place));
      votes |= unsigned(other.brought != 0) << lane;
    }
    for (int lane = 0; lane < kWarp && first + lane < threads_; ++lane) {
      if (!(one.mask >> lane & 1)) continue;
      Fiber& other = at(first + lane);
      if (!(one.mask >> other.source & 1) || first + other.source >= threads_)
        throw std::runtime_error(name_of(first + lane) + " reads lane " +
                                 std::to_string(other.source) + " at " + text_of(one.place) +
                                 ", which the mask does not name");
      other.given = at(first + other.source).brought;
      other.votes = votes;
    }
    const unsigned mask = one.mask;
    for (int lane = 0; lane < kWarp && first + lane < threads_; ++lane)
      if (mask >> lane & 1) at(first + lane).state = State::kReady;
    return true;
  }

  // All threads wait: for each other, or for one that never comes.
  void release_block(int left) const {
    int waiting = 0, one = -1;
    for (int thread = 0; thread < threads_; ++thread)
      if (at(thread).state == State::kAtBarrier) ++waiting, one = thread;
    for (int thread = 0; thread < threads_; ++thread)
      if (at(thread).state == State::kInWarp)
        throw std::runtime_error(name_of(thread) + " waits at " + text_of(at(thread).place) +
                                 " for lanes that do not come");
    for (int thread = 0; thread < threads_; ++thread) {
      const Fiber& other = at(thread);
      if (other.state == State::kDone)
        throw std::runtime_error(name_of(thread) + " has left the kernel before the barrier at " +
                                 text_of(at(one).place) + ", where " + std::to_string(left) +
                                 " threads wait");
      if (other.place.line != at(one).place.line)
        throw std::runtime_error(
            "the threads of a block wait at different barriers: " + name_of(one) + " at " +
            text_of(at(one).place) + ", " + name_of(thread) + " at " + text_of(other.place));
    }
    for (int thread = 0; thread < threads_; ++thread) at(thread).state = State::kReady;
  }

  int threads_;
  std::vector<int> turn_;
};

void provide_fibers(int threads) {
  if (!caller) caller = std::make_unique<Context>();
  if (int(fibers.size()) >= threads) return;
  const size_t before = fibers.size();
  fibers.resize(size_t(threads));
  for (size_t i = before; i < fibers.size(); ++i) {
    fibers[i].stack.reset(new char[kStackBytes]);
    fibers[i].context = std::make_unique<Context>(fibers[i].stack.get(), fiber_main);
  }
}

void provide_shared(size_t bytes) {
  shared.reset(new char[bytes]);
  shared_size = bytes;
  for (size_t at = 0; at + sizeof(kUnwritten) <= bytes; at += sizeof(kUnwritten))
    std::memcpy(shared.get() + at, &kUnwritten, sizeof(kUnwritten));
}

}  // namespace

void set_order(Order order_, unsigned seed) {
  order = order_;
  generator.seed(seed);
}

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

void* shared_memory(size_t bytes) {
  if (bytes > shared_size)
    throw std::runtime_error("the kernel uses " + std::to_string(bytes) +
                             " bytes of shared memory and was launched with " +
                             std::to_string(shared_size));
  return shared.get();
}

void run(int64_t blocks, int threads, size_t shared_bytes, const std::function<void()>& kernel) {
  const std::lock_guard<std::mutex> lock(one_launch);
  provide_fibers(threads);
  body = &kernel;
  block_size.x = unsigned(threads), grid_size.x = unsigned(blocks);
  try {
    for (int64_t block = 0; block < blocks; ++block) {
      provide_shared(shared_bytes);
      block_index.x = unsigned(block);
      release(&launch_barrier);
      Block(threads).run();
      acquire(&launch_barrier);
    }
  } catch (...) {
    fibers.clear();  // some still wait in the kernel
    throw;
  }
}

}  // namespace pyvae::emulation
