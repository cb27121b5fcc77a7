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
    if (terms.kept.count == 0) return;
    if (terms.few(slab)) return add_packed(k, terms, has_y, sums);
    if (!has_y) standardise(k, slab, y, terms.room);
    add_slab(k, slab, y, terms.term, terms.apart ? terms.of_points : terms.term, by_x, sums);
  }

 private:
  void standardise(int64_t k, const Slab<V>& of, T* to, T* scores) const {
    score_component<V>(components, k, of, gap, to, scores);
  }

  void add_packed(int64_t k, const SlabTerms<V>& terms, bool has_y, const FullSums<V>& sums) const {
    const Selection<V>& kept = terms.kept;
    const Slab<V> few = packed_slab(slab, kept, weighted);
    if (has_y) {
      pack_rows(slab, y, kept, few, packed_y, terms.room);
    } else {
      pack_rows(slab, slab.x, kept, few, few.x, terms.room);
      standardise(k, few, packed_y, terms.room);
    }
    pack_terms(slab, terms.term, kept, few, terms.packed);
    if (terms.apart) pack_terms(slab, terms.of_points, kept, few, terms.packed_of_points);
    clear(packed_by_x, wants_x ? few.d * few.points() : 0);
    add_slab(k, few, packed_y, terms.packed, terms.apart ? terms.packed_of_points : terms.packed,
             packed_by_x, sums);
    if (wants_x) add_unpacked(few, packed_by_x, kept, slab, by_x, terms.room);
  }

  void add_slab(int64_t k, const Slab<V>& of, const T* from, const T* term, const T* of_points,
                T* to_x, const FullSums<V>& sums) const {
    weigh_slab<V>(of, from, term, weighted);
    sums.add(of, k, components.factor_of(k), term, weighted, wants_factors ? from : nullptr);
    if (!wants_x) return;
    if (of_points != term) weigh_slab<V>(of, from, of_points, weighted);
    for (int64_t g = 0; g < of.groups; ++g)
      with_vectors(of.vectors(g), [&](auto vectors) {
        add_transposed<vectors, V>(components, components.factor_of(k), weighted + of.group(g),
                                   to_x + of.group(g));
      });
  }
};

}  // namespace
}  // namespace pyvae
