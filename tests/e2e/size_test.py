#!/usr/bin/env python3
"""The program stays small: what an edge device downloads and keeps in its flash."""

import os
import shutil
import subprocess
import unittest

from edgewise import EdgewiseTest

MOST_BYTES = 10_000_000


class SizeTest(EdgewiseTest):
    def test_the_program_without_symbols(self):
        stripped = self.path("edgewise")
        subprocess.run(["strip", "-o", stripped, shutil.which("edgewise")], check=True)
        self.assertLessEqual(os.path.getsize(stripped), MOST_BYTES)


if __name__ == "__main__":
    unittest.main()
