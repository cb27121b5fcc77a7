// SPDX-License-Identifier: MIT
#include "call.h"

#include <cstring>
#include <stdexcept>

#include "runtime.h"

namespace pyvae::native {
namespace {

// A letter that no tensor of the op has counts as 1, as in the binding.
int64_t size_or_one(const Subject& subject, char letter, int64_t size) {
  for (const Core& core : subject.op.argument_cores)
    if (core.letters.find(letter) != std::string::npos) return size;
  return 1;
}

// The operands of one kernel call, in the order of its schema, each in memory of its own.
class Operands {
 public:
  Operands(const Subject& subject, const Setting& setting, const Manner& manner)
      : batch_rank_(setting.batch.size()), manner_(manner) {
    problem_.n = size_or_one(subject, 'n', setting.n);
    problem_.k = size_or_one(subject, 'k', setting.k);
    problem_.d = size_or_one(subject, 'd', setting.d);
    problem_.batch = count_of(setting.batch);
    problem_.batch_rank = int(batch_rank_);
    for (size_t dim = 0; dim < batch_rank_; ++dim) problem_.batch_size[dim] = setting.batch[dim];
  }

  void add_input(const Input& input, Kind kind) {
    Array array(input.shape, kind, manner_.layout, input.repeated);
    array.fill(input.data);
    const std::vector<double> before = array.values();
    add({input.name, std::move(array), before, true});
  }
  void add_output(const std::string& name, const Shape& shape, Kind kind) {
    add({name, Array(shape, kind), {}, false});
  }
  void skip() { ++next_; }

  // Runs the kernel and gives back what it wrote into the outputs.
  std::vector<std::vector<double>> run(Kernel kernel) {
    Memory memory(manner_.scratch);
    kernel(problem_, runtime_on(memory, manner_.threads));
    std::vector<std::vector<double>> written;
    for (const Slot& slot : slots_) {
      check(slot);
      if (!slot.is_input) written.push_back(slot.array.values());
    }
    return written;
  }

 private:
  struct Slot {
    std::string name;
    Array array;
    std::vector<double> before;
    bool is_input;
  };

  void add(Slot slot) {
    problem_.operand[next_++] = slot.array.operand(batch_rank_);
    slots_.push_back(std::move(slot));
  }

  static void check(const Slot& slot) {
    if (slot.array.was_overrun())
      throw std::runtime_error("memory beside " + slot.name + " was overwritten");
    if (!slot.is_input && slot.array.has_unwritten())
      throw std::runtime_error(slot.name + " was not written in full, or from nothing");
    const std::vector<double> after = slot.array.values();
    if (slot.is_input && !after.empty() &&
        std::memcmp(after.data(), slot.before.data(), after.size() * sizeof(double)) != 0)
      throw std::runtime_error("the argument " + slot.name + " was changed");
  }

  size_t batch_rank_, next_ = 0;
  const Manner& manner_;
  Problem problem_;
  std::vector<Slot> slots_;
};

using Numbers = std::vector<std::vector<double>>;

Numbers forward(const Subject& subject, const Setting& setting, const Inputs& inputs,
                const Manner& manner) {
  Operands operands(subject, setting, manner);
  for (const Input& input : inputs.arguments) operands.add_input(input, setting.kind());
  for (size_t i = 0; i < subject.op.results.size(); ++i)
    operands.add_output(subject.op.results[i], setting.shape_of(subject.op.result_cores[i]),
                        kind_of_result(subject, i, setting));
  return operands.run(subject.kernels[manner.variant].forward[setting.is_double]);
}

Numbers backward(const Subject& subject, const Setting& setting, const Inputs& inputs,
                 const Manner& manner, const Numbers& results) {
  const Op& op = subject.op;
  Operands operands(subject, setting, manner);
  for (size_t i = 0; i < inputs.upstream.size(); ++i)
    operands.add_input(inputs.upstream[i], kind_of_result(subject, i, setting));
  for (const Input& input : inputs.arguments) operands.add_input(input, setting.kind());
  for (size_t i = 0; subject.backward_uses_results && i < results.size(); ++i) {
    const Core& core = op.result_cores[i];
    operands.add_input({op.results[i], core.letters, setting.shape_of(core), results[i]},
                       kind_of_result(subject, i, setting));
  }
  const auto wanted = [&](size_t i) { return manner.needs >> i & 1; };
  for (size_t i = 0; i < op.arguments.size(); ++i)
    if (wanted(i))
      operands.add_output("the gradient of " + op.arguments[i], inputs.arguments[i].shape,
                          setting.kind());
    else
      operands.skip();
  Numbers written = operands.run(subject.kernels[manner.variant].backward[setting.is_double]);
  for (size_t i = 0; i < op.arguments.size(); ++i)
    if (!wanted(i)) written.insert(written.begin() + int64_t(i), std::vector<double>());
  return written;
}

}  // namespace

std::string Manner::text() const {
  const char* const layouts[] = {"contiguous", "unaligned", "strided", "transposed", "repeated"};
  return "threads=" + std::to_string(threads) + " layout=" + layouts[int(layout)] +
         " needs=" + std::to_string(needs);
}

Outcome call(const Subject& subject, const Setting& setting, const Inputs& inputs,
             const Manner& manner) {
  Outcome outcome;
  const Numbers results = forward(subject, setting, inputs, manner);
  for (size_t i = 0; i < results.size(); ++i) {
    // Lists are to suffice: what they hold beyond that is each kernel's own.
    if (subject.op.result_cores[i].letters.find('l') != std::string::npos) continue;
    const bool integer = kind_of_result(subject, i, setting) == Kind::kInt64;
    (integer ? outcome.integers : outcome.results).push_back(results[i]);
  }
  if (subject.kernels[manner.variant].backward[setting.is_double])
    outcome.gradients = backward(subject, setting, inputs, manner, results);
  return outcome;
}

}  // namespace pyvae::native
