// SPDX-License-Identifier: MIT
// Upper bounds of the scores of a point, one a group of components, as screening leaves them
// (screen.h), and the way that a call takes by them.
#pragma once

#include "cuda/block.h"
#include "cuda/tensor_cores.h"

namespace pyvae {
namespace {

// Components: more of them would be read for one that counts, fewer would take more bounds.
inline constexpr int kBounded = 2;

struct Screen {
  bool tried = false;           // may be, by the sizes
  unsigned* factors = nullptr;  // (padded_k / 32, padded_d / 8, 2, 32, 4): -s^2/2 and s h
  float* constant = nullptr;    // (padded_k): c - (1 - e) H
  uint16_t* bound = nullptr;    // (points, groups): of a chunk, and before of a sample
  int64_t groups = 0;           // of all components
  const int* exact = nullptr;   // Panels::exact
  int* kept = nullptr;          // groups of the sample's points that are near the best
  int64_t most = 0;             // of those, for the call to be screened

  // All kernels of one way leave at once where the other is taken.
  __device__ bool chosen() const { return tried && *exact == 0 && *kept <= most; }
  __device__ uint16_t* bounds(int64_t n) const { return bound + n * groups; }
};

// Bound i of eight.
__device__ inline float bound_of(const Words& bounds, int i) {
  return from_half(bounds.value[i / 2], i % 2);
}

// Calls body(first, bounds) for the bounds of a point, eight groups a lane, from the lane's group
// `first` on; -inf behind the last. All lanes of the warp come.
template <class Body>
__device__ inline void for_each_bound(const uint16_t* bounds, int groups, const Body& body) {
  constexpr unsigned kNone = 0xff80ff80u;
  for (int first = int(threadIdx.x) % kWarp * 8; first - int(threadIdx.x) % kWarp * 8 < groups;
       first += kWarp * 8) {
    Words of = {kNone, kNone, kNone, kNone};
    if (first < groups) of = load_words(reinterpret_cast<const unsigned*>(bounds + first));
    body(first, of);
  }
}

// The largest bound of a point, and the first group that has it, in all lanes; -inf and the first
// where all are NaN.
struct BestGroup {
  float bound;
  int group = 0;

  __device__ BestGroup(const uint16_t* bounds, int groups) {
    unsigned largest = 0xff80ff80u;
    for_each_bound(bounds, groups, [&](int, const Words& of) {
      PYVAE_UNROLL for (int i = 0; i < 4; ++i) largest = larger_of_pairs(largest, of.value[i]);
    });
    for (int gap = kWarp / 2; gap > 0; gap /= 2)
      largest = larger_of_pairs(largest, __shfl_xor_sync(kAllLanes, largest, gap));
    const float even = from_half(largest, 0), odd = from_half(largest, 1);
    bound = odd > even ? odd : even;
    bool found = false;
    for_each_bound(bounds, groups, [&](int first, const Words& of) {
      int own = -1;
      for (int i = 7; i >= 0; --i) own = bound_of(of, i) == bound ? i : own;
      const unsigned lanes = __ballot_sync(kAllLanes, own >= 0 && first < groups);
      if (found || !lanes) return;
      found = true, group = __shfl_sync(kAllLanes, first + own, __ffs(int(lanes)) - 1);
    });
  }
};

}  // namespace
}  // namespace pyvae
