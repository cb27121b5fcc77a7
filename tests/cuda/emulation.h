// SPDX-License-Identifier: MIT
// The CUDA thread model on one thread of the host, so that kernels can run, and be watched by the
// sanitizers, where there is no GPU.
//
// A CUDA thread is a fiber; the blocks of a launch run one after the other. Between barriers the
// fibers run in an order that is forward, reverse or random: a kernel that forgot a barrier gives
// wrong numbers in one of them. Shared memory is filled with a NaN that nobody computes. What a GPU
// would leave undefined is an error that names the threads and the line: barriers that not all
// threads reach, or reach on different lines, and warp operations with lanes that have left. The
// numbers of the ops compute a GPU's NaN.
// Not emulated: races between blocks, rounding, time.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "numbers.h"

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __grid_constant__

namespace pyvae::emulation {

enum class Order { kForward, kReverse, kRandom };
// Of all launches from now on. At first it is what PYVAE_EMULATION_ORDER names, or forward.
void set_order(Order order, unsigned seed = 0);

struct Index {
  unsigned x;
};
extern Index thread_index, block_index, block_size, grid_size;

// Where a thread waits.
struct Place {
  const char* file;
  int line;
};

void wait_for_block(Place place);
// The thread waits for the lanes of `mask`, and is given what lane `source` of its warp brought.
uint64_t exchange(Place place, const char* operation, unsigned mask, int source, uint64_t value);
// Whether each lane of `mask` brought something other than zero, a bit a lane.
unsigned ballot(Place place, unsigned mask, bool value);
int lane();

// What a thread copies ahead arrives as late as it may: when the thread waits for it.
void copy_ahead(void* to, const void* from, size_t bytes);
void wait_for_copies();

void* shared_memory(size_t bytes);
void run(int64_t blocks, int threads, size_t shared_bytes, const std::function<void()>& kernel);

template <class T>
T exchange_value(Place place, const char* operation, unsigned mask, int source, T value) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange(place, operation, mask, source, bits);
  std::memcpy(static_cast<void*>(&value), &bits, sizeof(T));  // T may be a class of numbers
  return value;
}

// The lane that a shuffle within `width` lanes reads, or the own one where that lies outside.
inline int within(int source, int width) {
  return source / width == lane() / width && source >= 0 ? source : lane();
}

}  // namespace pyvae::emulation

#define threadIdx (::pyvae::emulation::thread_index)
#define blockIdx (::pyvae::emulation::block_index)
#define blockDim (::pyvae::emulation::block_size)
#define gridDim (::pyvae::emulation::grid_size)

#define PYVAE_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(PYVAE_HERE) { pyvae::emulation::wait_for_block({file, line}); }
inline void __syncwarp(unsigned mask = ~0u, PYVAE_HERE) {
  pyvae::emulation::exchange({file, line}, "__syncwarp", mask, pyvae::emulation::lane(), 0);
}
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, PYVAE_HERE) {
  using namespace pyvae::emulation;
  return exchange_value({file, line}, "__shfl_sync", mask, lane() / width * width + source % width,
                        value);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int gap, int width = 32, PYVAE_HERE) {
  using namespace pyvae::emulation;
  return exchange_value({file, line}, "__shfl_xor_sync", mask, within(lane() ^ gap, width), value);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, int gap, int width = 32, PYVAE_HERE) {
  using namespace pyvae::emulation;
  return exchange_value({file, line}, "__shfl_down_sync", mask, within(lane() + gap, width), value);
}
inline unsigned __ballot_sync(unsigned mask, int value, PYVAE_HERE) {
  return pyvae::emulation::ballot({file, line}, mask, value != 0);
}

// One after the other, in whatever order the threads come: of integers only.
template <class T>
T atomicAdd(T* to, T value) {
  return __atomic_fetch_add(to, value, __ATOMIC_RELAXED);
}
template <class T>
T atomicOr(T* to, T value) {
  return __atomic_fetch_or(to, value, __ATOMIC_RELAXED);
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }

// The tensor cores (cuda/tensor_cores.h). Their sums are not those of a GPU to the last bits.
namespace pyvae {
namespace {

inline unsigned bits_of(float x) { return __builtin_bit_cast(unsigned, x); }
inline float float_of(unsigned bits) { return __builtin_bit_cast(float, bits); }
inline unsigned pair_of(float low, float high) {
  const auto half = [](float x) {
    if (x != x) return 0x7fffu;
    const unsigned bits = bits_of(x);
    return (bits + 0x7fffu + (bits >> 16 & 1)) >> 16;  // to nearest, ties to even
  };
  return half(high) << 16 | half(low);
}

inline unsigned larger_of_pairs(unsigned a, unsigned b) {
  const auto larger = [](unsigned x, unsigned y) {
    const float of_x = float_of(x << 16), of_y = float_of(y << 16);
    return of_x != of_x || of_y > of_x ? y : x;
  };
  return larger(a >> 16, b >> 16) << 16 | larger(a & 0xffffu, b & 0xffffu);
}

inline void multiply_add(float (&sum)[4], const unsigned (&a)[4], const unsigned* b, PYVAE_HERE) {
  using namespace pyvae::emulation;
  const auto bring = [&](int source, unsigned word) {
    return exchange_value({file, line}, "mma.sync", ~0u, source, word);
  };
  const auto dot = [](unsigned x, unsigned y) {
    return float_of(x << 16) * float_of(y << 16) +
           float_of(x & 0xffff0000u) * float_of(y & 0xffff0000u);
  };
  const int row = lane() / 4, column = lane() % 4 * 2;
  for (int pair = 0; pair < 4; ++pair) {
    unsigned of_row[4];
    for (int i = 0; i < 4; ++i) of_row[i] = bring(row * 4 + pair, a[i]);
    for (int c = 0; c < 2; ++c) {
      for (int i = 0; i < 2; ++i) {
        const unsigned of_column = bring((column + c) * 4 + pair, b[i]);
        sum[c] += dot(of_row[2 * i], of_column);
        sum[2 + c] += dot(of_row[2 * i + 1], of_column);
      }
    }
  }
}

}  // namespace
}  // namespace pyvae

#undef PYVAE_HERE

namespace pyvae {
namespace {

template <class Memory>
Memory& shared_memory() {
  return *static_cast<Memory*>(emulation::shared_memory(sizeof(Memory)));
}

inline void copy_ahead(void* to, const void* from, bool there) {
  static const unsigned char zeros[16] = {};
  emulation::copy_ahead(to, there ? from : zeros, sizeof(zeros));
}
inline void wait_for_copies() { emulation::wait_for_copies(); }

template <class T>
T exp_of_summand(T x) {
  return exp_of_gap(x);
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), int64_t blocks, int threads, size_t shared_bytes, void*,
            const Arguments&... arguments) {
  emulation::run(blocks, threads, shared_bytes, [&] { kernel(Parameters(arguments)...); });
}

}  // namespace
}  // namespace pyvae
