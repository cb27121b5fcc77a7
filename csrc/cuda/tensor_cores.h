// SPDX-License-Identifier: MIT
// Numbers in bfloat16, the upper half of a float's bits, two to a word, and their products by the
// tensor cores of a warp. `emulation.h` plays these, too.
#pragma once

#include "cuda/device.h"

namespace pyvae {
namespace {

struct alignas(16) Words {
  unsigned value[4];
};
struct alignas(8) HalfWords {
  unsigned value[2];
};
__device__ inline Words load_words(const unsigned* from) {
  return *reinterpret_cast<const Words*>(from);
}

#ifdef __CUDACC__

// Both to nearest, ties to even.
__device__ inline unsigned pair_of(float low, float high) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
__device__ inline unsigned bits_of(float x) { return __float_as_uint(x); }
__device__ inline float float_of(unsigned bits) { return __uint_as_float(bits); }

// Of each half by itself; a NaN is passed over.
__device__ inline unsigned larger_of_pairs(unsigned a, unsigned b) {
  unsigned larger;
  asm("max.bf16x2 %0, %1, %2;" : "=r"(larger) : "r"(a), "r"(b));
  return larger;
}

// sum += a b, of (16, 16) by (16, 8) numbers: lane 4 g + t has rows g and g + 8 of `a` and column g
// of `b`, of each the pairs 2 t and 2 t + 8, and sums (g, 2 t), (g, 2 t + 1) and those of row g
// + 8.
__device__ inline void multiply_add(float (&sum)[4], const unsigned (&a)[4], const unsigned* b) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

// One number to half a word, nearer to zero.
__device__ inline unsigned towards_zero(float x) { return bits_of(x) >> 16; }
// Both not below what they were: to nearest is off by 2^-8 of a number at most. A NaN stays one,
// and an infinity.
__device__ inline unsigned pair_not_below(float low, float high) {
  const auto raised = [](float x) { return x + smaller(0x1p-8f * size_of(x), 0x1p120f); };
  return pair_of(raised(low), raised(high));
}
__device__ inline float from_half(unsigned word, int upper) {
  return float_of(upper ? word & 0xffff0000u : word << 16);
}

}  // namespace
}  // namespace pyvae
