// SPDX-License-Identifier: MIT
// Loops over tasks on the caller's threads, and memory for them.
#pragma once

#include "common/range.h"
#include "problem.h"

namespace pyvae {
namespace {

template <class Body>
inline void parallel(const Runtime& runtime, int64_t tasks, const Body& body) {
  if (tasks == 1) return body(int64_t(0));
  runtime.run(
      tasks, [](void* argument, int64_t task) { (*static_cast<const Body*>(argument))(task); },
      const_cast<Body*>(&body));
}

template <class T>
inline T* allocate(const Runtime& runtime, int64_t count) {
  return static_cast<T*>(runtime.allocate(runtime.context, static_cast<size_t>(count) * sizeof(T)));
}

// Below this many element operations a call stays on its own thread: waking the others costs more
// than it saves.
inline constexpr int64_t kParallelWork = 1 << 17;

inline int64_t tasks_for(const Runtime& runtime, int64_t work, int64_t most) {
  const int64_t wanted = work < kParallelWork ? 1 : runtime.threads;
  return wanted < most ? wanted : (most > 0 ? most : 1);
}

}  // namespace
}  // namespace pyvae
