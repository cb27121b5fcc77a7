// SPDX-License-Identifier: MIT
// Marks a formula as callable from CUDA kernels too. The only place that asks which compiler reads
// it.
#pragma once

#ifdef __CUDACC__
#define PYVAE_HD __host__ __device__
#else
#define PYVAE_HD
#endif
