// SPDX-License-Identifier: MIT
// The order in which the threads of a block run, and what they must not do.
#pragma once

namespace pyvae::emulation {

// Runs the fibers of a block until all are done. Throws std::runtime_error where some wait for
// others that do not come, or meet them in another place.
void run_block(int threads);

}  // namespace pyvae::emulation
