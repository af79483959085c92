"""The examples of docs/guide/python.md run as they stand."""

import contextlib
import io
import os
import re
import shutil
import unittest

import numpy as np
from fixtures import ROOT, FolderTest, striped_pictures


class Guide(FolderTest):
    def test_every_python_example_runs(self):
        shutil.copy(ROOT / "bench/snippet/base_model.h5", self.folder)
        x, y = striped_pictures(400, 1)
        xt, yt = striped_pictures(100, 2)
        np.savez(self.folder / "digits.npz", x_train=x, y_train=y, x_test=xt, y_test=yt)
        text = (ROOT / "docs/guide/python.md").read_text()
        examples = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        self.assertGreater(len(examples), 2)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        names = {}
        for example in examples:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(example, "docs/guide/python.md", "exec"), names)
        self.assertTrue((self.folder / "optimized_model.h5").exists())


if __name__ == "__main__":
    unittest.main()
