#include "formats/onnx/proto.h"

namespace ew::formats::onnx {
namespace {

constexpr int kMaxDepth = 24;
constexpr int64_t kMaxMessages = int64_t{1} << 21;

class Parser {
 public:
  Status finish() const { return status_; }

  void model(Bytes bytes, ModelProto& m) {
    each(bytes, "model", [&](const Field& f) {
      if (f.id == 1) m.ir_version = f.integer();
      if (f.id == 2) m.producer_name = f.text();
      if (f.id == 3) m.producer_version = f.text();
      if (f.id == 8 && is_message(f)) m.opsets.push_back(opset(f.bytes));
      if (f.id == 7 && is_message(f)) {
        m.has_graph = true;
        graph(f.bytes, m.graph);
      }
      if (f.id == 25 && is_message(f)) function(f.bytes, m.functions.emplace_back());
    });
  }

  void tensor(Bytes bytes, TensorProto& t) {
    each(bytes, "tensor", [&](const Field& f) {
      if (f.id == 1) check(append_varints(f, t.dims), "dims");
      if (f.id == 2) t.data_type = static_cast<int32_t>(f.integer());
      if (f.id == 4) check(append_floats(f, t.float_data), "float_data");
      if (f.id == 5 || f.id == 7 || f.id == 11) check(append_varints(f, t.int_data), "int data");
      if (f.id == 6) t.string_data.push_back(f.text());
      if (f.id == 8) t.name = f.text();
      if (f.id == 9 && is_message(f)) t.raw_data = f.bytes;
      if (f.id == 10) check(append_doubles(f, t.double_data), "double_data");
      if (f.id == 13 && is_message(f)) t.external_data.push_back(entry(f.bytes));
      if (f.id == 14) t.is_external = f.integer() == 1;
    });
  }

  void sequence(Bytes bytes, std::vector<TensorProto>& tensors) {
    each(bytes, "sequence", [&](const Field& f) {
      if (f.id == 3 && is_message(f)) tensor(f.bytes, tensors.emplace_back());
    });
  }

 private:
  void check(bool is_good, const char* what) {
    if (!is_good && status_.ok()) status_ = invalid_data("malformed ", what);
  }

  static bool is_message(const Field& f) { return f.kind == WireKind::kBytes; }

  template <typename F>
  void each(Bytes bytes, const char* what, F f) {
    if (!status_.ok()) return;
    if (++depth_ > kMaxDepth || ++messages_ > kMaxMessages) {
      status_ = make_error(ErrorCode::kResourceLimit, "more than ", kMaxMessages,
                           " messages or nesting deeper than ", kMaxDepth);
      return;
    }
    WireReader reader(bytes);
    Field field;
    while (status_.ok() && reader.next(field)) f(field);
    if (status_.ok() && !reader.ok()) status_ = invalid_data("malformed bytes in a ", what);
    --depth_;
  }

  std::pair<std::string_view, std::string_view> entry(Bytes bytes) {
    std::pair<std::string_view, std::string_view> pair;
    each(bytes, "string pair", [&](const Field& f) {
      if (f.id == 1) pair.first = f.text();
      if (f.id == 2) pair.second = f.text();
    });
    return pair;
  }

  std::pair<std::string_view, int64_t> opset(Bytes bytes) {
    std::pair<std::string_view, int64_t> pair;
    each(bytes, "operator set", [&](const Field& f) {
      if (f.id == 1) pair.first = f.text();
      if (f.id == 2) pair.second = f.integer();
    });
    return pair;
  }

  void graph(Bytes bytes, GraphProto& g) {
    each(bytes, "graph", [&](const Field& f) {
      if (!is_message(f)) return;
      if (f.id == 1) node(f.bytes, g.nodes.emplace_back());
      if (f.id == 2) g.name = f.text();
      if (f.id == 5) tensor(f.bytes, g.initializers.emplace_back());
      if (f.id == 11) value_info(f.bytes, g.inputs.emplace_back());
      if (f.id == 12) value_info(f.bytes, g.outputs.emplace_back());
      if (f.id == 15) g.has_sparse_initializers = true;
    });
  }

  void function(Bytes bytes, FunctionProto& fn) {
    each(bytes, "function", [&](const Field& f) {
      if (!is_message(f)) return;
      if (f.id == 1) fn.name = f.text();
      if (f.id == 4) fn.inputs.push_back(f.text());
      if (f.id == 5) fn.outputs.push_back(f.text());
      if (f.id == 7) node(f.bytes, fn.nodes.emplace_back());
      if (f.id == 9) fn.opsets.push_back(opset(f.bytes));
      if (f.id == 10) fn.domain = f.text();
      if (f.id == 11) attribute(f.bytes, fn.defaults.emplace_back());
    });
  }

