// SPDX-License-Identifier: MIT
// Kernels that each do one thing wrong: `planted NAME` must fail, `planted nothing` must not.
#include <cstdio>
#include <exception>
#include <memory>

#include "cuda/device.h"
#include "cuda/tensor_cores.h"

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
  kDepartedLaneOfProduct,
  kProductOfOtherRows,
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

// Of the whole numbers below, which bfloat16 has: an element of (16, 16) and of (16, 8).
constexpr int kRows = 16, kDepth = 16, kColumns = 8;
constexpr int left(int row, int depth) { return (row + 3 * depth) % 7 - 3; }
constexpr int right(int depth, int column) { return (5 * depth + column) % 11 - 5; }

// Every warp multiplies them.
template <Bug kBug>
__global__ void multiplied(float* product) {
  const int lane = int(threadIdx.x) % kWarp, row = lane / 4, pair = lane % 4 * 2;
  if (kBug == Bug::kDepartedLaneOfProduct && lane >= 16) return;
  const auto of_left = [&](int r, int d) {
    return pair_of(float(left(r, d)), float(left(r, d + 1)));
  };
  const auto of_right = [&](int d) {
    return pair_of(float(right(d, row)), float(right(d + 1, row)));
  };
  const bool other = kBug == Bug::kProductOfOtherRows;
  const unsigned a[4] = {of_left(row, pair), of_left(other ? row : row + 8, pair),
                         of_left(row, pair + 8), of_left(row + 8, pair + 8)};
  const unsigned b[2] = {of_right(pair), of_right(pair + 8)};
  float sum[4] = {};
  multiply_add(sum, a, b);
  for (int i = 0; i < 4; ++i) {
    const int of = (row + i / 2 * 8) * kColumns + pair + i % 2;
    product[(int64_t(blockIdx.x) * (kThreads / kWarp) + int(threadIdx.x) / kWarp) * kRows *
                kColumns +
            of] = sum[i];
  }
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
  constexpr bool kOfProducts =
      kBug == Bug::kDepartedLaneOfProduct || kBug == Bug::kProductOfOtherRows;
  if ((!kByLanes && !kOfProducts) || kBug == Bug::kNothing) {
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
  if (kBug == Bug::kDepartedLaneOfProduct || kBug == Bug::kProductOfOtherRows ||
      kBug == Bug::kNothing) {
    constexpr int kNumbers = kRows * kColumns, kWarps = kSize / kWarp;
    const std::unique_ptr<float[]> product(new float[kNumbers * kWarps]);
    launch(multiplied<kBug>, kBlocks, kThreads, 0, nullptr, product.get());
    for (int i = 0; i < kNumbers * kWarps; ++i) {
      int sum = 0;
      for (int d = 0; d < kDepth; ++d)
        sum += left(i % kNumbers / kColumns, d) * right(d, i % kColumns);
      require(product[i] == float(sum));
    }
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
    {"product with a lane that left", run<Bug::kDepartedLaneOfProduct>},
    {"product of other rows", run<Bug::kProductOfOtherRows>},
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
