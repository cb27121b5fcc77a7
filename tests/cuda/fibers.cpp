// SPDX-License-Identifier: MIT
#include "fibers.h"

#include <deque>
#include <exception>
#include <utility>

namespace pyvae::emulation {

char launch_barrier;

namespace {

std::deque<Fiber> fibers;
std::unique_ptr<Context> caller;
const std::function<void()>* body = nullptr;
std::exception_ptr failure;

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

}  // namespace

void provide_fibers(int threads, const std::function<void()>& kernel) {
  body = &kernel;
  if (!caller) caller = std::make_unique<Context>();
  if (int(fibers.size()) >= threads) return;
  const size_t before = fibers.size();
  fibers.resize(size_t(threads));
  for (size_t i = before; i < fibers.size(); ++i) {
    fibers[i].stack.reset(new char[kStackBytes]);
    fibers[i].context = std::make_unique<Context>(fibers[i].stack.get(), fiber_main);
  }
}

void forget_fibers() { fibers.clear(); }

Fiber& fiber(int thread) { return fibers[size_t(thread)]; }
Fiber& current() { return fibers[thread_index.x]; }

void run_fiber(int thread) {
  thread_index.x = unsigned(thread);
  caller->switch_to(*fiber(thread).context);
  if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
}

void wait() { current().context->switch_to(*caller); }

}  // namespace pyvae::emulation
