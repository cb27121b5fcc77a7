// SPDX-License-Identifier: MIT
// Marks a formula as callable from CUDA kernels too, and a loop as one that seldom runs: on a GPU
// its code is kept short. The only place that asks which compiler reads it.
#pragma once

#ifdef __CUDACC__
#define PYVAE_HD __host__ __device__
#else
#define PYVAE_HD
#endif

#ifdef __CUDA_ARCH__
#define PYVAE_SELDOM _Pragma("unroll 4")
#else
#define PYVAE_SELDOM
#endif
