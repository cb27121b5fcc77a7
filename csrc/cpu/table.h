// SPDX-License-Identifier: MIT
// The kernels of one instruction set, and which set runs.
#pragma once

#include "problem.h"

namespace pyvae {

enum class MathFunction { kExp, kExpm1, kExpMinusTangent, kExpOfGap, kLog };

struct KernelTable {
  KernelPair gaussian_kl;
  KernelPair gaussian_kl_tril;
  KernelPair gaussian_kl_pairwise;
  KernelPair mixture_log_prob;
  KernelPair mixture_posterior;
  KernelPair mixture_elbo_terms;
  KernelPair mixture_elbo_terms_gaussian;
  KernelPair mixture_elbo_terms_sampled;
  KernelPair mixture_elbo_terms_logits;
  KernelPair mixture_statistics;
  KernelPair mixture_log_prob_tril;
  KernelPair mixture_posterior_tril;
  KernelPair mixture_statistics_tril;
  // The math primitives one number at a time, for the tests of their error bounds.
  void (*evaluate[2])(MathFunction, const void* from, void* to, int64_t count);
};

struct Variant {
  const char* name;
  const KernelTable* table;
  bool (*supported)();
};

// Compiled variants, lowest first; the first is the baseline, which runs everywhere.
const Variant* variants(int* count);

// The variant in use: the highest that the processor supports, or a lower one that PYVAE_CPU_ISA
// names. Throws std::runtime_error where that names none, or one that the processor lacks.
const Variant& chosen();
void choose(const char* name);

}  // namespace pyvae
