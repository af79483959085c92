#!/usr/bin/env python3
"""`cmake --install`: the program works from where it was put, with nothing of the build folder."""

import shutil
import subprocess
import unittest
from pathlib import Path

from edgewise import BASE_MODEL, EdgewiseTest

BUILD = Path(shutil.which("edgewise")).resolve().parents[1]


class InstallTest(EdgewiseTest):
    def test_the_installed_program(self):
        prefix = self.folder / "there"
        subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True,
                       capture_output=True)
        shutil.copy(BASE_MODEL, self.folder / "model.h5")
        environment = {"PATH": f"{prefix}/bin:/usr/bin:/bin"}

        def run(*command):
            return subprocess.run(command, cwd=self.folder, env=environment, check=True,
                                  capture_output=True, text=True).stdout
        # HDF5 and YAML are plug-ins.
        run("edgewise", "convert", "model.h5", "model.ew")
        self.assertIn("input", run("edgewise-run", "--info", "model.ew"))
        (self.folder / "app.yaml").write_text(
            "app: a\nsources: {in: {type: stdin}}\nsinks: {out: {type: stdout, from: in}}\n")
        self.assertEqual(run("edgewise", "check", "app.yaml", "--json"), '{"errors":[]}\n')
        unit = (prefix / "lib/systemd/system/edgewise@.service").read_text()
        self.assertIn(f"ExecStart={prefix}/bin/edgewise run ", unit)
        # Programs and plug-ins do not look for libraries in the folder of the build.
        for file in [*prefix.glob("bin/*"), *prefix.glob("lib/edgewise/*")]:
            dynamic = subprocess.run(["readelf", "-d", file], check=True, capture_output=True, text=True)
            self.assertNotIn(str(BUILD), dynamic.stdout)


if __name__ == "__main__":
    unittest.main()
