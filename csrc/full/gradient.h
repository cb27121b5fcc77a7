// SPDX-License-Identifier: MIT
// The gradients of a slab: given the terms of a component and y = W (x - mean), what they add to
// the points' gradients and to the component's sums.
#pragma once

#include "full/sums.h"
#include "full/terms.h"

namespace pyvae {
namespace {

template <class V>
struct SlabGradient {
  using T = ScalarOf<V>;
  // The slabs after the points' own.
  enum { kY = 1, kWeighted, kByX, kPackedY, kPackedByX, kSlabs = kPackedByX };

  const Slab<V>& slab;
  const FullComponents<V>& components;
  T *gap, *y, *weighted, *by_x, *packed_y, *packed_by_x;
  bool wants_x, wants_factors;

  SlabGradient(const Slab<V>& slab_, const FullComponents<V>& components_,
               const FullScratch<V>& scratch, int64_t worker, bool wants_x_, bool wants_factors_)
      : slab(slab_),
        components(components_),
        gap(scratch.gap(worker)),
        y(scratch.slab(worker, kY)),
        weighted(scratch.slab(worker, kWeighted)),
        by_x(scratch.slab(worker, kByX)),
        packed_y(scratch.slab(worker, kPackedY)),
        packed_by_x(scratch.slab(worker, kPackedByX)),
        wants_x(wants_x_),
        wants_factors(wants_factors_) {
    clear(by_x, slab.d * slab.points());
  }

  // Adds a component's terms; y is there or, where few terms were expected, still to be computed.
  void add(int64_t k, const SlabTerms<V>& terms, bool has_y, const FullSums<V>& sums) const {
    if (terms.few(slab)) {
      add_packed(k, terms.all, terms.term, terms, has_y, wants_x, sums);
    } else {
      if (!has_y) standardise(k, slab, y, terms.room);
      add_slab(k, slab, y, terms.term, wants_x ? by_x : nullptr, sums);
    }
    add_packed(k, terms.own, terms.own_term, terms, has_y, false, sums);
  }

 private:
  void standardise(int64_t k, const Slab<V>& of, T* to, T* scores) const {
    score_component<V>(components, k, of, gap, to, scores);
  }

  void add_packed(int64_t k, const Selection<V>& selection, const T* term, const SlabTerms<V>& room,
                  bool has_y, bool with_x, const FullSums<V>& sums) const {
    if (selection.count == 0) return;
    const Slab<V> few = packed_slab(slab, selection, weighted);
    if (has_y) {
      pack_rows(slab, y, selection, few, packed_y, room.room);
    } else {
      pack_rows(slab, slab.x, selection, few, few.x, room.room);
      standardise(k, few, packed_y, room.room);
    }
    pack_terms(slab, term, selection, few, room.packed);
    if (with_x) clear(packed_by_x, few.d * few.points());
    add_slab(k, few, packed_y, room.packed, with_x ? packed_by_x : nullptr, sums);
    if (with_x) add_unpacked(few, packed_by_x, selection, slab, by_x, room.room);
  }

  void add_slab(int64_t k, const Slab<V>& of, const T* from, const T* term, T* to_x,
                const FullSums<V>& sums) const {
    weigh_slab<V>(of, from, term, weighted);
    sums.add(of, k, components.factor_of(k), term, weighted, wants_factors ? from : nullptr);
    for (int64_t g = 0; to_x && g < of.groups; ++g)
      with_vectors(of.vectors(g), [&](auto vectors) {
        add_transposed<vectors, V>(components, components.factor_of(k), weighted + of.group(g),
                                   to_x + of.group(g));
      });
  }
};

}  // namespace
}  // namespace pyvae
