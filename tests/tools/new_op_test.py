"""tools/new_op.py: what it writes compiles, and it refuses what it must."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import new_op  # noqa: E402


class NewOp(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "src/ops").mkdir(parents=True)
        shutil.copy(ROOT / "src/ops/ops.def", self.root / "src/ops")

    def table(self):
        return (self.root / "src/ops/ops.def").read_text()

    def test_the_row_stands_in_order_and_names_the_facets(self):
        before = self.table()
        new_op.write_operator(self.root, "nice_op", ["grad"])
        row = "EW_OP(nice_op,           NiceOp,            yes, no, no, no, no)"
        self.assertIn(row, self.table())
        self.assertEqual(self.table().replace(row + "\n", ""), before)

    @unittest.skipUnless(shutil.which("g++"), "needs g++")
    def test_every_file_compiles(self):
        for file in new_op.write_operator(self.root, "nice_op", ["grad", "cpu"]):
            command = ["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                       f"-I{self.root}/src", f"-I{ROOT}/src", f"-I{ROOT}/include", f"-I{ROOT}", file]
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, f"{file}\n{done.stderr}")

    def test_names_that_exist_or_are_not_snake_case_are_refused(self):
        before = self.table()
        for name in ("softmax", "NiceOp", "nice-op", ""):
            with self.assertRaises(ValueError, msg=name):
                new_op.write_operator(self.root, name, ["grad"])
        with self.assertRaises(ValueError):
            new_op.write_operator(self.root, "nice_op", ["gradd"])
        self.assertEqual(self.table(), before)
        self.assertFalse((self.root / "src/ops/nice_op").exists())


if __name__ == "__main__":
    unittest.main()
