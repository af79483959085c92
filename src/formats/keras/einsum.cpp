// Einstein sums of one or two operands as transpose, reshape and matmul.
#include <algorithm>

#include "formats/keras/lowering.h"

namespace ew::formats {
namespace {

using ir::Builder;

struct Equation {
  std::vector<std::string> inputs;
  std::string output;
};

// "..." becomes capital letters, as many as the operand has dimensions beyond its labels; those of
// all operands are aligned at their ends.
Result<Equation> parse(const std::string& text, const std::vector<int>& ranks) {
  const size_t arrow = text.find("->");
  if (arrow == std::string::npos) return unsupported("einsum '", text, "' without '->'");
  Equation e{split(text.substr(0, arrow), ','), text.substr(arrow + 2)};
  if (e.inputs.size() != ranks.size()) {
    return invalid_data("einsum '", text, "' has ", e.inputs.size(), " operands, found ",
                        ranks.size());
  }
  std::string widest;
  const auto expand = [&](std::string& labels, const std::string& dots) {
    std::erase(labels, ' ');
    const size_t at = labels.find("...");
    if (at != std::string::npos) labels.replace(at, 3, dots);
  };
  for (size_t i = 0; i < ranks.size(); ++i) {
    std::string& labels = e.inputs[i];
    std::erase(labels, ' ');
    std::string dots;
    if (labels.find("...") != std::string::npos) {
      const int count = ranks[i] - static_cast<int>(labels.size()) + 3;
      for (int d = std::max(0, std::min(count, 8)); d > 0; --d)
        dots += static_cast<char>('A' + d - 1);
      if (dots.size() > widest.size()) widest = dots;
    }
    expand(labels, dots);
    if (static_cast<int>(labels.size()) != ranks[i]) {
      return invalid_data("einsum '", text, "' does not fit an operand of rank ", ranks[i]);
    }
  }
  expand(e.output, widest);
  for (const std::string& labels : e.inputs) {
    std::string sorted = labels;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
      return unsupported("einsum '", text, "' repeats a label within one operand");
    }
  }
  return e;
}

bool has(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }

ValueId permute(Builder& b, ValueId x, const std::string& from, const std::string& to) {
  std::vector<int64_t> perm;
  for (const char label : to) perm.push_back(static_cast<int64_t>(from.find(label)));
  return transpose(b, x, perm);
}

// Sums over the labels that nothing else mentions.
ValueId sum_unused(Builder& b, ValueId x, std::string& labels, const std::string& used) {
  std::vector<int64_t> axes;
  std::string kept;
  for (size_t d = 0; d < labels.size(); ++d) {
    if (has(used, labels[d]))
      kept += labels[d];
    else
      axes.push_back(static_cast<int64_t>(d));
  }
  labels = kept;
  return axes.empty() ? x : b.add(ops::kReduceSum, {x}, {{"axes", axes}});
}

// Joins the last `count` dimensions into one (a new one of size 1 for none).
ValueId join_last(Builder& b, ValueId x, size_t count) {
  if (count == 1 || !b.ok()) return x;
  const Shape& shape = b.shape(x);
  const size_t kept = static_cast<size_t>(shape.rank()) - count;
  std::vector<int64_t> to(kept, 0);
  int64_t joined = 1;
  for (int d = static_cast<int>(kept); d < shape.rank(); ++d) {
    joined = shape[d] == kUnknown || joined == kUnknown ? kUnknown : joined * shape[d];
  }
  to.push_back(joined);
  return b.add(ops::kReshape, {x}, {{"shape", to}});
}

struct Labels {
  std::string batch, free_x, free_y, contracted;
};

Labels classify(const std::string& x, const std::string& y, const std::string& out) {
  Labels l;
  for (const char label : x) {
    if (!has(y, label))
      l.free_x += label;
    else if (has(out, label))
      l.batch += label;
    else
      l.contracted += label;
  }
  for (const char label : y) {
    if (!has(x, label)) l.free_y += label;
  }
  return l;
}

// The last dimension back into those of `labels`, whose sizes are known.
ValueId split_last(Builder& b, ValueId y, const std::vector<int64_t>& sizes) {
  if (sizes.size() == 1 || !b.ok()) return y;
  std::vector<int64_t> to(static_cast<size_t>(b.shape(y).rank()) - 1, 0);
  for (const int64_t size : sizes) to.push_back(size);
  if (std::count(sizes.begin(), sizes.end(), kUnknown) > 1) {
    return b.fail(unsupported("an einsum needs more sizes to be known"));
  }
  return b.add(ops::kReshape, {y}, {{"shape", to}});
}

std::vector<int64_t> sizes_of(const Builder& b, ValueId x, const std::string& labels,
                              const std::string& wanted) {
  std::vector<int64_t> sizes;
  for (const char label : wanted) sizes.push_back(b.shape(x)[static_cast<int>(labels.find(label))]);
  return sizes;
}

// Without common batch labels, x [free..., contracted] times a matrix: any number of free
// dimensions may be unknown.
ValueId product(Builder& b, ValueId x, ValueId y, const std::string& lx, const std::string& ly,
                const Labels& l) {
  const std::vector<int64_t> columns = sizes_of(b, y, ly, l.free_y);
  ValueId left = join_last(b, permute(b, x, lx, l.free_x + l.contracted), l.contracted.size());
  ValueId right = permute(b, y, ly, l.contracted + l.free_y);
  right = join_last(b, right, l.free_y.size());
  if (l.contracted.empty()) {
    right = expand_dims(b, right, 0);
  } else if (l.contracted.size() > 1 && b.ok()) {
    const int64_t width = b.shape(right)[-1];
    right = b.add(ops::kReshape, {right}, {{"shape", std::vector<int64_t>{-1, width}}});
  }
  if (l.free_x.empty()) left = expand_dims(b, left, 0);
  if (!b.ok()) return kNoValue;
  const ir::OpDef& op = b.shape(right).is_static() ? ops::kDense : ops::kMatmul;
  ValueId out = split_last(b, b.add(op, {left, right}), columns);
  return l.free_x.empty() ? squeeze(b, out, 0) : out;
}

ValueId batched_product(Builder& b, ValueId x, ValueId y, const std::string& lx,
                        const std::string& ly, const Labels& l) {
  const std::vector<int64_t> columns = sizes_of(b, y, ly, l.free_y);
  const std::vector<int64_t> rows = sizes_of(b, x, lx, l.free_x);
  if (l.free_x.size() > 1 || l.contracted.size() > 1) {
    for (const int64_t size : rows) {
      if (size == kUnknown) return b.fail(unsupported("an einsum needs more sizes to be known"));
    }
  }
  // [batch..., contracted, free], so that joining concerns the last dimensions only.
  ValueId left =
      join_last(b, permute(b, x, lx, l.batch + l.contracted + l.free_x), l.free_x.size());
  ValueId right =
      join_last(b, permute(b, y, ly, l.batch + l.contracted + l.free_y), l.free_y.size());
  const auto join_contracted = [&](ValueId v) {
    if (l.contracted.size() == 1) return v;
    std::vector<int64_t> to(l.batch.size(), 0);
    to.push_back(-1);
    to.push_back(b.shape(v)[-1]);
    return b.add(ops::kReshape, {v}, {{"shape", to}});
  };
  left = join_contracted(left);
  right = join_contracted(right);
  ValueId out = b.add(ops::kMatmul, {left, right}, {{"transpose_a", true}});  // [batch, fx, fy]
  if (l.free_x.size() == 1) return split_last(b, out, columns);
  std::vector<int64_t> to(l.batch.size(), 0);
  to.insert(to.end(), rows.begin(), rows.end());
  to.insert(to.end(), columns.begin(), columns.end());
  if (std::count(to.begin(), to.end(), kUnknown) > 1) {
    return b.fail(unsupported("an einsum needs more sizes to be known"));
  }
  return b.add(ops::kReshape, {out}, {{"shape", to}});
}

}  // namespace

