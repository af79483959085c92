#!/usr/bin/env python3
"""Checks that modules include only what stands below them.

    tools/check_layers.py [ROOT]

Rules (docs/design/0002-layers.md):
  - a file of src/<module>/ includes only its own module and those below it; an operator's facet
    (src/ops/<op>/<op>_grad.cpp, ...) counts as a file of the module that owns the facet;
  - tests of operators may include whatever a facet may; other tests follow their module;
  - headers of include/edgewise/ include only each other and the standard library;
  - apps/cli and apps/python include only public headers, their own and libraries;
  - base, ir, ops, runtime and codegen use no library but C++'s and C's;
  - headers of src/ and include/ never include what is slow to compile.
Prints one line per breach; exit status 1 if there is one.
"""

import re
import sys
from pathlib import Path

BELOW = {
    "base": [],
    "ir": ["base"],
    "host": ["base"],
    "ops": ["ir"],
    "formats": ["ops"],
    "runtime": ["ops"],
    "codegen": ["ops"],
    "train": ["runtime"],
    "agent": ["train", "host"],
    "compress": ["train"],
    "fed": ["train", "host"],
    "api": ["agent", "codegen", "compress", "fed", "formats"],
}
FACETS = {"grad": "train", "cpu": "runtime", "c": "codegen", "rtl": "codegen", "io": "formats"}
PLAIN = {"base", "ir", "ops", "runtime", "codegen"}
SLOW = {"iostream", "regex", "filesystem", "nlohmann/json.hpp", "yaml-cpp/yaml.h"}
SYSTEM = re.compile(r"(sys|linux)/|(unistd|fcntl|dirent|dlfcn|signal|poll|pthread|sched|cpuid|"
                    r"\w+mmintrin|immintrin|arm_neon|errno|time)\.h$")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
SUFFIXES = {".cpp", ".h", ".def", ".inc"}


def reachable(module):
    """The module itself and all below it."""
    found = {module}
    for lower in BELOW[module]:
        found |= reachable(lower)
    return found


def is_test(path):
    """Tests, and headers that tests share."""
    return path.stem.endswith(("_test", "_testing"))


def is_standard(name):
    return "/" not in name and "." not in name


def facet_module(path):
    """The module that owns src/ops/<op>/<op>_<facet>.cpp, or None for other files of ops."""
    match = re.search(r"_(grad|cpu|c|rtl|io)$", path.stem)
    if path.suffix != ".cpp" or match is None or path.stem == path.parent.name:
        return None
    return FACETS[match[1]]


def allowed_modules(path):
    """Modules that the file src/<path> may include."""
    module = path.parts[0]
    if module == "ops":
        if is_test(path):
            return set().union(*(reachable(owner) for owner in FACETS.values()))
        return reachable(facet_module(path) or module)
    return reachable(module)


def includes(file):
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1] == "<", match[2]


def source_breach(path, is_angle, name):
    """What is wrong with the include of `name` in src/<path>, or None."""
    module = path.parts[0]
    if is_angle:
        if path.suffix == ".h" and name in SLOW:
            return f"<{name}> is slow to compile and may not stand in a header"
        is_plain = module in PLAIN and not is_test(path) and not facet_module(path)
        if is_plain and not is_standard(name) and not SYSTEM.match(name):
            return f"{module} uses no library but C++'s and C's, found <{name}>"
        return None
    top = name.split("/")[0]
    if top in BELOW and top not in allowed_modules(path):
        owner = facet_module(path) if module == "ops" else None
        return f"{owner or module} may not use {top}: {name}"
    if top == "testing" and not is_test(path):
        return f"only tests may include {name}"
    return None


def public_breach(path, is_angle, name):
    if is_angle and name in SLOW:
        return f"<{name}> is slow to compile and may not stand in a header"
    if is_angle and not is_standard(name) or not is_angle and not name.startswith("edgewise/"):
        return f"public headers include only each other and the standard library, found {name}"
    return None


def app_breach(path, is_angle, name):
    if not is_angle and "/" in name and not name.startswith("edgewise/"):
        if not (is_test(path) and name.startswith("testing/")):
            return f"this program uses public headers only, found {name}"
    return None


def breaches(root):
    """All breaches below `root` as lines "file:line: what"."""
    found = []
    rules = (("src", source_breach), ("include", public_breach),
             ("apps/cli", app_breach), ("apps/python", app_breach))
    for folder, rule in rules:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in SUFFIXES:
                continue
            path = file.relative_to(root / folder)
            if folder == "src" and path.parts[0] not in BELOW:
                found.append(f"{file.relative_to(root)}:1: module {path.parts[0]} is not in the table")
                continue
            for number, is_angle, name in includes(file):
                what = rule(path, is_angle, name)
                if what:
                    found.append(f"{file.relative_to(root)}:{number}: {what}")
    return found


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    found = breaches(root)
    for line in found:
        print(line)
    print(f"check_layers: {len(found)} breaches")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
