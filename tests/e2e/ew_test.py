"""`.ew` files by the command line: the same bytes as the model they were made of, on every target;
edgewise-run gives the same bytes as predict; old versions still open."""

import os
import struct
import subprocess
import unittest
import zipfile
from pathlib import Path

from edgewise import BASE_MODEL, ROOT, EdgewiseTest, npy_bytes

# The program to test: EDGEWISE_RUN=build/runtime/bin/edgewise-run tests the static one.
RUN = os.environ.get("EDGEWISE_RUN", "edgewise-run")
TFLITE = ROOT / "tests/tflite/fixtures"
CPUS = ("avx512", "avx-vnni", "avx2", "portable")
# Checksums of the packed section by model and target, with the version of its layout. Later programs
# read files with this version: where a checksum differs, kernels pack in another way, so their table
# needs the next pack_version (int8_kernels.h), and the new checksum stands here.
PACKED = {
    ("conv_i8", "avx512", "avx512-vnni", 2): 0x5363f9a4,
    ("conv_i8", "avx2", "avx2", 2): 0x552e03e6,
    ("conv_i8", "portable", "portable", 2): 0xcea2db19,
    ("depthwise_dilated_i8", "avx512", "avx512-vnni", 2): 0x16f4bb12,
    ("depthwise_dilated_i8", "avx2", "avx2", 2): 0x475ac0eb,
    ("depthwise_dilated_i8", "portable", "portable", 2): 0x82fe72fd,
    ("grouped_i8", "avx512", "avx512-vnni", 2): 0xdcf0f6bd,
    ("grouped_i8", "avx2", "avx2", 2): 0xfab21cc0,
    ("grouped_i8", "portable", "portable", 2): 0xf1217255,
}
# The examples of RFC 8410, section 10.
PRIVATE_KEY = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
"""
PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
-----END PUBLIC KEY-----
"""


def npy_body(data):
    """The raw elements of a .npy file."""
    (length,) = struct.unpack("<H", data[8:10])
    return data[10 + length:]


