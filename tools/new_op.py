#!/usr/bin/env python3
"""Writes the folder of a new operator and its line in src/ops/ops.def.

    tools/new_op.py NAME [--facets grad,cpu] [--root FOLDER]

NAME is snake case. What is written compiles and passes its test: an operator of one input that
copies it. Change the schema, the shape rule, the reference and the test, then the facets. Facets:
grad (gradient), cpu (micro-kernels). Keras names are a facet to write by hand: see
src/ops/softmax/softmax_io.cpp.
"""

import argparse
import re
import sys
from pathlib import Path

OPERATOR = '''\
/// {name}: y = x.
///
///   inputs   x: floating
///   outputs  y: type of x
///   errors   kInvalidArgument if x is not floating
#include "ops/ops.h"

namespace ew::ops {{
namespace {{

Result<std::vector<TensorType>> infer(InputTypes in, const Attrs& attrs) {{
  EW_TRY_VOID(expect_floating(*in[0]));
  return infer_same(in, attrs);
}}

void reference(ConstViews in, Views out, const Attrs&) {{
  dispatch_real(in[0].dtype(), [&]<typename T>() {{
    const T* x = in[0].as<T>();
    T* y = out[0].as<T>();
    for (int64_t i = 0; i < in[0].shape().num_elements(); ++i) y[i] = x[i];
  }});
}}

}}  // namespace

const OpDef k{Name}{{.name = "{name}", .infer = infer, .reference = reference}};

}}  // namespace ew::ops
'''

GRAD = '''\
// dx = dy.
#include "ops/gradient.h"

namespace ew::ops {{
namespace {{

std::vector<ValueId> grad(Builder&, const Node&, std::span<const ValueId> dy) {{ return {{dy[0]}}; }}

}}  // namespace

extern const Gradient {name}_grad{{.grad = grad}};

}}  // namespace ew::ops
'''

CPU = '''\
// {name} on the CPU; the reference runs what prepare() returns null for.
#include "runtime/kernel.h"

namespace ew::ops {{

std::unique_ptr<runtime::Kernel> {name}_cpu(const runtime::KernelContext& context);
std::unique_ptr<runtime::Kernel> {name}_cpu(const runtime::KernelContext&) {{ return nullptr; }}

}}  // namespace ew::ops
'''

TEST = '''\
#include <doctest/doctest.h>

#include "testing/op_check.h"

namespace ew::testing {{

TEST_CASE("{name}: every facet agrees with the reference") {{
  check_op(ops::k{Name}, {{{{.why = "a matrix", .in = {{{{2, 3}}}}}}, {{.why = "empty", .in = {{{{0, 3}}}}}}}});
}}

TEST_CASE("{name}: matches a golden computed by hand") {{
  const auto y = run(ops::k{Name}, {{tensor({{3}}, {{1, -2, 3}})}});
  CHECK(all_near(y[0], {{1, -2, 3}}));
}}

}}  // namespace ew::testing
'''

FACETS = {"grad": GRAD, "cpu": CPU}
COLUMNS = ("grad", "cpu", "c", "rtl", "io")


def row(name, class_name, facets):
    """The line of ops.def."""
    marks = ", ".join(("yes" if column in facets else "no") for column in COLUMNS)
    return f"EW_OP({name + ',':<18} {class_name + ',':<18} {marks})"


def insert_row(text, name, line):
    """The table with `line` before the first operator whose name comes later."""
    lines = text.splitlines()
    rows = [i for i, old in enumerate(lines) if old.startswith("EW_OP(")]
    for i in rows:
        old = re.match(r"EW_OP\((\w+)", lines[i])[1]
        if old == name:
            raise ValueError(f"{name} is in ops.def already")
    at = next((i for i in rows if re.match(r"EW_OP\((\w+)", lines[i])[1] > name), len(lines))
    return "\n".join(lines[:at] + [line] + lines[at:]) + "\n"


def write_operator(root, name, facets):
    """Writes folder and line below `root`; returns the files written."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ValueError(f"expected a name in snake case, found '{name}'")
    unknown = [facet for facet in facets if facet not in FACETS]
    if unknown:
        raise ValueError(f"unknown facet '{unknown[0]}'; known: {', '.join(FACETS)}")
    folder = root / "src/ops" / name
    if folder.exists():
        raise ValueError(f"{folder} exists already")
    class_name = "".join(part.capitalize() for part in name.split("_"))
    table = root / "src/ops/ops.def"
    new_table = insert_row(table.read_text(), name, row(name, class_name, facets))
    texts = {f"{name}.cpp": OPERATOR, f"{name}_test.cpp": TEST}
    texts.update({f"{name}_{facet}.cpp": FACETS[facet] for facet in facets})
    folder.mkdir(parents=True)
    for file, text in texts.items():
        (folder / file).write_text(text.format(name=name, Name=class_name))
    table.write_text(new_table)
    return [folder / file for file in texts]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("--facets", default="grad", help="comma-separated: " + ", ".join(FACETS))
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    arguments = parser.parse_args()
    facets = [facet for facet in arguments.facets.split(",") if facet]
    try:
        files = write_operator(arguments.root, arguments.name, facets)
    except ValueError as error:
        print(f"new_op: {error}", file=sys.stderr)
        return 2
    for file in files:
        print(file.relative_to(arguments.root))
    print("src/ops/ops.def")
    return 0


if __name__ == "__main__":
    sys.exit(main())
