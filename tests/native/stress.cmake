# SPDX-License-Identifier: MIT
# The driver of tests/native: the kernels and the op table, without torch and pybind11. Included by
# CMakeLists.txt, so that the kernels' own targets get these options too.
set(CMAKE_CXX_FLAGS_RELEASE "-O1 -g1 -DNDEBUG")
add_compile_options(-fsanitize=${PYVAE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
add_link_options(-fsanitize=${PYVAE_SANITIZE})
find_package(Threads REQUIRED)
file(GLOB driver_sources CONFIGURE_DEPENDS tests/native/*.cpp)
add_executable(stress ${driver_sources} csrc/bind/ops.cpp csrc/cpu/select.cpp)
target_include_directories(stress PRIVATE csrc)
target_link_libraries(stress PRIVATE Threads::Threads)