  void node(Bytes bytes, NodeProto& n) {
    each(bytes, "node", [&](const Field& f) {
      if (!is_message(f)) return;
      if (f.id == 1) n.inputs.push_back(f.text());
      if (f.id == 2) n.outputs.push_back(f.text());
      if (f.id == 3) n.name = f.text();
      if (f.id == 4) n.op_type = f.text();
      if (f.id == 5) attribute(f.bytes, n.attributes.emplace_back());
      if (f.id == 7) n.domain = f.text() == "ai.onnx" ? std::string_view() : f.text();
    });
  }

  void attribute(Bytes bytes, AttributeProto& a) {
    each(bytes, "attribute", [&](const Field& f) {
      if (f.id == 1) a.name = f.text();
      if (f.id == 2) a.f = f.real32();
      if (f.id == 3) a.i = f.integer();
      if (f.id == 4) a.s = f.text();
      if ((f.id == 5 || f.id == 10) && is_message(f)) tensor(f.bytes, a.tensors.emplace_back());
      if ((f.id == 6 || f.id == 11) && is_message(f)) graph(f.bytes, a.graphs.emplace_back());
      if (f.id == 7) check(append_floats(f, a.floats), "floats");
      if (f.id == 8) check(append_varints(f, a.ints), "ints");
      if (f.id == 9) a.strings.push_back(f.text());
      if (f.id == 20) a.type = static_cast<int32_t>(f.integer());
      if (f.id == 21) a.reference = f.text();
      if (f.id == 22 || f.id == 23) a.is_sparse = true;
    });
  }

  void value_info(Bytes bytes, ValueInfo& v) {
    each(bytes, "value", [&](const Field& f) {
      if (f.id == 1) v.name = f.text();
      if (f.id == 2 && is_message(f)) type(f.bytes, v);
    });
  }

  void type(Bytes bytes, ValueInfo& v) {
    each(bytes, "type", [&](const Field& f) {
      if (!is_message(f)) return;
      const bool is_inner = v.kind != ValueInfo::Kind::kNone;
      if (f.id == 1) {
        if (!is_inner) v.kind = ValueInfo::Kind::kTensor;
        tensor_type(f.bytes, v);
      } else if (f.id == 4 || f.id == 9) {
        if (!is_inner) v.kind = f.id == 4 ? ValueInfo::Kind::kSequence : ValueInfo::Kind::kOptional;
        each(f.bytes, "element type", [&](const Field& e) {
          if (e.id == 1 && is_message(e)) type(e.bytes, v);
        });
      } else if (f.id == 5 || f.id == 7 || f.id == 8) {
        v.kind = ValueInfo::Kind::kOther;
      }
    });
  }

  void tensor_type(Bytes bytes, ValueInfo& v) {
    each(bytes, "tensor type", [&](const Field& f) {
      if (f.id == 1) v.elem_type = static_cast<int32_t>(f.integer());
      if (f.id != 2 || !is_message(f)) return;
      v.has_shape = true;
      each(f.bytes, "shape", [&](const Field& d) {
        if (d.id != 1 || !is_message(d)) return;
        v.dims.push_back(-1);
        v.parameters.emplace_back();
        each(d.bytes, "dimension", [&](const Field& e) {
          if (e.id == 1) v.dims.back() = e.integer();
          if (e.id == 2) v.parameters.back() = e.text();
        });
      });
    });
  }

  Status status_;
  int depth_ = 0;
  int64_t messages_ = 0;
};

template <typename T, typename F>
Result<T> parsed(Bytes bytes, F f) {
  T value;
  Parser parser;
  f(parser, bytes, value);
  EW_TRY_VOID(parser.finish());
  return value;
}

}  // namespace

Result<ModelProto> parse_model(Bytes bytes) {
  return parsed<ModelProto>(bytes, [](Parser& p, Bytes b, ModelProto& m) { p.model(b, m); });
}

Result<TensorProto> parse_tensor(Bytes bytes) {
  return parsed<TensorProto>(bytes, [](Parser& p, Bytes b, TensorProto& t) { p.tensor(b, t); });
}

Result<std::vector<TensorProto>> parse_tensor_sequence(Bytes bytes) {
  return parsed<std::vector<TensorProto>>(
      bytes, [](Parser& p, Bytes b, std::vector<TensorProto>& t) { p.sequence(b, t); });
}

}  // namespace ew::formats::onnx
