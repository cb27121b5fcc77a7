// SPDX-License-Identifier: MIT
// The kernels of each file, for the table.
#pragma once

#include "problem.h"

namespace pyvae::cuda {

extern const KernelPair gaussian_kl, gaussian_kl_tril, gaussian_kl_pairwise;
extern const KernelPair mixture_log_prob, mixture_posterior, mixture_statistics;
extern const KernelPair mixture_elbo_terms, mixture_elbo_terms_gaussian, mixture_elbo_terms_sampled,
    mixture_elbo_terms_logits;
extern const KernelPair mixture_log_prob_tril, mixture_posterior_tril, mixture_statistics_tril;

}  // namespace pyvae::cuda