class Ew(EdgewiseTest):
    def predict(self, model, inputs, outputs, cpu=None, *options):
        ys = [self.path(f"y{i}.npy") for i in range(outputs)]
        command = ["edgewise", "predict", model, "--input", *inputs, "--output", *ys, *options]
        environment = dict(os.environ, **({"EDGEWISE_CPU": cpu} if cpu else {}))
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return [Path(y).read_bytes() for y in ys]

    def inputs_of(self, model):
        """The recorded inputs of a fixture as files, and the number of its outputs."""
        paths = []
        with zipfile.ZipFile(model.with_suffix(".npz")) as file:
            names = file.namelist()
            for i in range(sum(name.startswith("x") for name in names)):
                paths.append(self.path(f"x{i}.npy"))
                Path(paths[-1]).write_bytes(file.read(f"x{i}.npy"))
        outputs = max(sum(name.startswith(p) for name in names) for p in ("litert", "tflm"))
        return paths, outputs

    def test_every_tflite_fixture_gives_the_same_bytes_as_its_ew(self):
        for model in sorted(TFLITE.glob("*.tflite")):
            with self.subTest(model.name):
                xs, outputs = self.inputs_of(model)
                self.run_edgewise("convert", model, self.path("m.ew"))
                self.assertEqual(self.predict(self.path("m.ew"), xs, outputs),
                                 self.predict(model, xs, outputs))

    def test_a_file_for_one_cpu_gives_the_same_bytes_on_all(self):
        for name in ("conv_i8", "depthwise_dilated_i8", "softmax_i8", "conv_f32"):
            model = TFLITE / f"{name}.tflite"
            xs, outputs = self.inputs_of(model)
            for target in (*CPUS, "none"):
                done = subprocess.run(
                    ["edgewise", "convert", model, self.path("m.ew"), "--target", target],
                    capture_output=True, text=True)
                if "cannot run these kernels" in done.stderr:
                    continue
                self.assertEqual(done.returncode, 0, done.stderr)
                for cpu in CPUS:
                    with self.subTest(f"{name}, packed for {target}, on {cpu}"):
                        self.assertEqual(self.predict(self.path("m.ew"), xs, outputs, cpu),
                                         self.predict(model, xs, outputs, cpu))

    def test_the_profile_is_part_of_the_file(self):
        model = TFLITE / "conv_i8.tflite"
        xs, outputs = self.inputs_of(model)
        self.run_edgewise("convert", model, self.path("m.ew"), "--int8-profile", "litert-ref")
        self.assertEqual(
            self.predict(self.path("m.ew"), xs, outputs),
            self.predict(model, xs, outputs, None, "--int8-profile", "litert-ref"))
        self.assertIn("litert-ref", self.run_edgewise("inspect", self.path("m.ew")).stdout)

    def test_a_keras_model_takes_rows_and_is_measured(self):
        self.run_edgewise("convert", BASE_MODEL, self.path("m.ew"))
        self.assertEqual(self.predictions(self.path("m.ew")), self.predictions(BASE_MODEL))
        data = self.write_npz("data.npz", 100, 40)
        options = ("--data", data, "--metrics", "accuracy", "--loss", "categorical_crossentropy")
        self.assertEqual(self.run_json("evaluate", self.path("m.ew"), *options)["accuracy"],
                         self.run_json("evaluate", BASE_MODEL, *options)["accuracy"])
        figures = self.run_json("bench", self.path("m.ew"), "--batch-ms", 5)
        self.assertGreater(figures["first_result_ms"], 0)

    def test_inspect_says_for_whom_a_file_is_packed(self):
        model = TFLITE / "conv_i8.tflite"
        self.run_edgewise("convert", model, self.path("m.ew"), "--target", "portable")
        self.assertIn("packed      portable", self.run_edgewise("inspect", self.path("m.ew")).stdout)
        self.run_edgewise("convert", model, self.path("m.ew"), "--target", "none")
        self.assertNotIn("packed  ", self.run_edgewise("inspect", self.path("m.ew")).stdout)

    def test_float_layers_are_packed_too(self):
        half = self.path("half.tflite")
        self.run_edgewise("convert", BASE_MODEL, half, "--weights", "fp16")
        for model in (BASE_MODEL, half):
            self.run_edgewise("convert", model, self.path("m.ew"))
            self.assertIn(", used here\n", self.run_edgewise("inspect", self.path("m.ew")).stdout)
            self.run_edgewise("convert", model, self.path("plain.ew"), "--target", "none")
            self.assertEqual(self.predictions(self.path("m.ew")), self.predictions(self.path("plain.ew")))

    def test_weights_take_fewer_bits_as_in_other_formats(self):
        exact = self.predictions(BASE_MODEL)
        for weights, other in (("fp16", "half.tflite"), ("bf16", "bf16.onnx")):
            with self.subTest(weights):
                self.run_edgewise("convert", BASE_MODEL, self.path("m.ew"), "--weights", weights)
                self.run_edgewise("convert", BASE_MODEL, self.path(other), "--weights", weights)
                self.assertNotEqual(self.predictions(self.path("m.ew")), exact)
                self.assertEqual(self.predictions(self.path("m.ew")), self.predictions(self.path(other)))

    def test_dense_kernels_take_four_bits(self):
        fashion = ROOT / "examples/fashion_mnist/base_model.h5"
        Path(self.path("x0.npy")).write_bytes(
            npy_bytes([i * 37 % 255 for i in range(28 * 28)], (1, 28, 28, 1)))
        for name in ("m.ew", "m.tflite"):
            self.run_edgewise("convert", fashion, self.path(name), "--weights", "int4")
        found = [self.predict(model, [self.path("x0.npy")], 1)
                 for model in (self.path("m.ew"), self.path("m.tflite"), fashion)]
        self.assertEqual(found[0], found[1])
        self.assertNotEqual(found[0], found[2])

    def test_an_unknown_target_is_a_usage_error(self):
        done = self.run_edgewise("convert", BASE_MODEL, self.path("m.ew"), "--target", "z80",
                                 expect=2)
        self.assertIn("expected native, none, avx512", done.stderr)
        self.assertEqual(self.names(), [])

    def test_a_damaged_file_is_bad_input(self):
        self.run_edgewise("convert", BASE_MODEL, self.path("m.ew"))
        data = bytearray(Path(self.path("m.ew")).read_bytes())
        data[len(data) // 2] ^= 1
        Path(self.path("m.ew")).write_bytes(data)
        self.assertIn("is damaged", self.run_edgewise("inspect", self.path("m.ew"), expect=3).stderr)

    def test_a_signed_file_opens_with_its_key_and_no_other_does(self):
        Path(self.path("key.pem")).write_text(PRIVATE_KEY)
        Path(self.path("pub.pem")).write_text(PUBLIC_KEY)
        other = PUBLIC_KEY.replace("AyEAGb9E", "AyEAGb9F")
        Path(self.path("other.pem")).write_text(other)
        signed, trusted = self.path("m.ew"), ("--trusted-key", self.path("pub.pem"))
        self.run_edgewise("convert", BASE_MODEL, signed, "--sign", self.path("key.pem"))
        self.run_edgewise("convert", BASE_MODEL, self.path("plain.ew"))
        self.run_edgewise("inspect", signed, *trusted)
        self.run_edgewise("inspect", signed)

        def refusal(model, key="pub.pem"):
            return self.run_edgewise("inspect", model, "--trusted-key", self.path(key),
                                     expect=3).stderr

        self.assertIn("found one by another key", refusal(signed, "other.pem"))
        self.assertIn("found none", refusal(self.path("plain.ew")))
        self.assertIn("cannot be signed", refusal(BASE_MODEL))
        self.assertIn("expected an Ed25519 public key", refusal(signed, "key.pem"))
        # The signature of one file under the content of another; all checksums are right.
        self.run_edgewise("convert", TFLITE / "conv_i8.tflite", self.path("small.ew"), "--sign",
                          self.path("key.pem"))
        data = Path(signed).read_bytes()
        Path(signed).write_bytes(data[:-108] + Path(self.path("small.ew")).read_bytes()[-108:])
        self.assertIn("does not belong to this content", refusal(signed))

    def test_edgewise_run_gives_the_bytes_of_predict(self):
        for name in ("conv_i8", "conv_f32", "add_i8"):
            with self.subTest(name):
                model = TFLITE / f"{name}.tflite"
                xs, outputs = self.inputs_of(model)
                self.run_edgewise("convert", model, self.path("m.ew"))
                expected = self.predict(self.path("m.ew"), xs, outputs)
                raw = b"".join(npy_body(Path(x).read_bytes()) for x in xs)
                done = subprocess.run([RUN, self.path("m.ew")], input=raw,
                                      capture_output=True, timeout=60)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stdout, b"".join(npy_body(y) for y in expected))

    def test_edgewise_run_says_what_is_wrong(self):
        self.run_edgewise("convert", BASE_MODEL, self.path("m.ew"))

        def run(*arguments, data=b""):
            done = subprocess.run([RUN, *arguments], input=data, capture_output=True,
                                  timeout=60)
            return done.returncode, done.stdout.decode(), done.stderr.decode()

        self.assertEqual(run()[0], 2)
        self.assertEqual(run("none.ew")[0], 3)
        code, _, message = run(self.path("m.ew"), data=b"abc")
        self.assertEqual(code, 3)
        self.assertIn("expected 32 bytes of float32(1, 8), found 3", message)
        self.assertEqual(run(self.path("m.ew"), data=bytes(33))[0], 3)
        code, text, _ = run("--info", self.path("m.ew"))
        self.assertEqual(code, 0)
        self.assertIn("float32(1, 8) 32 bytes", text)

    def test_packed_layouts_are_what_their_version_promises(self):
        for (name, target, kernels, version), checksum in PACKED.items():
            done = subprocess.run(
                ["edgewise", "convert", TFLITE / f"{name}.tflite", self.path("m.ew"), "--target",
                 target], capture_output=True, text=True)
            if f"packed for {kernels}\n" not in done.stderr:
                continue  # kernels that this machine cannot run
            data = Path(self.path("m.ew")).read_bytes()
            (found,) = struct.unpack_from("<I", data, 32 + 2 * 24 + 4)
            (begin,) = struct.unpack_from("<Q", data, 32 + 2 * 24 + 8)
            (found_version,) = struct.unpack_from("<I", data, begin + 4 + len(kernels))
            with self.subTest(f"{name} for {kernels}"):
                self.assertEqual((found_version, hex(found)), (version, hex(checksum)))

    def test_version_1_still_opens(self):
        folder = ROOT / "tests/data/ew"
        ys = self.predict(folder / "version-1.ew", [folder / "version-1.x.npy"], 1)
        self.assertEqual(ys[0], (folder / "version-1.y.npy").read_bytes())


if __name__ == "__main__":
    unittest.main()
