// SPDX-License-Identifier: MIT
// The kernels without torch, for the sanitizers. `stress` puts every op of the table through every
// instruction set that the processor runs; `stress mixture_log_prob` one of them; `stress --list`
// names them; `stress --plant overrun` must fail.
#include <cstdio>
#include <stdexcept>

#include "examine.h"
#include "planted.h"
#include "setup.h"

namespace {

using namespace pyvae::native;

std::vector<Subject> chosen(const std::vector<std::string>& arguments,
                            const std::vector<const pyvae::Variant*>& variants) {
  if (arguments.size() == 2 && arguments[0] == "--plant")
    return {planted(arguments[1], variants.size())};
  std::vector<Subject> all = subjects(variants), some;
  if (arguments.empty() || arguments[0] == "--list") return all;
  for (const std::string& name : arguments) {
    const size_t before = some.size();
    for (const Subject& subject : all)
      if (subject.name == name) some.push_back(subject);
    if (some.size() == before) throw std::runtime_error("no op named " + name);
  }
  return some;
}

void run(const std::vector<std::string>& arguments) {
  const std::vector<const pyvae::Variant*> variants = tested_variants();
  std::vector<std::string> names;
  std::string text;
  for (const pyvae::Variant* variant : variants) {
    names.push_back(variant->name);
    text += std::string(" ") + variant->name;
  }
  for (const Subject& subject : chosen(arguments, variants)) {
    if (!arguments.empty() && arguments[0] == "--list")
      std::printf("%s\n", subject.name.c_str());
    else
      std::printf("%s: %lld calls on%s\n", subject.name.c_str(),
                  static_cast<long long>(examine(subject, names)), text.c_str());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    run(std::vector<std::string>(arguments + 1, arguments + count));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
