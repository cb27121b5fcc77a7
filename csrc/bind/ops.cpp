// SPDX-License-Identifier: MIT
#include "bind/ops.h"

#include <sstream>

namespace pyvae {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

// "(n,d),(k)" -> the cores of two tensors.
std::vector<Core> cores(const std::string& text) {
  std::vector<Core> found;
  for (const char letter : text) {
    if (letter == '(')
      found.emplace_back();
    else if (letter == '1')
      found.back().relaxed += found.back().letters.back();
    else if (letter >= 'a' && letter <= 'z')
      found.back().letters += letter;
  }
  return found;
}

// "[normalizer]" or "counts:float64" -> a result of the op.
void add_result(Op& op, std::string text) {
  if (text.front() == '[')
    text = text.substr(1, text.size() - 2);
  else
    ++op.returned;
  const size_t colon = text.find(':');
  const std::string dtype = colon == std::string::npos ? "" : text.substr(colon + 1);
  op.results.push_back(text.substr(0, colon));
  op.result_dtypes.push_back(dtype == "float64" ? Dtype::kFloat64
                             : dtype == "int64" ? Dtype::kInt64
                                                : Dtype::kOfArguments);
}

Op parse(const OpLine& line) {
  const std::string signature = line.signature;
  const size_t arrow = signature.find("->");
  const std::string name = line.name;
  Op op{name,
        name + "_backward",
        split(line.arguments, ','),
        {},
        cores(signature.substr(0, arrow)),
        cores(signature.substr(arrow)),
        {},
        0};
  for (const std::string& text : split(line.results, ',')) add_result(op, text);
  return op;
}

std::string tensors(const std::vector<std::string>& names, const std::string& prefix = "") {
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "Tensor " : ", Tensor ") + prefix + name;
  return text;
}

std::string returns(size_t count) {
  if (count == 1) return " -> Tensor";
  return " -> (" + tensors(std::vector<std::string>(count)) + ")";
}

}  // namespace

const Op& parsed(int index) {
  static const std::vector<Op> all = [] {
    std::vector<Op> ops;
    for (const OpLine& line : kOps) ops.push_back(parse(line));
    return ops;
  }();
  return all[index];
}

std::string schema(int index) {
  const Op& op = parsed(index);
  return std::string(kOps[index].name) + "(" + tensors(op.arguments) + ")" +
         returns(op.results.size());
}

std::string backward_schema(int index) {
  const Op& op = parsed(index);
  const std::vector<std::string> differentiable(op.results.begin(),
                                                op.results.begin() + int64_t(op.returned));
  std::string text =
      std::string(kOps[index].name) + "_backward(" + tensors(differentiable, "grad_");
  text += ", " + tensors(op.arguments);
  if (kOps[index].backward_uses_results()) text += ", " + tensors(op.results);
  return text + ", int needs)" + returns(op.arguments.size());
}

}  // namespace pyvae
