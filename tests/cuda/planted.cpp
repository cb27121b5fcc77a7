// SPDX-License-Identifier: MIT
// Kernels that each do one thing wrong: `planted NAME` must fail, `planted nothing` must not.
#include <cstdio>
#include <exception>
#include <memory>

#include "cuda/device.h"

namespace pyvae {
namespace {

using emulation::Order;

constexpr int kThreads = 64, kWarp = 32, kBlocks = 2;
constexpr unsigned kAllLanes = ~0u;

enum class Bug {
  kNothing,
  kNoBarrierAhead,      // before the numbers of the next thread are read
  kNoBarrierBehind,     // before the numbers of the thread before are read
  kNoBarrierToRewrite,  // before numbers are overwritten that others still read
  kNoWarpBarrier,
  kNoWarpBarrierToRewrite,
  kUnfilledShared,
  kExitBeforeBarrier,
  kDifferentBarriers,
  kUnevenLoops,
  kDepartedLane,
  kUnnamedCaller,
  kUnnamedSource,
  kSmallShared,
  kGlobalOverrun,
  kSharedOverrun,
  kMisaligned,
  kSilentRace,  // all write the same
  kNoWaitForCopies,
};

struct Shared {
  float x[kThreads];
};

// Every thread passes on the numbers of another one of its block.
template <Bug kBug>
__global__ void passed_on(const float* x, float* y) {
  Shared& shared = shared_memory<Shared>();
  const int thread = int(threadIdx.x);
  const int64_t first = int64_t(blockIdx.x) * kThreads;
  const bool behind = kBug == Bug::kNoBarrierBehind;
  const int other = behind ? (thread > 0 ? thread - 1 : 0) : (thread + 1) % kThreads;
  if (kBug == Bug::kExitBeforeBarrier && thread >= 50) return;
  if (kBug != Bug::kUnfilledShared || thread < 50) shared.x[thread] = x[first + thread];
  if (kBug == Bug::kSharedOverrun) shared.x[thread + 1] = x[first + thread];
  if (kBug == Bug::kSilentRace) shared.x[0] = x[first];
  if (kBug == Bug::kDifferentBarriers && thread < kWarp)
    __syncthreads();
  else if (kBug != Bug::kNoBarrierAhead && kBug != Bug::kNoBarrierBehind)
    __syncthreads();
  float passed = shared.x[other];
  if (kBug != Bug::kNoBarrierToRewrite) __syncthreads();
  shared.x[thread] = passed;
  for (int round = 0; round < (kBug == Bug::kUnevenLoops ? thread / kWarp : 1); ++round)
    __syncthreads();
  if (kBug == Bug::kMisaligned) {
    struct alignas(16) Four {
      float x[4];
    };
    passed = reinterpret_cast<const Four*>(&shared.x[1])->x[0];
  }
  __syncthreads();
  y[first + thread + (kBug == Bug::kGlobalOverrun)] = passed;
}

// The same within a warp.
template <Bug kBug>
__global__ void passed_on_by_lanes(const float* x, float* y) {
  Shared& shared = shared_memory<Shared>();
  const int thread = int(threadIdx.x), lane = thread % kWarp;
  const int64_t first = int64_t(blockIdx.x) * kThreads;
  if (kBug == Bug::kDepartedLane && lane >= 16) return;
  const unsigned named = kBug == Bug::kUnnamedCaller   ? kAllLanes << 1
                         : kBug == Bug::kUnnamedSource ? 1u << lane
                                                       : kAllLanes;
  shared.x[thread] = __shfl_sync(named, x[first + thread], (lane + 1) % kWarp);
  if (kBug != Bug::kNoWarpBarrier) __syncwarp();
  y[first + thread] = shared.x[thread - lane + (lane + kWarp - 2) % kWarp];
  if (kBug != Bug::kNoWarpBarrierToRewrite) __syncwarp();
  shared.x[thread] = 0;
}

// Every thread reads what was copied for four of them.
template <Bug kBug>
__global__ void copied(const float* x, float* y) {
  Shared& shared = shared_memory<Shared>();
  const int thread = int(threadIdx.x);
  const int64_t first = int64_t(blockIdx.x) * kThreads;
  if (thread % 4 == 0) copy_ahead(&shared.x[thread], x + first + thread, true);
  if (kBug != Bug::kNoWaitForCopies) wait_for_copies();
  __syncthreads();
  y[first + thread] = shared.x[thread];
}

void require(bool right) {
  if (!right) throw std::runtime_error("wrong numbers");
}

template <Bug kBug>
void run() {
  constexpr bool kByLanes = kBug == Bug::kNoWarpBarrier || kBug == Bug::kNoWarpBarrierToRewrite ||
                            kBug == Bug::kDepartedLane || kBug == Bug::kUnnamedCaller ||
                            kBug == Bug::kUnnamedSource;
  constexpr int kSize = kThreads * kBlocks;
  const std::unique_ptr<float[]> x(new float[kSize]), y(new float[kSize]);
  for (int i = 0; i < kSize; ++i) x[i] = float(i);
  const size_t bytes = kBug == Bug::kSmallShared ? sizeof(Shared) / 2 : sizeof(Shared);
  if (!kByLanes || kBug == Bug::kNothing) {
    launch(passed_on<kBug>, kBlocks, kThreads, bytes, nullptr, x.get(), y.get());
    for (int i = 0; i < kSize; ++i) {
      const int from = kBug == Bug::kNoBarrierBehind ? (i % kThreads ? i - 1 : i)
                       : i % kThreads < kThreads - 1 ? i + 1
                                                     : i - kThreads + 1;
      require(y[i] == float(from));
    }
  }
  if (kByLanes || kBug == Bug::kNothing) {
    launch(passed_on_by_lanes<kBug>, kBlocks, kThreads, bytes, nullptr, x.get(), y.get());
    for (int i = 0; i < kSize; ++i)
      require(y[i] == float(i / kWarp * kWarp + (i + kWarp - 1) % kWarp));
  }
  if (kBug == Bug::kNoWaitForCopies || kBug == Bug::kNothing) {
    launch(copied<kBug>, kBlocks, kThreads, bytes, nullptr, x.get(), y.get());
    for (int i = 0; i < kSize; ++i) require(y[i] == float(i));
  }
}

struct Named {
  const char* name;
  void (*run)();
};
constexpr Named kAll[] = {
    {"nothing", run<Bug::kNothing>},
    {"no barrier before reading ahead", run<Bug::kNoBarrierAhead>},
    {"no barrier before reading behind", run<Bug::kNoBarrierBehind>},
    {"no barrier before rewriting", run<Bug::kNoBarrierToRewrite>},
    {"no barrier of the warp before reading", run<Bug::kNoWarpBarrier>},
    {"no barrier of the warp before rewriting", run<Bug::kNoWarpBarrierToRewrite>},
    {"shared memory not filled", run<Bug::kUnfilledShared>},
    {"exit before a barrier", run<Bug::kExitBeforeBarrier>},
    {"different barriers", run<Bug::kDifferentBarriers>},
    {"uneven loops", run<Bug::kUnevenLoops>},
    {"shuffle with a lane that left", run<Bug::kDepartedLane>},
    {"shuffle that does not name its caller", run<Bug::kUnnamedCaller>},
    {"shuffle from a lane not named", run<Bug::kUnnamedSource>},
    {"too little shared memory", run<Bug::kSmallShared>},
    {"overrun of global memory", run<Bug::kGlobalOverrun>},
    {"overrun of shared memory", run<Bug::kSharedOverrun>},
    {"misaligned", run<Bug::kMisaligned>},
    {"race with right numbers", run<Bug::kSilentRace>},
    {"copies that nobody waits for", run<Bug::kNoWaitForCopies>},
};

void run_in_every_order(const Named& planted) {
  const std::pair<Order, const char*> orders[] = {
      {Order::kForward, "forward"}, {Order::kReverse, "reverse"}, {Order::kRandom, "random"}};
  for (const auto& [order, name] : orders) {
    emulation::set_order(order, 1);
    try {
      planted.run();
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(std::string(name) + ": " + error.what());
    }
  }
}

}  // namespace
}  // namespace pyvae

int main(int count, char** arguments) {
  try {
    for (const pyvae::Named& planted : pyvae::kAll) {
      if (count != 2 || std::string(arguments[1]) != planted.name) continue;
      pyvae::run_in_every_order(planted);
      return 0;
    }
    throw std::runtime_error("planted: give the name of one bug");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
