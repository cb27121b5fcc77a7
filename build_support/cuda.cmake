# SPDX-License-Identifier: MIT
# The CUDA kernels, a library beside _C: whether they can be built, and how. Leaves in cuda_missing why
# they are not, and in cuda_architectures for which GPUs they are.
include(CheckLanguage)

set(PYVAE_CUDA AUTO CACHE STRING "CUDA kernels: ON, OFF, or AUTO: where torch has CUDA and nvcc is")
if(NOT PYVAE_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "PYVAE_CUDA=${PYVAE_CUDA}: expected AUTO, ON or OFF")
endif()

set(cuda_missing "")
set(cuda_architectures "")
set(torch_cuda "")
if(EXISTS ${PYVAE_TORCH_DIR}/version.py)
  file(STRINGS ${PYVAE_TORCH_DIR}/version.py torch_cuda REGEX "^cuda.*= *'[0-9]+")
  string(REGEX REPLACE ".*'([0-9]+).*" "\\1" torch_cuda "${torch_cuda}")
endif()

if(PYVAE_CUDA STREQUAL "OFF")
  set(cuda_missing "it was built with PYVAE_CUDA=OFF")
elseif(PYVAE_CUDA STREQUAL "AUTO" AND NOT torch_cuda AND
       NOT EXISTS ${PYVAE_TORCH_DIR}/lib/libtorch_cuda.so)
  set(cuda_missing "it was built against a torch without CUDA")
else()
  # check_language() finds what CUDACXX names, and remembers for good that it found nothing.
  if(NOT CMAKE_CUDA_COMPILER)
    unset(CMAKE_CUDA_COMPILER CACHE)
    if(NOT DEFINED ENV{CUDACXX})
      find_program(PYVAE_NVCC nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda
        PATH_SUFFIXES bin)
      if(PYVAE_NVCC)
        set(ENV{CUDACXX} ${PYVAE_NVCC})
      endif()
    endif()
  endif()
  if(NOT CMAKE_CUDA_HOST_COMPILER AND NOT DEFINED ENV{CUDAHOSTCXX})
    set(CMAKE_CUDA_HOST_COMPILER ${CMAKE_CXX_COMPILER})
  endif()
  if(NOT CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90)  # A100 and its kind; H100, and whatever comes after it
  endif()
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(cuda_missing "it was built where no nvcc was found that works with the C++ compiler")
  else()
    enable_language(CUDA)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.0)  # the first that reads C++20
      set(cuda_missing "it was built where nvcc was ${CMAKE_CUDA_COMPILER_VERSION}, older than 12.0")
    endif()
  endif()
endif()

if(cuda_missing)
  if(PYVAE_CUDA STREQUAL "ON")
    string(REGEX REPLACE "^it was built where " "" reason "${cuda_missing}")
    message(FATAL_ERROR "PYVAE_CUDA=ON: ${reason}; install a CUDA toolkit of 12.0 or newer and set "
      "CUDACXX to its nvcc, or build with PYVAE_CUDA=OFF for the CPU alone")
  endif()
  message(STATUS "No CUDA kernels: ${cuda_missing}")
  return()
endif()

# The CUDA runtime is linked statically, so that torch's may be another. Its driver must know it.
string(REGEX MATCH "^[0-9]+" nvcc_major ${CMAKE_CUDA_COMPILER_VERSION})
if(torch_cuda AND nvcc_major GREATER torch_cuda)
  message(WARNING "nvcc is of CUDA ${nvcc_major} and torch of CUDA ${torch_cuda}: the kernels of pyvae "
    "will need a driver of CUDA ${nvcc_major} (nvidia-smi shows the driver's)")
endif()

foreach(architecture IN LISTS CMAKE_CUDA_ARCHITECTURES)
  set(names ${architecture})
  if(architecture MATCHES "^(all|all-major|native)$")
    string(TOUPPER ${architecture} word)
    string(REPLACE "-" "_" word ${word})
    set(names ${CMAKE_CUDA_ARCHITECTURES_${word}})
  endif()
  foreach(name IN LISTS names)
    if(NOT name MATCHES "^[0-9]")
      message(FATAL_ERROR "CMAKE_CUDA_ARCHITECTURES=${architecture}: nvcc says '${names}'; name the "
        "GPUs' architectures instead, such as 80-real;90")
    endif()
    string(REGEX REPLACE "-.*" "" number ${name})
    if(NOT name MATCHES "-virtual$")
      list(APPEND cuda_architectures sm_${number})
    endif()
    if(NOT name MATCHES "-real$")
      list(APPEND cuda_architectures compute_${number})
    endif()
  endforeach()
endforeach()
list(JOIN cuda_architectures ", " text)
message(STATUS "CUDA kernels for ${text}, by nvcc ${CMAKE_CUDA_COMPILER_VERSION}")

if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc reads C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
endif()
set(launcher sh ${CMAKE_CURRENT_LIST_DIR}/keep_resources.sh ${CMAKE_CUDA_COMPILER_LAUNCHER})
file(GLOB cuda_sources CONFIGURE_DEPENDS csrc/cuda/*.cu)
add_library(pyvae_cuda MODULE ${cuda_sources} csrc/bind/register_cuda.cpp csrc/bind/ops.cpp
  csrc/bind/problem_of.cpp)
set_target_properties(pyvae_cuda PROPERTIES
  CUDA_STANDARD 20
  CUDA_EXTENSIONS OFF
  CUDA_VISIBILITY_PRESET hidden
  CUDA_RUNTIME_LIBRARY Static
  CUDA_COMPILER_LAUNCHER "${launcher}")
target_compile_options(pyvae_cuda PRIVATE
  "$<$<COMPILE_LANGUAGE:CUDA>:-Xptxas=-v;-Xfatbin=-compress-all;-Xcompiler=-Wall,-Wextra>"
  "$<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${PYVAE_WERROR}>>:-Werror=all-warnings>")
target_compile_definitions(pyvae_cuda PRIVATE PYVAE_DEVICE=cuda)
target_link_options(pyvae_cuda PRIVATE -Wl,--no-undefined -Wl,--exclude-libs,ALL)
link_torch(pyvae_cuda)
target_link_libraries(pyvae_cuda PRIVATE ${CMAKE_DL_LIBS})

# Registers, stack and spills of every kernel on every GPU, as ptxas told them.
add_custom_command(TARGET pyvae_cuda POST_BUILD COMMAND_EXPAND_LISTS VERBATIM
  COMMAND cat
    "$<JOIN:$<FILTER:$<TARGET_OBJECTS:pyvae_cuda>,INCLUDE,[.]cu[.]o$>,.resources;>.resources"
    > ${CMAKE_BINARY_DIR}/cuda-resources.txt)
install(TARGETS pyvae_cuda DESTINATION pyvae)
