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
  uint16_t *bound = nullptr, *sample = nullptr;  // (points, groups)
  int64_t groups = 0;                            // of all components
  const int* exact = nullptr;                    // Panels::exact
  int* kept = nullptr;  // groups of the sample's points that are near the best
  int64_t most = 0;     // of those, for the call to be screened

  // All kernels of one way leave at once where the other is taken.
  __device__ bool chosen() const { return tried && *exact == 0 && *kept <= most; }
  __device__ uint16_t* bounds(int64_t n) const { return bound + n * groups; }
};

// Calls body(first, bounds) for the bounds of a point, eight groups a lane, from the lane's group
// `first` on; -inf behind the last. All lanes of the warp come.
template <class Body>
__device__ inline void for_each_bound(const uint16_t* bounds, int64_t groups, const Body& body) {
  for (int64_t base = 0; base < groups; base += kWarp * 8) {
    const int64_t first = base + int(threadIdx.x) % kWarp * 8;
    float of[8];
    PYVAE_UNROLL for (int i = 0; i < 8; ++i) of[i] = -kInfinity<float>;
    if (first < groups) {
      const Words words = load_words(reinterpret_cast<const unsigned*>(bounds + first));
      PYVAE_UNROLL for (int i = 0; i < 8; ++i) of[i] = from_half(words.value[i / 2], i % 2);
    }
    body(first, of);
  }
}

// The largest bound of a point, and its group, in all lanes.
struct BestGroup {
  float bound = -kInfinity<float>;
  int group = 0;

  __device__ BestGroup(const uint16_t* bounds, int64_t groups) {
    for_each_bound(bounds, groups, [&](int64_t first, const float (&of)[8]) {
      PYVAE_UNROLL for (int i = 0; i < 8; ++i) {
        if (of[i] > bound) bound = of[i], group = int(first) + i;
      }
    });
    for (int gap = kWarp / 2; gap > 0; gap /= 2) {
      const float other = __shfl_xor_sync(kAllLanes, bound, gap);
      const int its = __shfl_xor_sync(kAllLanes, group, gap);
      if (other > bound || (other == bound && its < group)) bound = other, group = its;
    }
  }
};

}  // namespace
}  // namespace pyvae
