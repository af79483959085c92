"""The static edgewise-run (preset `runtime`): small, and the bytes of `edgewise predict`.

    small_build_test.py FOLDER    builds in FOLDER-all and FOLDER-int8, which are kept

Builds the library once more, with the operators of MLPerf Tiny. Its models are those of MLPerf Tiny in
../shared where they are (the large ResNet has a block that rounds by two scales, for which this program has
no kernels), and the fixtures of tests/tflite that have no other operators.
"""

import array
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 1_000_000
MOST_INT8_BYTES = 520_000
MLPERF_TINY = sorted((ROOT / "../shared/models/mlperf-tiny").glob("*.tflite"))
FIXTURES = sorted((ROOT / "tests/tflite/fixtures").glob("*.tflite"))
FOLDER = Path()


def run(*command, data=b"", check=True):
    done = subprocess.run(list(map(str, command)), input=data, capture_output=True, timeout=1500,
                          cwd=ROOT)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{(done.stdout + done.stderr).decode()}")
    return done


def build(name, *options):
    """The program of the preset with these options."""
    folder = FOLDER.with_name(f"{FOLDER.name}-{name}")
    run("cmake", "--preset", "runtime", "-B", folder, *options)
    run("cmake", "--build", folder, "--target", "edgewise-run", "-j", os.cpu_count())
    return folder / "bin/edgewise-run"


def random_input(info, name):
    """Bytes for every input that --info lists: any integers, or floats between -1 and 1."""
    generator = random.Random(name)
    data = b""
    for dtype, size in re.findall(r"^input '.*' (\w+)\(.* (\d+) bytes$", info, re.MULTILINE):
        if dtype == "float32":
            values = [generator.uniform(-1, 1) for _ in range(int(size) // 4)]
            data += array.array("f", values).tobytes()
        else:
            data += generator.randbytes(int(size))
    return data


class SmallBuild(unittest.TestCase):
    def compare(self, program, models, may_lack_operators):
        """How many models give the bytes of the edgewise-run with everything."""
        same = 0
        with tempfile.TemporaryDirectory() as folder:
            packed = Path(folder) / "m.ew"
            for model in models:
                run("edgewise", "convert", model, packed)
                data = random_input(run("edgewise-run", "--info", packed).stdout.decode(), model.name)
                small = run(program, packed, data=data, check=False)
                if may_lack_operators and b"operator" in small.stderr:
                    continue
                with self.subTest(model.name):
                    self.assertEqual(small.returncode, 0, small.stderr)
                    self.assertEqual(small.stdout, run("edgewise-run", packed, data=data).stdout)
                    self.assertTrue(small.stdout)
                same += 1
        return same

    def test_all_kernels(self):
        program = build("all")
        size = program.stat().st_size
        print(f"static edgewise-run: {size:,} bytes")
        self.assertLessEqual(size, MOST_BYTES)
        self.compare(program, MLPERF_TINY, False)
        self.assertGreater(self.compare(program, FIXTURES, True), 20)

    def test_int8_kernels_alone(self):
        program = build("int8", "-DEW_KERNELS=int8")
        size = program.stat().st_size
        print(f"with int8 kernels alone: {size:,} bytes")
        self.assertLessEqual(size, MOST_INT8_BYTES)
        is_integer = re.compile("int8|quant|kws_ref_model.tflite|str_ww")
        self.compare(program, [m for m in MLPERF_TINY if is_integer.search(m.name)], False)
        self.assertGreater(self.compare(program, [m for m in FIXTURES if "_i8" in m.name], True), 10)


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


if __name__ == "__main__":
    if "avx512_vnni" not in Path("/proc/cpuinfo").read_text():
        skip("the preset builds for AVX-512 with VNNI, which this machine lacks")
    if not shutil.which("musl-gcc"):
        skip("no musl-gcc (musl-tools)")
    FOLDER = Path(sys.argv.pop(1)).resolve()
    unittest.main()
