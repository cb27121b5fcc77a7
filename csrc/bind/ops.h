// SPDX-License-Identifier: MIT
// The op table: one line an op. Schemas, shape checks, the Python registration and `pyvae info` all
// read it.
#pragma once

#include <string>
#include <vector>

#include "kernel_table.h"

namespace pyvae {

// `signature` is a NumPy gufunc signature over the last dimensions of every tensor, `d|1` being d
// or 1 (in a result: as in the argument of that core). The last `auxiliary` results are kept for
// the backward pass and have no gradient. The backward op takes the gradients of the other results,
// the arguments, the results (where it uses them), and a bit mask of the gradients wanted.
// `statistics` are sums over the points: returned in float64 whatever the arguments' dtype, without
// a gradient.
struct OpLine {
  const char* name;
  const char* arguments;
  const char* results;
  const char* signature;
  int auxiliary;
  bool backward_uses_results;
  KernelPair KernelTable::* kernels;
  bool statistics = false;
};

inline constexpr OpLine kOps[] = {
    {"gaussian_kl", "mean_q,logvar_q,mean_p,logvar_p", "kl", "(d),(d),(d),(d)->()", 0, false,
     &KernelTable::gaussian_kl},
    {"gaussian_kl_tril", "mean_q,scale_tril_q,mean_p,scale_tril_p", "kl", "(d),(d,d),(d),(d,d)->()",
     0, false, &KernelTable::gaussian_kl_tril},
    {"gaussian_kl_pairwise", "mean_q,logvar_q,mean_p,logvar_p", "kl",
     "(n,d),(n,d),(k,d),(k,d)->(n,k)", 0, false, &KernelTable::gaussian_kl_pairwise},
    {"mixture_log_prob", "x,log_weights,means,logvars", "log_prob", "(n,d),(k),(k,d),(k,d|1)->(n)",
     0, true, &KernelTable::mixture_log_prob},
    {"mixture_posterior", "x,log_weights,means,logvars", "log_posterior,log_prob",
     "(n,d),(k),(k,d),(k,d|1)->(n,k),(n)", 0, true, &KernelTable::mixture_posterior},
    {"mixture_elbo_terms", "w,log_weights,means,logvars", "expected_log_prob,kl_z,normalizer",
     "(n,d),(k),(k,d),(k,d|1)->(n),(n),(n)", 1, true, &KernelTable::mixture_elbo_terms},
    {"mixture_elbo_terms_gaussian", "mean_q,logvar_q,log_weights,means,logvars",
     "expected_log_prob,kl_z,normalizer", "(n,d),(n,d),(k),(k,d),(k,d|1)->(n),(n),(n)", 1, true,
     &KernelTable::mixture_elbo_terms_gaussian},
    {"mixture_elbo_terms_sampled", "w,mean_q,logvar_q,log_weights,means,logvars",
     "expected_log_prob,kl_z,normalizer", "(n,d),(n,d),(n,d),(k),(k,d),(k,d|1)->(n),(n),(n)", 1,
     true, &KernelTable::mixture_elbo_terms_sampled},
    {"mixture_elbo_terms_logits", "mean_q,logvar_q,logits_q,log_weights,means,logvars",
     "expected_log_prob,kl_z,normalizer", "(n,d),(n,d),(n,k),(k),(k,d),(k,d|1)->(n),(n),(n)", 1,
     true, &KernelTable::mixture_elbo_terms_logits},
    {"mixture_statistics", "x,log_weights,means,logvars,sample_weight",
     "log_likelihood,counts,sum_dx,sum_dx2", "(n,d),(k),(k,d),(k,d|1),(n)->(),(k),(k,d),(k,d|1)", 0,
     false, &KernelTable::mixture_statistics, true},
    {"mixture_log_prob_tril", "x,log_weights,means,scale_trils", "log_prob",
     "(n,d),(k),(k,d),(k|1,d,d)->(n)", 0, true, &KernelTable::mixture_log_prob_tril},
    {"mixture_posterior_tril", "x,log_weights,means,scale_trils", "log_posterior,log_prob",
     "(n,d),(k),(k,d),(k|1,d,d)->(n,k),(n)", 0, true, &KernelTable::mixture_posterior_tril},
    {"mixture_statistics_tril", "x,log_weights,means,scale_trils,sample_weight",
     "log_likelihood,counts,sum_dx,sum_dx2",
     "(n,d),(k),(k,d),(k|1,d,d),(n)->(),(k),(k,d),(k|1,d,d)", 0, false,
     &KernelTable::mixture_statistics_tril, true},
};
inline constexpr int kOpCount = sizeof(kOps) / sizeof(kOps[0]);

// The core dimensions of one tensor: their letters, and those among them that may be 1 instead.
struct Core {
  std::string letters, relaxed;

  bool may_be_one(char letter) const { return relaxed.find(letter) != std::string::npos; }
};

// An op line, taken apart.
struct Op {
  std::vector<std::string> arguments, results;
  std::vector<Core> argument_cores, result_cores;
};
const Op& parsed(int index);

std::string schema(int index);
std::string backward_schema(int index);

}  // namespace pyvae
