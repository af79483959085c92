// `.ew` files: what goes in comes out, constants of a file are used where they fit and nowhere
// else, and damage shows.
#include "ir/ew/ew_file.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/file.h"
#include "ops/ops.h"
#include "runtime/executor.h"
#include "testing/temporary_folder.h"

namespace ew::runtime {
namespace {

using ir::Attrs;
using ir::QuantParams;
using ir::Tensor;
using ir::TensorType;
using ir::ValueId;

std::shared_ptr<const QuantParams> params(float scale, int32_t zero) {
  return std::make_shared<const QuantParams>(QuantParams{{scale}, {zero}});
}

ValueId quantised(ir::Builder& b, ValueId y, float scale, int32_t zero) {
  b.graph().value(y).type.quant = params(scale, zero);
  b.graph().value(y).type.dtype = DType::kI8;
  return y;
}

// convolution with clamp -> depthwise convolution -> sum with its input -> dense -> softmax.
ir::Model small_model() {
  ir::Model model;
  model.architecture.version = "a test";
  ir::Builder b(model.graph);
  const ValueId x = b.input("x", {DType::kI8, Shape{1, 4, 4, 3}, params(0.05F, -3)});
  Tensor w(
      {DType::kI8, Shape{3, 3, 3, 3},
       std::make_shared<const QuantParams>(QuantParams{{0.01F, 0.02F, 0.015F}, {0, 0, 0}, 3})});
  for (int64_t i = 0; i < w.size(); ++i)
    w.mutable_values<int8_t>()[static_cast<size_t>(i)] = static_cast<int8_t>(i * 29 % 200 - 100);
  const ValueId bias = b.constant(Tensor::from<int32_t>(std::vector<int32_t>{40, -700, 9}, {3}));
  ir::ParameterInfo info;
  info.layer = "first";
  info.name = "kernel";
  info.store_path = "a/b";
  const ValueId kernel = b.parameter("first/kernel", w, info);
  b.set_origin("first");
  ValueId y =
      b.add(ops::kConv, {x, kernel, bias}, {{"padding", std::string("same")}, {"clamp_min", 0.0}});
  quantised(b, y, 0.04F, -128);
  Tensor f({DType::kI8, Shape{3, 3, 3, 1},
            std::make_shared<const QuantParams>(QuantParams{{0.03F, 0.01F, 0.02F}, {0, 0, 0}, 2})});
  for (int64_t i = 0; i < f.size(); ++i)
    f.mutable_values<int8_t>()[static_cast<size_t>(i)] = static_cast<int8_t>(i * 83 % 240 - 120);
  y = b.add(ops::kDepthwiseConv, {y, b.constant(f)}, {{"padding", std::string("same")}});
  quantised(b, y, 0.06F, 1);
  y = quantised(b, b.add(ops::kAdd, {y, x}), 0.07F, 5);
  y = quantised(b, b.add(ops::kReshape, {y}, {{"shape", std::vector<int64_t>{1, 48}}}), 0.07F, 5);
  Tensor d({DType::kI8, Shape{48, 5}, params(0.02F, 0)});
  for (int64_t i = 0; i < d.size(); ++i)
    d.mutable_values<int8_t>()[static_cast<size_t>(i)] = static_cast<int8_t>(i * 53 % 251 - 125);
  y = quantised(b, b.add(ops::kDense, {y, b.constant(d, "head")}), 0.3F, 10);
  y = quantised(b, b.add(ops::kSoftmax, {y}), 1.F / 256, -128);
  REQUIRE(b.ok());
  model.graph.outputs = {y};
  return model;
}

std::vector<uint8_t> file_of(const ir::Model& model, bool with_packed = true) {
  const auto executor = Executor::create(model.graph, {});
  REQUIRE(executor.ok());
  const auto packed = (*executor)->packed();
  const auto bytes = ir::write_ew(model, with_packed && packed ? &*packed : nullptr);
  REQUIRE(bytes.ok());
  return *bytes;
}

Result<ir::Model> read(std::span<const uint8_t> bytes) {
  return ir::read_ew(MappedFile::copy_of(bytes), ops::find_op);
}

Tensor run(const ir::Model& model, bool expect_from_file) {
  const auto executor = Executor::create(model.graph, {.packed = model.packed});
  REQUIRE(executor.ok());
  for (const int8::Region* region : (*executor)->regions()) {
    CHECK(region->is_from_file() == expect_from_file);
  }
  Tensor x(model.graph.type(model.graph.inputs[0]));
  for (int64_t i = 0; i < x.size(); ++i)
    x.mutable_values<int8_t>()[static_cast<size_t>(i)] = static_cast<int8_t>(i * 71 % 256 - 128);
  REQUIRE((*executor)->set_input(0, x).ok());
  (*executor)->run();
  return (*executor)->output(0);
}

bool equal(const Tensor& a, const Tensor& b) {
  return std::ranges::equal(a.values<int8_t>(), b.values<int8_t>());
}

}  // namespace

TEST_CASE("ew file: graph, names, attributes, quantisation and constants come back") {
  ir::Model model = small_model();
  model.graph.int8_profile = ir::Int8Profile::kXnnpack;
  model.fixed_inputs["n"] = Tensor::from<int64_t>(std::vector<int64_t>{3, -1}, {2});
  const auto back = read(file_of(model));
  REQUIRE(back.ok());
  CHECK(back->is_executable);
  CHECK(ir::to_text(back->graph) == ir::to_text(model.graph));
  CHECK(back->graph.int8_profile == ir::Int8Profile::kXnnpack);
  CHECK(back->architecture.version == "a test");
  CHECK(back->fixed_inputs.at("n").values<int64_t>()[1] == -1);
  for (size_t i = 0; i < model.graph.values.size(); ++i) {
    const ir::Value& a = model.graph.values[i];
    const ir::Value& b = back->graph.values[i];
    CHECK(a.name == b.name);
    CHECK(a.type == b.type);
    CHECK(std::equal(static_cast<const uint8_t*>(a.data.data()),
                     static_cast<const uint8_t*>(a.data.data()) + a.data.size_bytes(),
                     static_cast<const uint8_t*>(b.data.data())));
  }
  CHECK(back->graph.value(back->graph.parameters()[0]).info->store_path == "a/b");
}

TEST_CASE(
    "ew file: packed constants give the same bytes as those packed from "
    "the weights") {
  const ir::Model model = small_model();
  const Tensor expected = run(model, false);
  const auto packed = read(file_of(model));
  REQUIRE(packed.ok());
  CHECK(equal(run(*packed, true), expected));
  const auto plain = read(file_of(model, false));
  REQUIRE(plain.ok());
  CHECK(equal(run(*plain, false), expected));
}

TEST_CASE(
    "ew file: packed constants of changed weights, nodes or kernels are "
    "not used") {
  const auto file = read(file_of(small_model()));
  REQUIRE(file.ok());
  SUBCASE("a weight was written to") {
    ir::Model changed = *file;
    changed.graph.value(changed.graph.parameters()[0]).data.mutable_values<int8_t>()[0] += 1;
    run(changed, false);
  }
  SUBCASE("a scale is another") {
    ir::Model changed = *file;
    changed.graph.value(changed.graph.nodes[0].outputs[0]).type.quant = params(0.09F, -128);
    run(changed, false);
  }
  SUBCASE("an attribute is another") {
    ir::Model changed = *file;
    changed.graph.nodes[0].attrs.set("clamp_max", 2.0);
    run(changed, false);
  }
  SUBCASE("the layout has another version or target, or a block was cut") {
    for (const int what : {0, 1, 2, 3}) {
      ir::Model changed = *file;
      auto section = std::make_shared<ir::PackedSection>(*file->packed);
      if (what == 0) section->version += 1;
      if (what == 1) section->target = "another";
      if (what == 2) section->parts[0].block = section->parts[0].block.first(64);
      if (what == 3) section->parts[0].facts = section->parts[0].facts.first(1);
      changed.packed = section;
      CHECK(equal(run(changed, false), run(*file, true)));
    }
  }
}

namespace {

// convolutions that the kernels run as tiles and as transforms -> dense layers:
// of halves, of int8 weights and of weights that fit half a byte.
ir::Model float_model() {
  ir::Model model;
  ir::Builder b(model.graph);
  const auto weights = [&](Shape shape, float step) {
    Tensor w(DType::kF32, std::move(shape));
    for (int64_t i = 0; i < w.size(); ++i)
      w.mutable_values<float>()[static_cast<size_t>(i)] =
          static_cast<float>(i * 37 % 101 - 50) * step;
    return b.constant(w);
  };
  const auto integers = [&](Shape shape, int64_t most) {
    Tensor w({DType::kI8, std::move(shape), params(0.01F, 0)});
    for (int64_t i = 0; i < w.size(); ++i)
      w.mutable_values<int8_t>()[static_cast<size_t>(i)] =
          static_cast<int8_t>(i * 29 % (2 * most) - most);
    return b.constant(w);
  };
  const Attrs same = {{"padding", std::string("same")}};
  ValueId y = b.input("x", {DType::kF32, Shape{1, 16, 16, 3}, nullptr});
  y = b.add(ops::kConv, {y, weights({3, 3, 3, 8}, 0.01F)}, same);
  y = b.add(ops::kConv, {y, weights({3, 3, 8, 32}, 0.003F)}, same);
  y = b.add(ops::kConv, {y, weights({3, 3, 32, 32}, 0.001F)}, same);
  y = b.add(ops::kReshape, {y}, {{"shape", std::vector<int64_t>{256, 32}}});
  y = b.add(ops::kDense, {y, weights({32, 256}, 0.0078125F)});
  y = b.add(ops::kDense, {y, integers({256, 32}, 120)});
  y = b.add(ops::kDense, {y, integers({32, 256}, 7)});
  REQUIRE(b.ok());
  model.graph.outputs = {y};
  return model;
}

struct FloatRun {
  std::vector<float> y;
  Executor::PackedCount count;
};

FloatRun run_floats(const ir::Model& model) {
  const auto executor = Executor::create(model.graph, {.packed = model.packed});
  REQUIRE(executor.ok());
  Tensor x(model.graph.type(model.graph.inputs[0]));
  for (int64_t i = 0; i < x.size(); ++i)
    x.mutable_values<float>()[static_cast<size_t>(i)] =
        static_cast<float>(i * 71 % 256 - 128) / 128;
  REQUIRE((*executor)->set_input(0, x).ok());
  (*executor)->run();
  const Tensor y = (*executor)->output(0);
  return {{y.values<float>().begin(), y.values<float>().end()}, (*executor)->packed_count()};
}

}  // namespace

TEST_CASE("ew file: float layers read their constants from it where they fit") {
  const ir::Model model = float_model();
  const FloatRun expected = run_floats(model);
  CHECK(expected.count.all == 6);
  CHECK(expected.count.from_file == 0);
  const auto file = read(file_of(model));
  REQUIRE(file.ok());
  const FloatRun found = run_floats(*file);
  CHECK(found.count.from_file == 6);
  CHECK(found.y == expected.y);

  SUBCASE("a weight was written to: its layer packs") {
    ir::Model changed = *file;
    for (ir::Value& value : changed.graph.values) {
      if (value.type.shape == Shape{3, 3, 8, 32}) value.data.mutable_values<float>()[7] += 1;
    }
    const FloatRun other = run_floats(changed);
    CHECK(other.count.from_file == 5);
    CHECK(other.y != expected.y);
  }
  SUBCASE("an attribute is another") {
    ir::Model changed = *file;
    changed.graph.nodes[1].attrs.set("clamp_min", 0.0);
    CHECK(run_floats(changed).count.from_file == 5);
  }
  SUBCASE("a layout is another, or a block was cut") {
    for (const int what : {0, 1, 2}) {
      ir::Model changed = *file;
      auto section = std::make_shared<ir::PackedSection>(*file->packed);
      ir::PackedPart& part = section->parts[2];
      const std::vector<uint8_t> other = {99, part.facts[1]};
      if (what == 0) part.facts = other;
      if (what == 1) part.facts = part.facts.first(1);
      if (what == 2) part.block = part.block.first(part.block.size() - 64);
      changed.packed = section;
      const FloatRun again = run_floats(changed);
      CHECK(again.count.from_file == 5);
      CHECK(again.y == expected.y);
    }
  }
}

TEST_CASE("ew file: writing to a tensor of a file copies it") {
  const auto file = read(file_of(small_model()));
  REQUIRE(file.ok());
  Tensor w = file->graph.value(file->graph.parameters()[0]).data;
  CHECK(w.owner() != nullptr);
  w.mutable_values<int8_t>()[0] = 77;
  CHECK(w.owner() == nullptr);
  CHECK(file->graph.value(file->graph.parameters()[0]).data.values<int8_t>()[0] != 77);
}

TEST_CASE("ew file: every flipped bit and every length is an error") {
  std::vector<uint8_t> bytes = file_of(small_model());
  const auto signer = [](std::span<const uint8_t>) -> Result<ir::EwSignature> {
    return ir::EwSignature{};
  };
  const auto executor = Executor::create(small_model().graph, {});
  const auto packed = (*executor)->packed();
  const auto with_signature = ir::write_ew(small_model(), &*packed, signer);
  REQUIRE(with_signature.ok());
  for (std::vector<uint8_t> file : {bytes, *with_signature}) {
    REQUIRE(read(file).ok());
    int64_t accepted = 0;
    for (size_t i = 0; i < file.size(); ++i) {
      file[i] ^= static_cast<uint8_t>(1U << (i % 8));
      accepted += read(file).ok() ? 1 : 0;
      file[i] ^= static_cast<uint8_t>(1U << (i % 8));
    }
    CHECK(accepted == 0);
    for (size_t n = 0; n < file.size(); ++n) {
      accepted += read(std::span(file).first(n)).ok() ? 1 : 0;
    }
    file.push_back(0);
    accepted += read(file).ok() ? 1 : 0;
    CHECK(accepted == 0);
  }
}

TEST_CASE("ew file: messages say what is damaged") {
  std::vector<uint8_t> bytes = file_of(small_model());
  const auto message = [&](size_t at) {
    std::vector<uint8_t> file = bytes;
    file[at] ^= 4;
    const auto model = read(file);
    return model.ok() ? std::string() : model.error().message;
  };
  CHECK(message(0) == "expected an .ew file, found another beginning");
  CHECK(message(8) ==
        "written in version 5 of the .ew format; this program "
        "reads 1 (convert the model again)");
  CHECK(message(40) == "the header is damaged (its checksum differs)");
  CHECK(message(140) == "the section GRPH is damaged (its checksum differs)");
  CHECK(message(bytes.size() - 1) == "the section PACK is damaged (its checksum differs)");
  const auto cut = read(std::span(bytes).first(bytes.size() - 64));
  REQUIRE_FALSE(cut.ok());
  CHECK(cut.error().message ==
        str("expected ", bytes.size(), " bytes, found ", bytes.size() - 64, ": the file is cut"));
}

TEST_CASE("ew file: an operator that the program lacks is named") {
  const auto none = [](std::string_view name) -> const ir::OpDef* {
    return name == "softmax" ? nullptr : ops::find_op(name);
  };
  const auto model = ir::read_ew(MappedFile::copy_of(file_of(small_model())), none);
  REQUIRE_FALSE(model.ok());
  CHECK(model.error().code == ErrorCode::kUnsupported);
  CHECK(model.error().message == "node 5: this program has no operator 'softmax'");
}

TEST_CASE("ew file: a verifier sees every byte before the signature and may refuse") {
  const ir::Model model = small_model();
  size_t signed_bytes = 0;
  const auto signed_file =
      ir::write_ew(model, nullptr, [&](std::span<const uint8_t> m) -> Result<ir::EwSignature> {
        signed_bytes = m.size();
        ir::EwSignature s;
        s.signature[63] = 9;
        return s;
      });
  REQUIRE(signed_file.ok());
  const auto seen =
      ir::read_ew(MappedFile::copy_of(*signed_file), ops::find_op,
                  [&](std::span<const uint8_t> m, const ir::EwSignature* s) -> Status {
                    CHECK(m.size() == signed_bytes);
                    CHECK(m.size() + 108 == signed_file->size());
                    REQUIRE(s != nullptr);
                    CHECK(s->signature[63] == 9);
                    return invalid_data("not by our key");
                  });
  REQUIRE_FALSE(seen.ok());
  CHECK(seen.error().message == "not by our key");
}

TEST_CASE("ew file: a mapped part of a file, aligned or not, holds the same model") {
  const testing::TemporaryFolder folder;
  const std::vector<uint8_t> bytes = file_of(small_model());
  const Tensor expected = run(small_model(), false);
  for (const size_t offset : {size_t{0}, size_t{64}, size_t{4096}, size_t{13}}) {
    std::vector<uint8_t> container(offset, 0xAB);
    container.insert(container.end(), bytes.begin(), bytes.end());
    container.insert(container.end(), 5, 0xCD);
    REQUIRE(write_file_atomic(folder.path("c"), container).ok());
    const auto file = MappedFile::open(folder.path("c"), offset, bytes.size());
    REQUIRE(file.ok());
    const auto model = ir::read_ew(*file, ops::find_op);
    REQUIRE(model.ok());
    CHECK(equal(run(*model, true), expected));
  }
  CHECK_FALSE(MappedFile::open(folder.path("c"), 1 << 30, 5).ok());
  CHECK_FALSE(MappedFile::open(folder.path("none")).ok());
  CHECK_FALSE(MappedFile::open(folder.path()).ok());
}

TEST_CASE("executor: weights are let go once every layer that reads them has them in its layout") {
  for (const bool is_also_added : {false, true}) {
    ir::Graph graph;
    ir::Builder b(graph);
    const ValueId x = b.input("x", {DType::kF32, Shape{1, 8, 8, 16}, nullptr});
    Tensor w(DType::kF32, Shape{1, 1, 16, 16});
    for (int64_t i = 0; i < w.size(); ++i)
      w.mutable_values<float>()[static_cast<size_t>(i)] = static_cast<float>(i % 7) - 3;
    const ValueId kernel = b.parameter("kernel", w, {});
    const ValueId unused = b.constant(w);
    ValueId y = b.add(ops::kConv, {b.add(ops::kConv, {x, kernel}), kernel});
    if (is_also_added) {
      const std::vector<int64_t> rows{1, 1, 16, 16};
      y = b.add(ops::kReduceMean, {y}, {{"axes", std::vector<int64_t>{1, 2}}});
      y = b.add(ops::kAdd, {y, b.add(ops::kReshape, {kernel}, {{"shape", rows}})});
    }
    REQUIRE(b.ok());
    graph.outputs = {y};
    const auto executor = Executor::create(graph, {});
    REQUIRE(executor.ok());
    CHECK((*executor)->graph().value(unused).data.empty());
    CHECK((*executor)->graph().value(kernel).data.empty() == !is_also_added);
    const auto expected = Executor::create(graph, {.reference_only = true});
    Tensor input(graph.type(x));
    std::ranges::fill(input.mutable_values<float>(), 0.5F);
    for (const auto* e : {&executor, &expected}) {
      REQUIRE((**e)->set_input(0, input).ok());
      (**e)->run();
    }
    const Tensor found = (*executor)->output(0);
    CHECK(std::ranges::equal(found.values<float>(), (*expected)->output(0).values<float>()));
  }
}

}  // namespace ew::runtime
