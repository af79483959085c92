#!/usr/bin/env python3
"""The agent's source of sound, through ALSA: its `file` plug-in over `null` stands for the microphone.
That neither paces nor ends, so that each test takes a known number of samples."""

import errno
import json
import math
import os
import shutil
import signal
import struct
import subprocess
import time
import unittest
import wave
from pathlib import Path

from edgewise import ROOT, EdgewiseTest
from faults import Faults, shim

# Bytes are read as they are: S16, one channel.
ALSA = """
pcm.microphone {
  type file
  slave.pcm {type null}
  file /dev/null
  infile "%s"
  format raw
}
"""
APP = """
app: microphone
state: state
sources:
  mic: {type: audio, device: microphone, rate: 8000, late: wait%s}
streams:
  heard:
    from: mic
    features: {chain: "Statistics('mean,min,max')", input: samples, output: [mean, low, high]}
sinks:
  out: {type: stdout, from: [heard]}
"""
RATE = 8000


def sample(i):
    return (i * 37) % 2001 - 1000


class MicrophoneTest(EdgewiseTest):
    def setUp(self):
        super().setUp()
        Path(self.path("alsa.conf")).write_text(ALSA % self.path("sound.raw"))
        before = os.environ.get("ALSA_CONFIG_PATH")
        os.environ["ALSA_CONFIG_PATH"] = self.path("alsa.conf")
        self.addCleanup(lambda: os.environ.pop("ALSA_CONFIG_PATH") if before is None
                        else os.environ.update(ALSA_CONFIG_PATH=before))

    def write(self, name, text):
        Path(self.path(name)).write_text(text)
        return name

    def write_sound(self, samples):
        Path(self.path("sound.raw")).write_bytes(struct.pack(f"<{len(samples)}h", *samples))


