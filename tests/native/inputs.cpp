// SPDX-License-Identifier: MIT
#include "inputs.h"

#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>

namespace pyvae::native {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

using Change = std::function<bool(Inputs&)>;

bool starts(const std::string& name, const char* prefix) { return name.rfind(prefix, 0) == 0; }

// Row and column of element `i` in the last two dimensions.
struct Place {
  int64_t row, column;
};
Place place_of(const Input& input, size_t i) {
  const int64_t columns = input.shape.back();
  const int64_t rows = input.shape.size() > 1 ? input.shape[input.shape.size() - 2] : 1;
  return {int64_t(i) / columns % rows, int64_t(i) % columns};
}

// One rule for each family of names. A lower-triangular factor has a positive diagonal, and above
// it what nobody may read.
double ordinary(const Input& input, size_t i, double normal) {
  const std::string& name = input.name;
  if (starts(name, "logvar")) return 0.5 * normal;
  if (starts(name, "log_weights")) return normal - std::log(double(input.shape.back()));
  if (starts(name, "logits")) return 2.0 * normal;
  if (starts(name, "sample_weight")) return normal > 0 ? normal : 0.0;
  if (starts(name, "scale_tril")) {
    const Place place = place_of(input, i);
    if (place.column > place.row) return kNan;
    return place.column == place.row ? std::exp(0.3 * normal) : 0.3 * normal;
  }
  if (starts(name, "mean") || name == "x" || name == "w") return normal;
  throw std::runtime_error("no rule for an argument named " + name +
                           ": give `ordinary` one, in tests/native/inputs.cpp");
}

Input shaped(const std::string& name, const Core& core, const Setting& setting) {
  Input input{name, core.letters, setting.shape_of(core), {}};
  input.data.resize(size_t(count_of(input.shape)));
  return input;
}

// Index along the dimension of `letter`, or -1 where the core has none.
int64_t index_of(const Input& input, char letter, size_t i) {
  const size_t found = input.letters.find(letter);
  if (found == std::string::npos) return -1;
  size_t dim = input.shape.size() - input.letters.size() + found;
  int64_t below = 1;
  for (size_t after = dim + 1; after < input.shape.size(); ++after) below *= input.shape[after];
  return int64_t(i) / below % input.shape[dim];
}

// Puts body(input, i, value) in the place of every value; whether that changed one.
template <class Body>
bool change(Inputs& inputs, const Body& body) {
  bool changed = false;
  for (Input& input : inputs.arguments)
    for (size_t i = 0; i < input.data.size(); ++i) {
      const double before = input.data[i];
      input.data[i] = body(input, i, before);
      changed |= input.data[i] != before && before == before;
    }
  return changed;
}

// Every argument whose name starts so holds one value.
Change constant(const char* prefix, double value) {
  return [=](Inputs& inputs) {
    return change(inputs, [&](const Input& input, size_t, double before) {
      return starts(input.name, prefix) ? value : before;
    });
  };
}

// Every factor times one number.
Change scaled_factors(double by) {
  return [=](Inputs& inputs) {
    return change(inputs, [&](const Input& input, size_t, double value) {
      return starts(input.name, "scale_tril") ? value * by : value;
    });
  };
}

// Every second component counts for nothing, and holds whatever it likes.
bool dead_components(Inputs& inputs) {
  return change(inputs, [](const Input& input, size_t i, double value) {
    const int64_t k = index_of(input, 'k', i);
    if (k < 0 || k % 2 == 1) return value;
    if (starts(input.name, "log_weights") || starts(input.name, "logits")) return -kInf;
    if (input.letters[0] != 'k') return value;
    const double garbage[] = {kNan, kInf, -kInf, 1e30};
    const bool shared = input.shape[input.shape.size() - input.letters.size()] == 1;
    return shared ? value : garbage[k / 2 % 4];
  });
}

// Points are what densities are taken at: their rows go by n, or they are means of q.
bool is_point(const Input& input) {
  return input.name == "x" || input.name == "w" || input.name == "mean_q";
}

// One coordinate of most points.
Change points_at(double to) {
  return [=](Inputs& inputs) {
    return change(inputs, [&](const Input& input, size_t i, double value) {
      const bool here = index_of(input, 'n', i) % 3 != 0 && index_of(input, 'd', i) == 0;
      return is_point(input) && here ? to : value;
    });
  };
}

}  // namespace

Inputs draw(const Subject& subject, const Setting& setting, uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::normal_distribution<double> normal;
  Inputs inputs;
  for (size_t i = 0; i < subject.op.arguments.size(); ++i) {
    Input input = shaped(subject.op.arguments[i], subject.op.argument_cores[i], setting);
    for (size_t at = 0; at < input.data.size(); ++at)
      input.data[at] = float(ordinary(input, at, normal(generator)));
    inputs.arguments.push_back(input);
  }
  for (size_t i = 0; subject.kernels[0].backward[0] && i < subject.op.returned; ++i) {
    Input input = shaped(subject.op.results[i], subject.op.result_cores[i], setting);
    for (double& value : input.data) value = float(normal(generator));
    inputs.upstream.push_back(input);
  }
  return inputs;
}

void repeat(Inputs& inputs, size_t shift) {
  const auto make = [&](Input& input) {
    if (input.shape.empty() || input.data.empty()) return;
    const size_t dim = shift++ % input.shape.size();
    int64_t below = 1;
    for (size_t after = dim + 1; after < input.shape.size(); ++after) below *= input.shape[after];
    for (size_t i = 0; i < input.data.size(); ++i)
      input.data[i] = input.data[i - size_t(int64_t(i) / below % input.shape[dim] * below)];
    // The elements of a factor differ from row to row, and stay as they are.
    input.repeated = int(dim);
  };
  for (Input& input : inputs.arguments)
    if (!starts(input.name, "scale_tril")) make(input);
  for (Input& input : inputs.upstream) make(input);
}

std::vector<Hard> hard_values() {
  std::vector<Hard> all;
  for (const char* prefix : {"logvar", "logvars", "logvar_q", "logvar_p"})
    for (const double value : {-80.0, 80.0})
      all.push_back(
          {std::string(prefix) + "* at " + std::to_string(value), constant(prefix, value)});
  for (const double value : {-kInf, -200.0, 50.0})
    all.push_back({"log_weights at " + std::to_string(value), constant("log_weights", value)});
  for (const double power : {-20.0, 20.0})
    all.push_back({"factors times e^" + std::to_string(power), scaled_factors(std::exp(power))});
  for (const double value : {kNan, kInf, -kInf, 1e30})
    all.push_back({"points at " + std::to_string(value), points_at(value)});
  all.push_back({"means at 10000", constant("mean", 1e4)});
  all.push_back({"dead components", dead_components});
  return all;
}

}  // namespace pyvae::native
