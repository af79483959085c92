"""tools/check_layers.py: what it lets through and what it names."""

import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import check_layers  # noqa: E402


class CheckLayers(unittest.TestCase):
    def breaches(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                file = Path(folder, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            return check_layers.breaches(Path(folder))

    def assert_allowed(self, name, text):
        self.assertEqual(self.breaches({name: text}), [])

    def assert_forbidden(self, name, text, what):
        found = self.breaches({name: text})
        self.assertEqual(len(found), 1, found)
        self.assertIn(what, found[0])
        self.assertTrue(found[0].startswith(f"{name}:1: "), found[0])

    def test_a_module_may_use_itself_and_what_is_below(self):
        self.assert_allowed("src/train/a.cpp", '#include "train/a.h"\n#include "base/str.h"\n')
        self.assert_allowed("src/api/a.cpp", '#include "formats/load.h"\n#include "train/a.h"\n')

    def test_upwards_and_sideways_are_forbidden(self):
        self.assert_forbidden("src/base/a.cpp", '#include "ir/graph.h"\n', "base may not use ir")
        self.assert_forbidden("src/formats/a.cpp", '#include "runtime/executor.h"\n',
                              "formats may not use runtime")
        self.assert_forbidden("src/agent/a.h", '#include "formats/load.h"\n',
                              "agent may not use formats")

    def test_facets_belong_to_their_owner(self):
        self.assert_allowed("src/ops/conv/conv_grad.cpp", '#include "train/autodiff.h"\n')
        self.assert_allowed("src/ops/conv/conv_io.cpp", '#include "formats/keras/layer.h"\n')
        self.assert_forbidden("src/ops/conv/conv.cpp", '#include "runtime/kernel.h"\n',
                              "ops may not use runtime")
        self.assert_forbidden("src/ops/conv/conv_cpu.cpp", '#include "formats/load.h"\n',
                              "runtime may not use formats")

    def test_a_file_named_like_its_folder_is_no_facet(self):
        self.assert_forbidden("src/ops/pool_grad/pool_grad.cpp", '#include "train/loss.h"\n',
                              "ops may not use train")

    def test_tests_of_operators_may_use_every_facet_but_nothing_above(self):
        self.assert_allowed("src/ops/conv/conv_test.cpp",
                            '#include "train/a.h"\n#include "testing/op_check.h"\n')
        self.assert_forbidden("src/ops/conv/conv_test.cpp", '#include "api/fit.h"\n',
                              "may not use api")
        self.assert_forbidden("src/base/str_test.cpp", '#include "ir/graph.h"\n',
                              "base may not use ir")

    def test_only_tests_include_the_test_library(self):
        self.assert_forbidden("src/base/a.cpp", '#include "testing/temporary_folder.h"\n',
                              "only tests")

    def test_public_headers_are_self_sufficient(self):
        self.assert_allowed("include/edgewise/a.h", '#include <span>\n#include "edgewise/b.h"\n')
        self.assert_forbidden("include/edgewise/a.h", '#include "base/str.h"\n', "public headers")
        self.assert_forbidden("include/edgewise/a.h", "#include <zlib.h>\n", "public headers")

    def test_the_command_line_uses_public_headers(self):
        self.assert_allowed("apps/cli/a.cpp", '#include "edgewise/model.h"\n#include "common.h"\n')
        for program in ("cli", "python"):
            self.assert_forbidden(f"apps/{program}/a.cpp", '#include "ir/graph.h"\n',
                                  "public headers only")

    def test_lower_modules_use_no_library(self):
        self.assert_allowed("src/base/a.cpp", "#include <unistd.h>\n#include <sys/stat.h>\n")
        self.assert_forbidden("src/runtime/a.cpp", "#include <zlib.h>\n", "no library")
        self.assert_allowed("src/formats/a.cpp", "#include <zlib.h>\n")

    def test_headers_stay_light(self):
        self.assert_forbidden("src/train/a.h", "#include <iostream>\n", "slow to compile")
        self.assert_allowed("src/train/a.cpp", "#include <filesystem>\n")

    def test_a_module_outside_the_table_is_named(self):
        self.assert_forbidden("src/extra/a.cpp", "\n", "module extra is not in the table")

    def test_this_repository_has_none(self):
        self.assertEqual(check_layers.breaches(ROOT), [])


if __name__ == "__main__":
    unittest.main()
