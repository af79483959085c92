"""What the end-to-end tests share: runs the edgewise program (found through PATH) and writes data
sets. Standard library only."""

import json
import os
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests/oracle/fixtures"
# A compiled classifier of 8 numbers into 4 classes (Keras 3, SGD with momentum).
BASE_MODEL = FIXTURES / "fit/fit_plain_k3/base_model.k3.h5"
FEATURES, CLASSES = 8, 4


def npy_bytes(values, shape, dtype="<f4"):
    """A .npy file of `values` in row-major order; dtype <f4 or <i4."""
    shape_text = "(" + "".join(f"{d}, " for d in shape) + ")"
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape_text}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    code = {"<f4": "f", "<i4": "i"}[dtype]
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() +
            struct.pack(f"<{len(values)}{code}", *values))


def rows(count, seed=1):
    """Points around one centre per class: a list of (features, class)."""
    generator = random.Random(seed)
    centres = [[generator.gauss(0, 1) for _ in range(FEATURES)] for _ in range(CLASSES)]
    drawn = []
    for _ in range(count):
        label = generator.randrange(CLASSES)
        drawn.append(([generator.gauss(m, 0.7) for m in centres[label]], label))
    return drawn


def make_certificates(folder):
    """A CA (ca.pem), and server and client with certificates by it (NAME.pem, NAME.key), made by openssl."""
    (folder / "server.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    (folder / "client.ext").write_text("")
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    lines = [f"openssl req -x509 {key} -subj /CN=ca -keyout ca.key -out ca.pem"]
    for who in ("server", "client"):
        lines += [f"openssl req {key} -subj /CN={who} -keyout {who}.key -out {who}.csr",
                  f"openssl x509 -req -in {who}.csr -CA ca.pem -CAkey ca.key -CAcreateserial "
                  f"-days 2 -extfile {who}.ext -out {who}.pem"]
    for line in lines:
        subprocess.run(line.split(), cwd=folder, check=True, capture_output=True)


class EdgewiseTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def path(self, name):
        return str(self.folder / name)

    def names(self):
        """Names of all files in the folder."""
        return sorted(file.name for file in self.folder.iterdir())

    def run_edgewise(self, *arguments, expect=0):
        """Runs the program to its end and checks the exit code; stdout and stderr are text."""
        command = ["edgewise", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder,
                              stdin=subprocess.DEVNULL, timeout=300)
        self.assertEqual(done.returncode, expect,
                         f"{' '.join(command)}\nstdout: {done.stdout}\nstderr: {done.stderr}")
        return done

    def run_json(self, *arguments, expect=0):
        """The one JSON document that the program prints."""
        return json.loads(self.run_edgewise(*arguments, "--json", expect=expect).stdout)

    def write_csv(self, name, count, seed=1):
        lines = [",".join([f"x{i}" for i in range(FEATURES)] + ["kind"])]
        for features, label in rows(count, seed):
            lines.append(",".join([f"{x:.6f}" for x in features] + [str(label)]))
        Path(self.path(name)).write_text("\n".join(lines) + "\n")
        return self.path(name)

    def write_npz(self, name, train, test, seed=1):
        """x_train, y_train, x_test, y_test with `train` and `test` rows."""
        drawn = rows(train + test, seed)
        with zipfile.ZipFile(self.path(name), "w", zipfile.ZIP_DEFLATED) as file:
            for part, some in (("train", drawn[:train]), ("test", drawn[train:])):
                flat = [x for features, _ in some for x in features]
                file.writestr(f"x_{part}.npy", npy_bytes(flat, (len(some), FEATURES)))
                labels = [label for _, label in some]
                file.writestr(f"y_{part}.npy", npy_bytes(labels, (len(some),), "<i4"))
        return self.path(name)

    def write_npy(self, name, count, seed=2):
        flat = [x for features, _ in rows(count, seed) for x in features]
        Path(self.path(name)).write_bytes(npy_bytes(flat, (count, FEATURES)))
        return self.path(name)

    def predictions(self, model, count=32):
        """The bytes that the model predicts for the same rows each time."""
        x = self.write_npy("rows.npy", count)
        self.run_edgewise("predict", model, "--input", x, "--output", self.path("predicted.npy"))
        return Path(self.path("predicted.npy")).read_bytes()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


MOSQUITTO = shutil.which("mosquitto", path=os.environ["PATH"] + ":/usr/sbin")


@unittest.skipUnless(MOSQUITTO, "mosquitto is not installed")
class BrokerTest(EdgewiseTest):
    """A test with real MQTT servers on loopback."""

    def server(self, port):
        conf = self.folder / f"{port}.conf"
        conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
                        "max_queued_messages 0\nmax_inflight_messages 0\n")
        process = subprocess.Popen([MOSQUITTO, "-c", str(conf)], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_for(lambda: is_listening(port))
        return process

    def wait_for(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "it did not happen in time")
            time.sleep(0.02)
