#!/usr/bin/env python3
"""Writes docs/ops.md, the table of operators, from their definitions.

    tools/ops_table.py            writes the file
    tools/ops_table.py --check    exit status 1 if the file is not what would be written

Reads the tables of src/ops/ (ops.def, unary.def, binary.def, lowering.def) and the first line of the
comment at the top of each operator's file.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FACETS = ("gradient", "CPU kernel", "C", "RTL", "Keras")
HEAD = """\
# Operators

Written by `tools/ops_table.py` from `src/ops/`; do not edit. Every operator has a shape rule and a
reference; the columns say what else it has. An operator without a CPU kernel runs its reference.

| operator | meaning | {facets} |
| --- | --- | {rules} |
"""


def calls(text, macro):
    """The arguments of every line macro(...), cut at the commas outside brackets."""
    for line in re.findall(rf"^{macro}\((.*)\)\s*$", text, re.MULTILINE):
        depth, parts = 0, [""]
        for character in line:
            depth += (character in "([{") - (character in ")]}")
            if character == "," and depth == 0:
                parts.append("")
            else:
                parts[-1] += character
        yield [part.strip() for part in parts]


def summary(name):
    """What the first comment line of the operator's file says after its name."""
    text = (ROOT / "src/ops" / name / f"{name}.cpp").read_text(encoding="utf-8")
    lines = re.findall(r"^///? ?(.*)", text, re.MULTILINE)
    first = lines[0] if lines else ""
    for line in lines[1:]:  # the sentence may go on in the next lines
        if not line.strip() or line.startswith(" ") or first.endswith("."):
            break
        first += " " + line
    first = re.sub(r"\. [^.]*:$", "", first)  # a sentence that introduces a list
    return re.sub(rf"^{name}:\s*", "", first).rstrip(".").replace("|", "\\|")


def read(name):
    file = ROOT / "src/ops" / name
    return file.read_text(encoding="utf-8") if file.exists() else ""


def table():
    text = HEAD.format(facets=" | ".join(FACETS), rules=" | ".join(["---"] * len(FACETS)))
    for name, _, *facets in sorted(calls(read("ops.def"), "EW_OP")):
        marks = " | ".join("yes" if facet == "yes" else "" for facet in facets)
        text += f"| `{name}` | {summary(name)} | {marks} |\n"
    unary = [f"`{name}`" for name, *_ in calls(read("unary/unary.def"), "EW_UNARY")]
    text += ("\n## Elementwise functions of one input\n\nRows of `src/ops/unary/unary.def`, with "
             "gradients:\n" + ", ".join(unary) + ".\n")
    rows = read("binary/binary.def")
    binary = [f"`{name}`" for name, *_ in calls(rows, "EW_BINARY")]
    compare = [f"`{name}`" for name, *_ in calls(rows, "EW_COMPARE")]
    text += ("\n## Elementwise functions of two inputs\n\nRows of `src/ops/binary/binary.def`, with "
             "NumPy's broadcasting and gradients:\n" + ", ".join(binary) + ".\nWith a bool result:\n"
             + ", ".join(compare) + ".\n")
    lowered = [f"`{name}`" for (name,) in calls(read("lowering.def"), "EW_LOWERING")]
    if lowered:
        text += ("\n## Keras layers without an operator of their own\n\nRewritten into the operators "
                 "above when a file is read:\n" + ", ".join(lowered) + ".\n")
    return text


def main():
    file = ROOT / "docs/ops.md"
    text = table()
    if "--check" in sys.argv[1:]:
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            print("docs/ops.md is not up to date; run tools/ops_table.py")
            return 1
        return 0
    file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