ValueId einsum(Builder& b, const std::string& equation, const std::vector<ValueId>& inputs) {
  if (!b.ok()) return kNoValue;
  if (inputs.empty() || inputs.size() > 2) {
    return b.fail(unsupported("einsum '", equation, "': expected one or two operands, found ",
                              inputs.size()));
  }
  std::vector<int> ranks;
  for (const ValueId x : inputs) ranks.push_back(b.shape(x).rank());
  const Result<Equation> parsed = parse(equation, ranks);
  if (!parsed.ok()) return b.fail(parsed.error());
  std::vector<std::string> labels = parsed->inputs;
  const std::string& out = parsed->output;
  const std::string known = labels[0] + (labels.size() > 1 ? labels[1] : "");
  for (const char label : out) {
    if (!has(known, label)) return b.fail(invalid_data("einsum '", equation, "': unknown label"));
  }
  if (inputs.size() == 1) {
    const ValueId x = sum_unused(b, inputs[0], labels[0], out);
    return b.ok() ? permute(b, x, labels[0], out) : kNoValue;
  }
  const ValueId x = sum_unused(b, inputs[0], labels[0], labels[1] + out);
  const ValueId y = sum_unused(b, inputs[1], labels[1], labels[0] + out);
  if (!b.ok()) return kNoValue;
  const Labels l = classify(labels[0], labels[1], out);
  const ValueId z = l.batch.empty() ? product(b, x, y, labels[0], labels[1], l)
                                    : batched_product(b, x, y, labels[0], labels[1], l);
  return b.ok() ? permute(b, z, l.batch + l.free_x + l.free_y, out) : kNoValue;
}

}  // namespace ew::formats
