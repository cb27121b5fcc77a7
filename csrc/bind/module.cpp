// SPDX-License-Identifier: MIT
// The module pyvae._C. Importing it registers the ops with torch; its functions tell facts of the
// build.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <span>

#include "bind/ops.h"
#include "cpu/table.h"

namespace py = pybind11;

namespace {

py::dict build_info() {
  int count = 0;
  const pyvae::Variant* const all = pyvae::variants(&count);
  py::list compiled, supported;
  for (int i = 0; i < count; ++i) {
    compiled.append(all[i].name);
    if (all[i].supported()) supported.append(all[i].name);
  }
  py::dict info;
  info["version"] = PYVAE_VERSION;
  info["compiler"] = __VERSION__;
  info["instruction_sets"] = compiled;
  info["instruction_sets_supported"] = supported;
  info["instruction_set"] = pyvae::chosen().name;
  info["cuda_architectures"] = py::str(PYVAE_CUDA_ARCHITECTURES).attr("split")();
  info["cuda_missing"] = PYVAE_CUDA_MISSING;
  return info;
}

// The names of the results' dtypes; None is the arguments'.
py::list dtypes(const pyvae::Op& op) {
  py::list names;
  for (const pyvae::Dtype dtype : op.result_dtypes) {
    if (dtype == pyvae::Dtype::kOfArguments)
      names.append(py::none());
    else
      names.append(dtype == pyvae::Dtype::kInt64 ? "int64" : "float64");
  }
  return names;
}

py::list op_table() {
  py::list table;
  for (int i = 0; i < pyvae::kOpCount; ++i) {
    const pyvae::OpLine& line = pyvae::kOps[i];
    const pyvae::Op& op = pyvae::parsed(i);
    py::dict row;
    row["name"] = line.name;
    row["arguments"] = op.arguments;
    row["results"] = op.results;
    row["signature"] = line.signature;
    row["result_dtypes"] = dtypes(op);
    row["auxiliary"] = op.results.size() - op.returned;
    row["differentiable"] = line.has_backward();
    row["backward_uses_results"] = line.backward_uses_results();
    table.append(row);
  }
  return table;
}

template <class T>
py::array evaluate_as(pyvae::MathFunction function, const py::array& input) {
  const auto x = py::array_t<T, py::array::c_style | py::array::forcecast>(input);
  py::array_t<T> y(x.size());
  pyvae::chosen().table->evaluate[sizeof(T) == 8](function, x.data(), y.mutable_data(), x.size());
  return y;
}

py::array evaluate(const std::string& name, const py::array& x) {
  using pyvae::MathFunction;
  const auto names = std::span(pyvae::kMathFunctions);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw py::value_error("no math function named " + name);
  const auto function = MathFunction(found - names.begin());
  return x.dtype().itemsize() == 8 ? evaluate_as<double>(function, x)
                                   : evaluate_as<float>(function, x);
}

}  // namespace

PYBIND11_MODULE(_C, module) {
  pyvae::chosen();  // a wrong PYVAE_CPU_ISA fails the import, not the first call
  module.doc() = "The compiled part of pyvae: importing it registers the ops of torch.ops.pyvae.";
  module.def(
      "build_info", &build_info,
      "Version, compiler, instruction sets compiled, supported and chosen; for which GPUs the "
      "CUDA kernels were built, or why they were not.");
  module.def("op_table", &op_table,
             "Name, arguments, results and gufunc signature of every registered op.");
  module.def("evaluate", &evaluate,
             "A math primitive of the chosen instruction set, for the tests of its error bound.");
  module.attr("LISTED") = pyvae::kListed;
  module.def("set_instruction_set", &pyvae::choose,
             "Run the ops on this instruction set from now on; not thread-safe.");
}
