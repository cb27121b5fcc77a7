// SPDX-License-Identifier: MIT
#include "scheduler.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "fibers.h"

namespace pyvae::emulation {
namespace {

Order order = [] {
  const char* const name = std::getenv("PYVAE_EMULATION_ORDER");
  const std::string text = name ? name : "forward";
  return text == "reverse" ? Order::kReverse : text == "random" ? Order::kRandom : Order::kForward;
}();
std::mt19937 generator;

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
      Fiber& one = fiber(i);
      one.state = State::kReady, one.block_barriers = one.warp_barriers = 0;
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
        left -= fiber(thread).state == State::kDone;
      }
      for (int first = 0; first < threads_; first += kWarp) progress |= release_warp(first);
      if (!progress && left > 0) release_block(left);
    }
  }

 private:
  bool run_thread(int thread) {
    if (fiber(thread).state != State::kReady) return false;
    run_fiber(thread);
    return true;
  }

  // Lets go the lanes of a warp that have all met in one operation.
  bool release_warp(int first) const {
    bool progress = false;
    for (int thread = first; thread < std::min(first + kWarp, threads_); ++thread)
      if (fiber(thread).state == State::kInWarp) progress |= release_lanes(first, thread);
    return progress;
  }

  bool release_lanes(int first, int thread) const {
    const Fiber& one = fiber(thread);
    if (!(one.mask >> (thread - first) & 1))
      throw std::runtime_error(name_of(thread) + " calls " + one.operation + " at " +
                               text_of(one.place) + " with a mask that does not name it");
    unsigned votes = 0;
    for (int lane = 0; lane < kWarp; ++lane) {
      if (!(one.mask >> lane & 1) || first + lane >= threads_) continue;
      const Fiber& other = fiber(first + lane);
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
      Fiber& other = fiber(first + lane);
      if (!(one.mask >> other.source & 1) || first + other.source >= threads_)
        throw std::runtime_error(name_of(first + lane) + " reads lane " +
                                 std::to_string(other.source) + " at " + text_of(one.place) +
                                 ", which the mask does not name");
      other.given = fiber(first + other.source).brought;
      other.votes = votes;
    }
    const unsigned mask = one.mask;
    for (int lane = 0; lane < kWarp && first + lane < threads_; ++lane)
      if (mask >> lane & 1) fiber(first + lane).state = State::kReady;
    return true;
  }

  // All threads wait: for each other, or for one that never comes.
  void release_block(int left) const {
    int waiting = 0, one = -1;
    for (int thread = 0; thread < threads_; ++thread)
      if (fiber(thread).state == State::kAtBarrier) ++waiting, one = thread;
    for (int thread = 0; thread < threads_; ++thread)
      if (fiber(thread).state == State::kInWarp)
        throw std::runtime_error(name_of(thread) + " waits at " + text_of(fiber(thread).place) +
                                 " for lanes that do not come");
    for (int thread = 0; thread < threads_; ++thread) {
      const Fiber& other = fiber(thread);
      if (other.state == State::kDone)
        throw std::runtime_error(name_of(thread) + " has left the kernel before the barrier at " +
                                 text_of(fiber(one).place) + ", where " + std::to_string(left) +
                                 " threads wait");
      if (other.place.line != fiber(one).place.line)
        throw std::runtime_error(
            "the threads of a block wait at different barriers: " + name_of(one) + " at " +
            text_of(fiber(one).place) + ", " + name_of(thread) + " at " + text_of(other.place));
    }
    for (int thread = 0; thread < threads_; ++thread) fiber(thread).state = State::kReady;
  }

  int threads_;
  std::vector<int> turn_;
};

}  // namespace

void set_order(Order order_, unsigned seed) {
  order = order_;
  generator.seed(seed);
}

void run_block(int threads) { Block(threads).run(); }

}  // namespace pyvae::emulation
