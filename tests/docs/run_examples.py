#!/usr/bin/env python3
"""Runs the examples of the documentation.

    run_examples.py FILE_OR_FOLDER...

```console   Lines that begin with "$ " are commands; a command goes on in the next line after "\\".
             They run in order, all blocks of one page in one folder, where `examples` and `tests`
             are those of the repository. Each must succeed. The lines below a command must stand in
             its output in this order, numbers aside; "..." stands for any lines.
```cpp       Must stand, line by line, in a source file below examples/, which the build compiles.

Other blocks are left alone. The built programs are found through PATH.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?")


def blocks(text):
    """(line number, language, content) of every fenced block."""
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start()) + 1, match[1], match[2]


def commands(block):
    """(command, expected lines) of a console block."""
    found = []
    lines = iter(block.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = line[2:]
            while command.endswith("\\"):
                command += "\n" + next(lines)
            found.append((command, []))
        elif found and line.strip() not in ("", "..."):
            found[-1][1].append(line)
    return found


def masked(line):
    """The line with numbers replaced and spaces joined, for comparisons."""
    return " ".join(NUMBER.sub("N", line).split())


def missing_line(expected, output):
    """The first expected line that does not stand in the output in order, or None."""
    lines = iter([masked(line) for line in output.splitlines()])
    for line in expected:
        if masked(line) not in lines:  # consumes the iterator up to the line
            return line
    return None


def run_console(block, folder):
    """What went wrong in a console block, or None."""
    for command, expected in commands(block):
        done = subprocess.run(["bash", "-c", command], cwd=folder, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            return f"$ {command}\nexit status {done.returncode}\n{done.stdout}"
        line = missing_line(expected, done.stdout)
        if line is not None:
            return f"$ {command}\nexpected the line: {line}\nfound:\n{done.stdout}"
    return None


def check_cpp(block):
    """What is wrong with a C++ block, or None."""
    want = [line.strip() for line in block.strip().splitlines()]
    for file in (ROOT / "examples").rglob("*.cpp"):
        have = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        if any(have[i:i + len(want)] == want for i in range(len(have))):
            return None
    return "the code stands in no file below examples/"


def run_page(file):
    """Runs the examples of one page; returns (run, failures)."""
    run, failures = 0, []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("examples", "tests"):
            Path(folder, name).symlink_to(ROOT / name)
        for line, language, block in blocks(file.read_text(encoding="utf-8")):
            if language not in ("console", "cpp"):
                continue
            run += 1
            problem = run_console(block, folder) if language == "console" else check_cpp(block)
            if problem:
                failures.append(f"{file}:{line}: {problem}")
    return run, failures


def main():
    pages = []
    for name in sys.argv[1:]:
        path = Path(name)
        pages += sorted(path.rglob("*.md")) if path.is_dir() else [path]
    total, failed = 0, 0
    for page in pages:
        run, failures = run_page(page)
        total += run
        failed += len(failures)
        for failure in failures:
            print(failure)
    print(f"{total - failed} passed, {failed} failed")
    return 0 if total > 0 and failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
