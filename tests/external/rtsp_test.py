#!/usr/bin/env python3
"""The agent's camera over the network: a real RTSP server (GStreamer's) that encodes H.264."""

import json
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from edgewise import EdgewiseTest, free_port, is_listening  # noqa: E402
from media import picture, write_avi  # noqa: E402

PYTHON = "/usr/bin/python3"  # the one that Debian's python3-gi belongs to
WIDTH, HEIGHT, RATE, COUNT = 64, 48, 10, 40
APP = """
app: camera
sources:
  door: {type: video, url: 'rtsp://127.0.0.1:%d/clip', transport: %s, width: 16, height: 12,
         timeout: 3s, retry_max: 1s, waiting: 100, late: wait}
streams:
  seen:
    from: door
    features: {chain: "Statistics('mean,min,max')", input: pixels, output: [mean, low, high]}
sinks:
  out: {type: stdout, from: [seen]}
"""


def gray(frame):
    """Brighter from picture to picture."""
    return (40 + 4 * frame,) * 3


def setUpModule():
    done = subprocess.run([PYTHON, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"],
                          capture_output=True)
    if done.returncode != 0:
        raise unittest.SkipTest("tools/setup.sh rtsp installs the server")


class RtspTest(EdgewiseTest):
    def start_server(self):
        server = subprocess.Popen([PYTHON, HERE / "rtsp_server.py", str(self.port),
                                   self.path("clip.avi")], stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.assertEqual(server.stdout.readline(), "listening\n")
        return server

    def start_agent(self, transport):
        Path(self.path("app.yaml")).write_text(APP % (self.port, transport))
        agent = subprocess.Popen(["edgewise", "run", "app.yaml", "--quiet"], cwd=self.folder,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(agent.stderr.close)
        self.addCleanup(agent.stdout.close)
        self.addCleanup(agent.wait)
        self.addCleanup(agent.kill)
        return agent

    def setUp(self):
        super().setUp()
        self.port = free_port()
        write_avi(self.path("clip.avi"), [
            picture(WIDTH, HEIGHT, lambda x, y, c=gray(i): c) for i in range(COUNT)], RATE)

    def check_pictures(self, agent, count=12):
        """Pictures one after the other, each 4 brighter and a tenth of a second later."""
        rows = [json.loads(agent.stdout.readline()) for _ in range(count)]
        even = 0
        for before, row in zip(rows, rows[1:]):
            self.assertEqual((row["width"], row["height"]), (WIDTH, HEIGHT))
            self.assertEqual(row["frame"], before["frame"] + 1)
            self.assertLess(row["high"] - row["low"], 12)
            brighter = row["mean"] - before["mean"]
            self.assertGreater(brighter, 0)
            passed = row["time"] - before["time"]
            even += abs(brighter - 4 * RATE * passed) < 2.5
        # UDP may lose some; times are set anew where the machine is too busy to follow.
        self.assertGreater(even, count // 2)

    def test_pictures_over_tcp_and_udp(self):
        self.start_server()
        for transport in ("tcp", "udp"):
            agent = self.start_agent(transport)
            self.check_pictures(agent)
            agent.terminate()
            self.assertEqual(agent.wait(30), 0)

    def test_a_camera_that_comes_and_goes(self):
        agent = self.start_agent("tcp")
        self.assertFalse(is_listening(self.port))
        server = self.start_server()
        self.check_pictures(agent)
        server.kill()
        server.wait()
        self.start_server()
        while json.loads(agent.stdout.readline())["mean"] > 44:
            pass  # what was on its way; the clip then begins anew
        self.check_pictures(agent)
        agent.terminate()
        self.assertEqual(agent.wait(30), 0)


if __name__ == "__main__":
    unittest.main()
