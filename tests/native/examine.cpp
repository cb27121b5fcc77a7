// SPDX-License-Identifier: MIT
#include "examine.h"

#include <stdexcept>

#include "compare.h"
#include "setup.h"

namespace pyvae::native {
namespace {

// Around every vector width and tile edge of the kernels: whole registers, one less, one more.
constexpr int64_t kSizes[] = {0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65};
constexpr size_t kSizeCount = sizeof(kSizes) / sizeof(kSizes[0]);

constexpr uint32_t kOtherScratch = 0x4b4b4b4b;  // a large number, where kUnwritten is a NaN

class Examination {
 public:
  Examination(const Subject& subject, const std::vector<std::string>& variants)
      : subject_(subject), variants_(variants) {}

  int64_t run() {
    for (const bool is_double : {false, true}) {
      sizes(is_double);
      if (extent() == Extent::kFew) continue;
      layouts(is_double);
      threads(is_double);
      hard_values(is_double);
    }
    return calls_;
  }

 private:
  // Every size for every letter, with steps that pair each with others every time round.
  void sizes(bool is_double) {
    const Shape batches[] = {{}, {3}, {2, 2}};
    for (size_t i = 0; i < 2 * kSizeCount; ++i) {
      const auto size = [&](size_t step) {
        return kSizes[(step * i + i / kSizeCount) % kSizeCount];
      };
      const Setting setting{size(1), size(5), size(8), batches[i % 3], is_double, narrow(i / 2)};
      if (is_left_out(setting)) continue;
      const Inputs inputs = draw(subject_, setting, i);
      const Outcome truth = reference(setting, inputs);
      located(setting, {}, [&] { require_no_nan(truth); });
      on_every_variant([&](Manner manner) {
        compare(setting, inputs, truth, manner, kOrdinary);
        if (extent() == Extent::kFew || i % 2) return;
        manner.layout = Layout(1 + i / 2 % 3);
        compare(setting, inputs, truth, manner, kOrdinary);
      });
    }
  }

  // Every layout, batch dimensions that cannot be merged, and every choice of gradients.
  void layouts(bool is_double) {
    for (size_t i = 0; i < (extent() == Extent::kAll ? 4 : 1); ++i) {
      const int64_t n = i % 2 ? 65 : 9, k = i % 2 ? 33 : 17, d = i % 2 ? 9 : 17;
      const Setting setting{n, k, d, {2, 2}, is_double, narrow(i / 2)};
      if (is_left_out(setting)) continue;
      Inputs inputs = draw(subject_, setting, i);
      repeat(inputs, i);
      const Outcome truth = reference(setting, inputs);
      on_every_variant([&](Manner manner) {
        for (const Layout layout :
             {Layout::kRepeated, Layout::kUnaligned, Layout::kStrided, Layout::kTransposed}) {
          manner.layout = layout;
          compare(setting, inputs, truth, manner, kOrdinary);
        }
        if (i < 2) partial_gradients(setting, inputs, truth, manner);
      });
    }
  }

  void partial_gradients(const Setting& setting, const Inputs& inputs, const Outcome& truth,
                         Manner manner) {
    for (size_t argument = 0; argument < inputs.arguments.size(); ++argument)
      for (const uint64_t needs : {uint64_t(1) << argument, ~(uint64_t(1) << argument)}) {
        manner.needs = needs;
        compare(setting, inputs, truth, manner, kOrdinary);
      }
    manner.needs = 0;
    compare(setting, inputs, truth, manner, kOrdinary);
  }

  // Work enough for several tasks: of points, of batch entries, of both. The same number of threads
  // gives the same bits, whatever the scratch memory held before.
  void threads(bool is_double) {
    const Setting settings[] = {{200, 40, 19, {}, is_double},
                                {3, 5, 17, {2, 250}, is_double},
                                {130, 40, 9, {2}, is_double, narrow(1)}};
    for (const Setting& setting : settings) {
      if (is_left_out(setting)) continue;
      const Inputs inputs = draw(subject_, setting, 7);
      const Outcome truth = reference(setting, inputs);
      on_every_variant([&](Manner manner) {
        for (const int count : {1, 2, 5}) {
          if (count > 1 && extent() != Extent::kAll) return;  // a GPU takes no threads
          manner.threads = count, manner.scratch = kUnwritten;
          const Outcome first = compare(setting, inputs, truth, manner, kOrdinary);
          manner.scratch = kOtherScratch;
          const Outcome second = made(setting, inputs, manner);
          located(setting, manner, [&] { require_same_bits(second, first); });
        }
      });
    }
  }

  void hard_values(bool is_double) {
    for (const Hard& hard : native::hard_values())
      for (size_t i = 0; i < (extent() == Extent::kAll ? 3 : 2); ++i) {
        const bool large = i == 2;
        const Setting setting{large ? 70 : 5, large ? 33 : 3, large ? 17 : 4, {},
                              is_double,      narrow(i)};
        Inputs inputs = draw(subject_, setting, 11);
        if (!hard.apply(inputs)) continue;
        values_ = hard.name;
        const Outcome truth = reference(setting, inputs);
        on_every_variant(
            [&](const Manner& manner) { compare(setting, inputs, truth, manner, kExtreme); });
        values_ = "ordinary values";
      }
  }

  // Of slow kernels the small sizes are examined.
  bool is_left_out(const Setting& setting) const {
    if (extent() == Extent::kAll) return false;
    int64_t work = count_of(setting.batch);
    for (const char letter : subject_.letters)
      work *= letter == 'n' ? setting.n : letter == 'k' ? setting.k : setting.d;
    return work > (extent() == Extent::kSome ? 1 << 15 : 1 << 12);
  }

  // The tables alternate between the full and the narrow form, where the op has one.
  bool narrow(size_t i) const { return i % 2 == 1 && may_be_narrow(subject_); }

  template <class Body>
  void on_every_variant(const Body& body) {
    for (size_t variant = 0; variant < variants_.size(); ++variant) body(Manner{variant});
  }

  Outcome reference(const Setting& setting, const Inputs& inputs) {
    return made(setting, inputs, {});
  }

  Outcome made(const Setting& setting, const Inputs& inputs, const Manner& manner) {
    prepare(calls_++, setting);
    Outcome outcome;
    located(setting, manner, [&] { outcome = call(subject_, setting, inputs, manner); });
    return outcome;
  }

  Outcome compare(const Setting& setting, const Inputs& inputs, const Outcome& truth,
                  const Manner& manner, const Tolerance& tolerance) {
    const Outcome outcome = made(setting, inputs, manner);
    located(setting, manner, [&] { require_close(outcome, truth, setting.kind(), tolerance); });
    return outcome;
  }

  // Says where it happened.
  template <class Body>
  void located(const Setting& setting, const Manner& manner, const Body& body) const {
    try {
      body();
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(subject_.name + " on " + variants_[manner.variant] + ", " +
                               setting.text() + ", " + manner.text() + ", " + values_ + ": " +
                               error.what());
    }
  }

  const Subject& subject_;
  const std::vector<std::string>& variants_;
  std::string values_ = "ordinary values";
  int64_t calls_ = 0;
};

}  // namespace

int64_t examine(const Subject& subject, const std::vector<std::string>& variants) {
  return Examination(subject, variants).run();
}

}  // namespace pyvae::native
