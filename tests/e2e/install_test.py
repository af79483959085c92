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

    def test_another_program_with_the_library(self):
        prefix = self.folder / "there"
        subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], check=True,
                       capture_output=True)
        (self.folder / "CMakeLists.txt").write_text("""
cmake_minimum_required(VERSION 3.22)
project(mine CXX)
set(CMAKE_CXX_STANDARD 20)
find_package(edgewise 0.1 REQUIRED)
add_executable(mine mine.cpp)
target_link_libraries(mine PRIVATE edgewise::edgewise)
""")
        (self.folder / "mine.cpp").write_text("""
#include <edgewise/edgewise.h>
#include <cstdio>
int main(int, char** arguments) {
  const ew::Model model = ew::load_model(arguments[1]).value();
  ew::Session session = ew::Session::create(model).value();
  session.run();
  std::printf("%lld\\n", static_cast<long long>(session.macs()));
}
""")
        for command in (["cmake", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}"],
                        ["cmake", "--build", "build"]):
            subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        done = subprocess.run(
            ["build/mine", BASE_MODEL], cwd=self.folder, check=True, capture_output=True, text=True,
            env={"EDGEWISE_PLUGIN_PATH": str(prefix / "lib/edgewise")})
        self.assertGreater(int(done.stdout), 100)


if __name__ == "__main__":
    unittest.main()