class AudioTest(MicrophoneTest):
    def results(self, words, *arguments):
        done = self.run_edgewise("run", self.write("app.yaml", APP % words), "--quiet", *arguments)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def check_blocks(self, seen, length, step):
        for i, row in enumerate(seen):
            block = [sample(k) / 32768 for k in range(i * step, i * step + length)]
            self.assertEqual(row["block"], i)
            self.assertEqual(row["rate"], RATE)
            self.assertAlmostEqual(row["mean"], sum(block) / length, places=6)
            self.assertAlmostEqual(row["low"], min(block), places=6)
            self.assertAlmostEqual(row["high"], max(block), places=6)

    def test_blocks_side_by_side_with_every_sample_once(self):
        self.write_sound([sample(i) for i in range(RATE)])
        seen = self.results(", length: 100ms, duration: 1s")
        self.assertEqual(len(seen), 10)
        self.check_blocks(seen, 800, 800)
        # Sound does not leave.
        self.assertNotIn("samples", seen[0])
        self.assertAlmostEqual(seen[1]["time"] - seen[0]["time"], 0.1, places=4)
        counts = self.run_json("ledger", "app.yaml")["sources"]["mic"]["mic"]
        self.assertEqual((counts["accepted"], counts["delivered"]), (10, 10))

    def test_blocks_that_overlap_and_blocks_with_gaps(self):
        self.write_sound([sample(i) for i in range(RATE)])
        seen = self.results(", length: 200ms, every: 50ms, duration: 1s")
        self.assertEqual(len(seen), 17)
        self.check_blocks(seen, 1600, 400)
        seen = self.results(", length: 30ms, every: 250ms, duration: 1s")
        self.assertEqual(len(seen), 4)
        self.check_blocks(seen, 240, 2000)

    def test_a_recording_gives_the_same_results(self):
        self.write_sound([sample(i) for i in range(RATE)])
        app = self.write("app.yaml", APP % ", length: 100ms, duration: 500ms")
        out = self.run_edgewise("run", app, "--quiet", "--record", "rec").stdout
        self.assertEqual(len(out.splitlines()), 5)
        self.run_edgewise("replay", app, "--from", "rec", "--all", "--out", "all.jsonl")
        self.assertEqual(Path(self.path("all.jsonl")).read_text(), out)

    def test_sound_that_comes_too_fast_is_shed_and_counted(self):
        self.write_sound([sample(i) for i in range(RATE)])
        seen = self.results(", length: 1ms, duration: 2s, waiting: 1",
                            "--set", "sources.mic.late=drop_oldest")
        counts = self.run_json("ledger", "app.yaml")["sources"]["mic"]["mic"]
        self.assertEqual(counts["accepted"], 2000)
        self.assertEqual(counts["delivered"], len(seen))
        self.assertEqual(counts["dropped"].get("overload", 0), 2000 - len(seen))

    def test_a_device_that_is_away_is_tried_again(self):
        app = self.write("app.yaml", APP % ", length: 100ms, duration: 200ms, retry_max: 500ms")
        agent = subprocess.Popen(["edgewise", "run", app], cwd=self.folder, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(agent.kill)
        log = ""
        while "cannot open it" not in log:
            line = agent.stderr.readline()
            self.assertNotEqual(line, "", log)
            log += line
        self.assertIn("microphone: cannot open it: No such file", log)
        self.write_sound([sample(i) for i in range(RATE)])
        out, _ = agent.communicate(timeout=60)
        self.assertEqual(len(out.splitlines()), 2)

    def test_it_runs_until_it_is_stopped(self):
        self.write_sound([sample(i) for i in range(RATE)])
        app = self.write("app.yaml", APP % ", length: 100ms")
        agent = subprocess.Popen(["edgewise", "run", app, "--quiet"], cwd=self.folder, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(agent.kill)
        for _ in range(20):
            self.assertIn('"block"', agent.stdout.readline())
        agent.send_signal(signal.SIGTERM)
        agent.communicate(timeout=60)
        self.assertEqual(agent.returncode, 0)

    def test_what_cannot_be_is_said(self):
        for words, message in [
                (", length: 0", "must be at least 0.001"),
                (", length: 1h", "expected 1 to 16777216 samples at this rate, found 28800000"),
                (", every: 10us", "every: expected 1 to 16777216 samples at this rate, found 0"),
                (", format: csv", "a source of type audio has none"),
                (", lenght: 1s", "length")]:
            done = self.run_edgewise("check", self.write("app.yaml", APP % words), expect=3)
            self.assertIn(message, done.stderr)


@unittest.skipUnless(shim(), "EW_FAULT_SHIM names no library")
class AudioFaultTest(MicrophoneTest):
    def drops(self):
        sources = self.run_json("ledger", "app.yaml")["sources"]
        return sources.get("mic", {}).get("mic", {}).get("dropped", {}).get("overload", 0)

    def accepted(self):
        return self.run_json("ledger", "app.yaml")["sources"].get("mic", {}).get("mic", {}).get(
            "accepted", 0)

    def wait_for(self, condition):
        end = time.monotonic() + 30
        while not condition():
            self.assertLess(time.monotonic(), end, "it did not happen in time")
            time.sleep(0.02)

    def test_overruns_are_counted_and_a_device_that_is_pulled_out_comes_back(self):
        self.write_sound([sample(i) for i in range(RATE)])
        faults = Faults(self.folder)
        app = self.write("app.yaml", APP % ", length: 1s, retry_max: 500ms")
        with open(self.path("log"), "w") as log:
            agent = subprocess.Popen(["edgewise", "run", app], cwd=self.folder, stderr=log,
                                     stdout=subprocess.DEVNULL, env=faults.environment)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.kill)
        self.wait_for(lambda: (self.folder / "state/ledger").exists() and self.accepted() > 0)
        self.assertEqual(self.drops(), 0)
        faults.fail_sound(errno.EPIPE)
        self.wait_for(lambda: self.drops() > 0)
        log = Path(self.path("log"))
        self.assertNotIn("cannot read on", log.read_text())
        faults.fail_sound(errno.ENODEV)
        self.wait_for(lambda: "microphone: cannot read on: No such device" in log.read_text())
        self.wait_for(lambda: log.read_text().count("mic: connected") == 2)
        before = self.accepted()
        self.wait_for(lambda: self.accepted() > before)
        agent.send_signal(signal.SIGTERM)
        self.assertEqual(agent.wait(30), 0)


SPEECH = Path("/usr/share/sounds/alsa")


def third_of_rate(samples):
    """48 kHz to 16 kHz under a windowed sinc of 65 taps."""
    taps = [0.3 * (math.sin(0.3 * math.pi * n) / (0.3 * math.pi * n) if n else 1) *
            (0.54 + 0.46 * math.cos(math.pi * n / 33)) for n in range(-32, 33)]
    padded = [0] * 32 + samples + [0] * 32
    return [round(sum(t * x for t, x in zip(taps, padded[i:i + 65])))
            for i in range(0, len(samples), 3)]


@unittest.skipUnless((SPEECH / "Front_Left.wav").exists(), "alsa-utils, which has spoken words, "
                     "is not installed")
class KeywordsTest(MicrophoneTest):
    def speech(self, name):
        with wave.open(str(SPEECH / f"{name}.wav")) as file:
            self.assertEqual((file.getframerate(), file.getnchannels(), file.getsampwidth()),
                             (48000, 1, 2))
            count = file.getnframes()
            return third_of_rate(list(struct.unpack(f"<{count}h", file.readframes(count))))

    def test_the_example_hears_the_words_and_no_others(self):
        for file in ("keywords.yaml", "keywords.tflite", "keywords.txt"):
            shutil.copy(ROOT / "examples/keywords" / file, self.folder / file)
        pause = [0] * 16000
        sound = list(pause)
        for name in ("Front_Center", "Side_Left", "Rear_Center", "Front_Right", "Noise"):
            sound += self.speech(name) + pause
        self.write_sound(sound)
        done = self.run_edgewise(
            "run", "keywords.yaml", "--quiet", "--set", "sources.mic.device=microphone", "--set",
            "sources.mic.late=wait", "--set", f"sources.mic.duration={len(sound) / 16000:.2f}s")
        alerts = [json.loads(line) for line in done.stdout.splitlines()]
        heard = [a["values"]["word"] for a in alerts if a["state"] == "raised"]
        self.assertEqual(heard, ["left", "right"])
        self.assertNotIn("samples", done.stdout)
        # Two words left; a second of sound would have been 32 kB.
        ledger = self.run_json("ledger", "keywords.yaml")
        self.assertLess(ledger["egress"]["keyword"]["out"]["bytes"], 2000)
        self.assertGreater(ledger["input"]["mic"]["bytes"], 32000 * 30)


if __name__ == "__main__":
    unittest.main()
