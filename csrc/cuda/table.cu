// SPDX-License-Identifier: MIT
#include "cuda/kernels.h"
#include "cuda/table.h"
#include "cuda/tuning.h"

pyvae::CudaTuning pyvae_cuda_tuning;

namespace pyvae {

const KernelTable cuda_table = {
    cuda::gaussian_kl,
    cuda::gaussian_kl_tril,
    cuda::gaussian_kl_pairwise,
    cuda::mixture_log_prob,
    cuda::mixture_posterior,
    cuda::mixture_elbo_terms,
    cuda::mixture_elbo_terms_gaussian,
    cuda::mixture_elbo_terms_sampled,
    cuda::mixture_elbo_terms_logits,
    cuda::mixture_statistics,
    cuda::mixture_log_prob_tril,
    cuda::mixture_posterior_tril,
    cuda::mixture_statistics_tril,
    {nullptr, nullptr},
};

}  // namespace pyvae
