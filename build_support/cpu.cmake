# SPDX-License-Identifier: MIT
# add_cpu_kernels(target variant flags...): the kernels of one instruction set, as objects.
get_filename_component(csrc ${CMAKE_CURRENT_LIST_DIR}/../csrc ABSOLUTE)
file(GLOB cpu_kernels CONFIGURE_DEPENDS ${csrc}/rows/*.cpp ${csrc}/tiles/*.cpp ${csrc}/full/*.cpp)
list(APPEND cpu_kernels ${csrc}/cpu/variant.cpp)

function(add_cpu_kernels target variant)
  add_library(${target} OBJECT ${cpu_kernels})
  target_include_directories(${target} PRIVATE ${csrc})
  target_compile_definitions(${target} PRIVATE PYVAE_DEVICE=${variant})
  target_compile_options(${target} PRIVATE ${ARGN} -Wno-psabi)
endfunction()
