// SPDX-License-Identifier: MIT
// The kernels of one instruction set, or of a GPU.
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
  // The math primitives one number at a time, for the tests of their error bounds. Not on a GPU.
  void (*evaluate[2])(MathFunction, const void* from, void* to, int64_t count);
};

}  // namespace pyvae
