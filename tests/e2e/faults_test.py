#!/usr/bin/env python3
"""What may go wrong around an agent: every fault has a name in the ledger or the log, a count, and a
bound; what is beside it goes on."""

import json
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest
from pathlib import Path

from edgewise import BrokerTest, EdgewiseTest
from faults import Faults, shim
from mqtt import (CONNACK, CONNECT, PUBACK, PUBLISH, SUBACK, SUBSCRIBE, Broker, Line, Packets, Publisher,
                  Subscriber, lasting_port, packet, text)
from operate_test import AgentProcess

# A payload, and what it is dropped for; None: it goes through.
PAYLOADS = [
    ("a number that is none, in a field that is used", '{"seq":1,"temp":NaN}', "undefined"),
    ("the same in one that is not", '{"seq":1,"temp":1,"other":NaN}', None),
    ("infinite", '{"seq":1,"temp":1e999}', None),
    ("a text for a number", '{"seq":1,"temp":"warm"}', "undefined"),
    ("nothing where the filter looks", '{"seq":1}', "undefined"),
    ("a name twice", '{"seq":1,"temp":1,"temp":2}', "duplicate_key"),
    ("a name twice, once escaped", '{"seq":1,"temp":1,"t\\u0065mp":2}', "duplicate_key"),
    ("a name twice that nobody asks for", '{"seq":1,"temp":1,"x":1,"x":2}', None),
    ("cut off", '{"seq":1,"temp":', "malformed"),
    ("a comma too many", '{"seq":1,"temp":1,}', "malformed"),
    ("something behind it", '{"seq":1,"temp":1} {', "malformed"),
    ("a list", '[{"seq":1,"temp":1}]', "malformed"),
    ("nested without end", '{"temp":1,"x":' + "[" * 5000 + "]" * 5000 + "}", "malformed"),
    ("a control character in a text", '{"seq":1,"temp":1,"x":"\x01"}', "malformed"),
    ("half a surrogate pair", '{"seq":1,"temp":1,"x":"\\ud800"}', None),
    ("no number at all", '{"seq":1,"temp":--1}', "malformed"),
    ("larger than allowed", '{"seq":1,"temp":1,"x":"' + "x" * 20000 + '"}', "too_large"),
    ("colder than the filter", '{"seq":1,"temp":-1}', "filtered"),
]

APP = """
app: faults
state: state
sources:
  in: {{{source}, max_payload: 16K{more}}}
streams:
  warm: {{from: in, where: temp > 0}}
sinks:
  out: {{type: file, path: out.jsonl, from: warm}}
"""


def peak_kb(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) if "VmHWM:" in status else 0


class FaultCase(BrokerTest):
    def write_app(self, source, more=""):
        (self.folder / "app.yaml").write_text(APP.format(source=source, more=more))

    def ledger(self):
        return self.run_json("ledger", "app.yaml")

    def counts(self):
        """accepted, delivered, queued, and dropped by reason of the source's keys together; checks
        that every key balances."""
        total = {"accepted": 0, "delivered": 0, "queued": 0}
        dropped = {}
        for key, row in self.ledger()["sources"].get("in", {}).items():
            self.assertEqual(row["accepted"],
                             row["delivered"] + row["queued"] + sum(row["dropped"].values()), key)
            for name in total:
                total[name] += row[name]
            for reason, count in row["dropped"].items():
                dropped[reason] = dropped.get(reason, 0) + count
        return total, dropped

    def out(self):
        path = self.folder / "out.jsonl"
        return path.read_text().splitlines() if path.exists() else []

    def publish(self, port, messages, seconds=60):
        publisher = Publisher(port, iter(messages), 1e6)
        publisher.wait(seconds)
        publisher.close()


class PayloadTest(FaultCase):
    """The table, over three ways in."""

    def wanted(self):
        dropped = {}
        for _, _, reason in PAYLOADS:
            if reason:
                dropped[reason] = dropped.get(reason, 0) + 1
        return [payload for _, payload, reason in PAYLOADS if reason is None], dropped

    def check(self):
        passed, dropped = self.wanted()
        for name, payload, reason in PAYLOADS:
            self.assertEqual(payload in self.out(), reason is None, name)
        self.assertEqual(len(self.out()), len(passed))
        total, found = self.counts()
        self.assertEqual(found, dropped)
        self.assertEqual((total["accepted"], total["queued"]), (len(PAYLOADS), 0))

    def test_lines_of_a_file(self):
        (self.folder / "in.jsonl").write_text("".join(p + "\n" for _, p, _ in PAYLOADS))
        self.write_app("type: file, path: in.jsonl")
        self.run_edgewise("run", "app.yaml")
        self.check()

    def test_lines_of_standard_input(self):
        self.write_app("type: stdin")
        subprocess.run(["edgewise", "run", "app.yaml", "--quiet"], cwd=self.folder, check=True, timeout=60,
                       input="".join(p + "\n" for _, p, _ in PAYLOADS).encode())
        self.check()

    def test_messages_of_a_server(self):
        port = lasting_port()
        self.server(port)
        self.write_app(f"type: mqtt, server: 'mqtt://127.0.0.1:{port}', topics: in/#, client_id: a")
        agent = AgentProcess(self)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        self.publish(port, [("in/a", p.encode()) for _, p, _ in PAYLOADS])
        agent.wait_for(lambda: self.counts()[0]["accepted"] == len(PAYLOADS))
        agent.stop()
        self.check()


class SizeTest(FaultCase):
    """Much too much, in little memory."""

    GOOD = '{"seq":1,"temp":1}'
    GIGABYTE = 1 << 30

    def check_one_is_too_large(self, process, seconds=60):
        end = time.monotonic() + seconds
        peak = 0
        while process.poll() is None and len(self.out()) < 2:
            self.assertLess(time.monotonic(), end, "not in time")
            peak = max(peak, peak_kb(process))
            time.sleep(0.01)
        self.assertLess(peak, 40_000)
        process.wait(timeout=20)
        self.assertEqual(self.out(), [self.GOOD] * 2)
        total, dropped = self.counts()
        self.assertEqual((total["accepted"], dropped), (3, {"too_large": 1}))

    def test_a_line_of_a_gigabyte_in_a_file(self):
        with open(self.folder / "in.jsonl", "wb") as file:
            file.write(self.GOOD.encode() + b"\n")
            file.seek(self.GIGABYTE, 1)  # a hole: zeros that take no room
            file.write(b"\n" + self.GOOD.encode() + b"\n")
        self.write_app("type: file, path: in.jsonl")
        agent = AgentProcess(self)
        self.check_one_is_too_large(agent.process)

    def test_a_line_of_a_gigabyte_through_a_pipe(self):
        self.write_app("type: stdin")
        process = subprocess.Popen(["edgewise", "run", "app.yaml", "--quiet"], cwd=self.folder,
                                   stdin=subprocess.PIPE)

        def feed():
            with process.stdin as pipe:
                pipe.write(self.GOOD.encode() + b"\n")
                for _ in range(self.GIGABYTE >> 20):
                    pipe.write(b"x" * (1 << 20))
                pipe.write(b"\n" + self.GOOD.encode() + b"\n")
        thread = threading.Thread(target=feed)
        thread.start()
        self.check_one_is_too_large(process)
        thread.join()

    def test_a_message_beyond_the_limit(self):
        """MQTT allows 256 MB; with 3.1.1 a server does not know what the agent takes."""
        port = lasting_port()
        self.server(port)
        self.write_app(f"type: mqtt, server: 'mqtt://127.0.0.1:{port}', topics: in/#, version: '3.1.1', "
                       "client_id: a")
        agent = AgentProcess(self)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        (self.folder / "large").write_bytes(bytes(100 << 20))
        good = self.GOOD.encode()
        self.publish(port, [("in/a", good)])
        subprocess.run(["mosquitto_pub", "-p", str(port), "-q", "1", "-t", "in/a", "-f",
                        self.path("large")], check=True, timeout=60)
        self.publish(port, [("in/a", good)])
        agent.wait_for(lambda: len(self.out()) == 2)
        self.assertLess(peak_kb(agent.process), 40_000)
        agent.stop()
        self.assertEqual(self.counts()[1], {"too_large": 1})

    def test_a_body_of_a_gigabyte_is_answered_before_it_comes(self):
        self.write_app("type: http, port: 0, path: /in")
        agent = AgentProcess(self)
        agent.wait_for(lambda: " port " in agent.lines())
        port = int(agent.lines().split(" port ")[-1].split()[0])
        for head in (f"Content-Length: {self.GIGABYTE}\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
                sock.sendall(f"POST /in HTTP/1.1\r\nHost: localhost\r\n{head}".encode())
                try:
                    for _ in range(self.GIGABYTE >> 16):
                        sock.sendall(b"10000\r\n" + b"x" * (1 << 16) + b"\r\n")
                except OSError:
                    pass  # it has hung up
                else:
                    self.fail("it took a gigabyte")
                answer = b""
                try:
                    answer = sock.recv(4096)
                except OSError:
                    pass  # what was on its way makes the system forget the answer
                self.assertTrue(answer == b"" or b" 413 " in answer, answer)
        self.assertLess(peak_kb(agent.process), 40_000)
        agent.stop()

    def test_more_topics_than_keys(self):
        port = lasting_port()
        self.server(port)
        self.write_app(f"type: mqtt, server: 'mqtt://127.0.0.1:{port}', topics: in/#, client_id: a",
                       ", key_level: 2, max_keys: 100")
        agent = AgentProcess(self)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        self.publish(port, [(f"in/device-{i:06}", b'{"temp":1}') for i in range(20000)])
        agent.wait_for(lambda: self.counts()[0]["accepted"] == 20000)
        self.assertLess(peak_kb(agent.process), 40_000)
        agent.stop()
        total, dropped = self.counts()
        self.assertEqual((total["delivered"], dropped), (100, {"key_limit": 19900}))
        self.assertEqual(len(self.ledger()["sources"]["in"]), 101)
        self.assertEqual(self.ledger()["sources"]["in"]["(other)"]["accepted"], 19900)


class HandshakeTest(FaultCase):
    """Half a handshake, on both sides."""

    HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40)

    def certificate(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-keyout", "key.pem", "-out", "cert.pem"], cwd=self.folder, check=True,
                       capture_output=True)

    def test_clients_that_begin_and_say_no_more(self):
        self.certificate()
        self.write_app(f"type: http, port: 0, path: /in, tls: {{certificate: {self.path('cert.pem')}, "
                       f"key: {self.path('key.pem')}}}")
        agent = AgentProcess(self)
        agent.wait_for(lambda: " port " in agent.lines())
        port = int(agent.lines().split(" port ")[-1].split()[0])
        begin = time.monotonic()
        halves = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(50)]
        for i, sock in enumerate(halves):
            self.addCleanup(sock.close)
            sock.sendall(self.HELLO[:i % 50 + 1])
        # Others are served meanwhile.
        done = subprocess.run(["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}"],
                              input=b"POST /in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n"
                              b"Connection: close\r\n\r\n" b'{"temp":1}', capture_output=True,
                              timeout=20, check=False)
        self.assertIn(b"200 OK", done.stdout)
        # Each is closed within ten seconds and some.
        for sock in halves:
            try:
                self.assertEqual(sock.recv(4096)[:1] in (b"", b"\x15"), True)
            except ConnectionError:
                pass
        self.assertLess(time.monotonic() - begin, 20)
        agent.wait_for(lambda: len(self.out()) == 1)
        agent.stop()

    def test_a_server_that_says_nothing(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen(16)
            port = server.getsockname()[1]
            self.write_app(f"type: mqtt, server: 'mqtts://127.0.0.1:{port}', topics: a, "
                           "connect_timeout: 300ms, retry_max: 100ms, tls: {insecure: true}")
            agent = AgentProcess(self)
            agent.wait_for(lambda: agent.lines().count("in: disconnected") >= 2)
            self.assertIn("no answer within 300 ms", agent.lines())
            agent.stop()


class StubServer:
    """An MQTT server that shows what comes over the wire."""

    def __init__(self, test):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(1)
        self.port = self.listener.getsockname()[1]
        self.sock = None
        self.packets = []
        self.is_subscribed = threading.Event()
        threading.Thread(target=self.run, daemon=True).start()
        test.addCleanup(self.close)

    def close(self):
        self.listener.close()
        if self.sock:
            self.sock.close()

    def run(self):
        try:
            self.sock, _ = self.listener.accept()
            packets = Packets()
            while data := self.sock.recv(65536):
                for kind, _, body in packets.feed(data):
                    self.packets.append(kind)
                    if kind == CONNECT:
                        self.sock.sendall(packet(CONNACK, b"\0\0\0"))
                    elif kind == SUBSCRIBE:
                        self.sock.sendall(packet(SUBACK, body[:2] + b"\0\1"))
                        self.is_subscribed.set()
        except OSError:
            pass  # closed

    def publish(self, number):
        self.sock.sendall(packet(PUBLISH, text("in/a") + struct.pack(">H", number) + b"\0"
                                 + b'{"temp":1}', flags=2))


@unittest.skipUnless(shim(), "EW_FAULT_SHIM names no library")
class DiskTest(FaultCase):
    def test_no_puback_leaves_before_the_commit(self):
        faults, server = Faults(self.folder), StubServer(self)
        self.write_app(f"type: mqtt, server: 'mqtt://127.0.0.1:{server.port}', topics: in/#")
        agent = AgentProcess(self, environment=faults.environment)
        agent.wait_for(server.is_subscribed.is_set)
        agent.wait_for(lambda: faults.held_syncs() == 0)
        faults.hold_syncs(True)
        for number in range(1, 11):
            server.publish(number)
        agent.wait_for(lambda: faults.held_syncs() == 1)
        # The messages are in the agent, which does not say so.
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            self.assertNotIn(PUBACK, server.packets)
            time.sleep(0.01)
        self.assertEqual(self.out(), [])
        faults.hold_syncs(False)
        agent.wait_for(lambda: server.packets.count(PUBACK) == 10)
        agent.wait_for(lambda: len(self.out()) == 10)
        agent.stop()

    def test_a_full_disk_loses_nothing_that_was_acknowledged(self):
        faults = Faults(self.folder)
        broker = Broker(self.folder, "near")
        self.addCleanup(broker.stop)
        self.write_app(f"type: mqtt, server: 'mqtt://127.0.0.1:{broker.port}', topics: in/#, "
                       "client_id: a, session: 1h", ", key_level: 2")
        agent = AgentProcess(self, environment=faults.environment)
        agent.wait_for(lambda: "in: connected" in agent.lines())

        def messages(first, last):
            return [(f"in/k{i % 7}", f'{{"seq":{i},"temp":1}}'.encode()) for i in range(first, last)]
        self.publish(broker.port, messages(0, 500))
        agent.wait_for(lambda: len(self.out()) == 500)
        faults.fill_disk(True)
        self.publish(broker.port, messages(500, 3000))
        agent.wait_for(lambda: "No space left on device" in agent.lines())
        # Killed while the disk is full: what it had taken it had not acknowledged.
        agent.process.kill()
        agent.process.wait()
        self.assertLess(len(self.out()), 3000)
        faults.fill_disk(False)
        agent = AgentProcess(self, environment=faults.environment)
        agent.wait_for(lambda: len({json.loads(line)["seq"] for line in self.out()}) == 3000)
        faults.fill_disk(True)
        self.publish(broker.port, messages(3000, 4000))
        agent.wait_for(lambda: "No space left on device" in agent.lines())
        faults.fill_disk(False)
        agent.wait_for(lambda: len({json.loads(line)["seq"] for line in self.out()}) == 4000)
        agent.stop()
        total, dropped = self.counts()
        self.assertEqual((dropped, total["queued"]), ({}, 0))
        self.assertLessEqual(len(self.out()) - 4000, 64)

    def test_a_disk_that_is_full_at_the_start_is_said(self):
        faults = Faults(self.folder)
        faults.fill_disk(True)
        (self.folder / "in.jsonl").write_text('{"temp":1}\n')
        self.write_app("type: file, path: in.jsonl")
        done = subprocess.run(["edgewise", "run", "app.yaml"], cwd=self.folder, capture_output=True,
                              env=faults.environment, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 4, done.stderr)


@unittest.skipUnless(shim(), "EW_FAULT_SHIM names no library")
class ClockTest(FaultCase):
    APP = """
app: clocks
state: state
sources:
  in: {{type: mqtt, server: "mqtt://127.0.0.1:{port}", topics: in/#, client_id: a, key_level: 2{time}}}
streams:
  short: {{from: in, window: {{type: tumbling, size: 200ms}}, idle: 300ms, select: {{n: count(), first: min(seq)}}}}
rules:
  silent: {{from: in, absent: 700ms}}
sinks:
  out: {{type: file, path: out.jsonl, from: [short, silent]}}
"""

    def run_with_jumps(self, jumps, zone=None, time_word=""):
        port = lasting_port()
        self.server(port)
        (self.folder / "app.yaml").write_text(self.APP.format(port=port, time=time_word))
        faults = Faults(self.folder)
        if zone:
            faults.environment["TZ"] = zone
        faults.jump_clock(jumps[0])
        agent = AgentProcess(self, environment=faults.environment)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        seq = 0
        for jump in jumps:
            faults.jump_clock(jump)
            for _ in range(20):
                now = time.time() + jump
                self.publish(port, [("in/k", f'{{"seq":{seq},"t":{now}}}'.encode())])
                seq += 1
        # Windows close and silence is noticed, whatever the clock says.
        agent.wait_for(lambda: self.counts()[0]["accepted"] == seq and self.counts()[0]["queued"] == 0)
        agent.wait_for(lambda: '"silent"' in (self.folder / "out.jsonl").read_text())
        agent.stop()
        rows = [json.loads(line) for line in self.out()]
        total, dropped = self.counts()
        windows = [row for row in rows if "n" in row]
        self.assertEqual(sum(row["n"] for row in windows) + dropped.get("late", 0), seq)
        self.assertEqual([row["first"] for row in windows], sorted(row["first"] for row in windows))
        if not time_word:
            alerts = [row["ts"] for row in rows if "rule" in row]
            self.assertEqual(alerts, sorted(alerts))
        self.assertEqual(total["accepted"], total["delivered"] + sum(dropped.values()))
        self.assertLessEqual(set(dropped), {"late"})
        return dropped

    def test_the_clock_jumps_ahead_and_back_under_arrival_times(self):
        self.assertEqual(self.run_with_jumps([0, 3600, -86400, 0, 400 * 86400, 0]), {})

    def test_the_clock_jumps_under_event_times(self):
        """What lies before windows that are closed is late, and counted as that."""
        dropped = self.run_with_jumps([0, 5, -5, 10], time_word=", time: t")
        self.assertLessEqual(dropped.get("late", 0), 25)

    def test_summer_time_begins_and_ends(self):
        zone = "CET-1CEST,M3.5.0,M10.5.0/3"
        for local in ("2026-03-29T00:59:59", "2026-10-25T00:59:59"):  # UTC, a second before
            jump = time.mktime(time.strptime(local, "%Y-%m-%dT%H:%M:%S")) - time.timezone - time.time()
            with self.subTest(local):
                self.folder = Path(self.folder) / local.replace(":", "-")
                self.folder.mkdir()
                self.assertEqual(self.run_with_jumps([jump, jump], zone), {})


class WithoutJournalTest(FaultCase):
    """QoS 0: nobody keeps what the agent loses, but it says so."""

    def start(self, queue):
        (self.folder / "app.yaml").write_text(f"""
app: qos0
state: state
sources:
  in: {{type: mqtt, server: "mqtt://127.0.0.1:{self.near.port}", topics: in/#, qos: 0, key_level: 2}}
streams:
  all: {{from: in}}
  pairs: {{from: in, window: {{type: count, count: 2}}, select: {{n: count()}}}}
sinks:
  out: {{type: mqtt, server: "mqtt://127.0.0.1:{self.line.port}", topic: out, retry_max: 100ms,
         queue: {{{queue}}}, from: [all, pairs]}}
""")
        agent = AgentProcess(self)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        return agent

    def setUp(self):
        super().setUp()
        self.near, self.far = Broker(self.folder, "near"), Broker(self.folder, "far")
        self.line = Line(self.far.port)
        for end in (self.near.stop, self.far.stop, self.line.close):
            self.addCleanup(end)

    def send(self, agent, first, last):
        before = self.counts()[0]["accepted"]
        self.publish(self.near.port, [(f"in/k{i % 3}", f'{{"seq":{i},"pad":"{"x" * 100}"}}'.encode())
                                      for i in range(first, last)])
        agent.wait_for(lambda: self.counts()[0]["accepted"] - before == last - first)

    def test_what_a_kill_takes_is_counted_as_crash(self):
        self.line.down()
        came = []
        subscriber = Subscriber(self.far.port, "out", lambda m: came.append(m.payload))
        self.assertTrue(subscriber.is_subscribed.wait(20))
        agent = self.start("memory: 16K")
        self.send(agent, 0, 1500)
        agent.process.kill()
        agent.process.wait()
        self.line.up()
        agent = self.start("memory: 16K")
        agent.wait_for(lambda: self.counts()[0]["queued"] == 0)
        self.send(agent, 1500, 1600)
        agent.wait_for(lambda: self.counts()[0]["queued"] == 0)
        agent.stop()
        total, dropped = self.counts()
        self.assertEqual(total["accepted"], 1600)
        self.assertLessEqual(set(dropped), {"crash"})
        # Few: the queue writes what does not fit into memory.
        self.assertLess(dropped.get("crash", 0), 500)
        subscriber.close()
        different = {payload for payload in came if b"seq" in payload}
        self.assertGreaterEqual(len(different), total["delivered"])

    def test_the_queue_on_the_disk_is_used_again(self):
        agent = self.start("memory: 16K, disk: 1M")
        for n in range(6):
            self.line.down()
            self.send(agent, n * 2000, (n + 1) * 2000)
            self.line.up()
            agent.wait_for(lambda: self.counts()[0]["queued"] == 0)
        agent.stop()
        self.assertEqual(self.counts()[1], {})


class FullQueueTest(FaultCase):
    """A queue on the disk that is full keeps most of its room in use, with and without a journal."""

    COUNT = 12000

    def run_full(self, qos, policy):
        near, far = Broker(self.folder, f"near-{policy}-{qos}"), Broker(self.folder, f"far-{policy}-{qos}")
        line = Line(far.port)
        for end in (near.stop, far.stop, line.close):
            self.addCleanup(end)
        line.down()
        (self.folder / "app.yaml").write_text(f"""
app: full
state: state-{policy}-{qos}
sources:
  in: {{type: mqtt, server: "mqtt://127.0.0.1:{near.port}", topics: in/#, qos: {qos}, key_level: 2}}
streams:
  all: {{from: in}}
sinks:
  out: {{type: mqtt, server: "mqtt://127.0.0.1:{line.port}", topic: out, retry_max: 100ms,
         queue: {{memory: 16K, disk: 1M, when_full: {policy}}}, from: all}}
""")
        agent = AgentProcess(self)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        self.publish(near.port, [(f"in/k{i % 3}", f'{{"seq":{i},"pad":"{"x" * 100}"}}'.encode())
                                 for i in range(self.COUNT)])
        agent.wait_for(lambda: self.counts()[0]["accepted"] == self.COUNT)
        agent.process.kill()
        agent.process.wait()
        came = []
        subscriber = Subscriber(far.port, "out", lambda m: came.append(json.loads(m.payload)["seq"]))
        self.assertTrue(subscriber.is_subscribed.wait(20))
        line.up()
        agent = AgentProcess(self)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        agent.wait_for(lambda: self.counts()[0]["queued"] == 0)
        agent.stop()
        subscriber.close()
        total, dropped = self.counts()
        self.assertEqual(total["delivered"] + sum(dropped.values()), self.COUNT)
        self.assertEqual(total["delivered"], len(came))
        # A megabyte holds 5,400 of them; of these an eighth or two may be given up in advance.
        self.assertGreater(len(came), 3300)
        self.assertLess(len(came), 5800)
        self.assertLessEqual(set(dropped), {"queue_full"} if qos else {"queue_full", "crash"})
        return came

    def test_the_oldest_go(self):
        for qos in (1, 0):
            with self.subTest(qos):
                came = self.run_full(qos, "drop_oldest")
                self.assertGreater(min(came), self.COUNT - 7000)

    def test_the_newest_go(self):
        for qos in (1, 0):
            with self.subTest(qos):
                self.assertEqual(min(self.run_full(qos, "reject")), 0)


class DamageTest(FaultCase):
    """Files of the state folder, damaged while the agent was away."""

    COUNT = 3000

    def prepare(self):
        """A killed agent with outputs that wait, most of them on the disk only."""
        self.near, self.far = Broker(self.folder, "near"), Broker(self.folder, "far")
        self.line = Line(self.far.port)
        for end in (self.near.stop, self.far.stop, self.line.close):
            self.addCleanup(end)
        self.line.down()
        (self.folder / "app.yaml").write_text(f"""
app: damage
state: state
journal: {{snapshot_every: 256K}}
sources:
  in: {{type: mqtt, server: "mqtt://127.0.0.1:{self.near.port}", topics: in/#, client_id: a,
        session: 1h, key_level: 2}}
streams:
  all: {{from: in}}
sinks:
  out: {{type: mqtt, server: "mqtt://127.0.0.1:{self.line.port}", topic: out, retry_max: 100ms,
         queue: {{memory: 32K}}, from: all}}
""")
        agent = AgentProcess(self)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        self.publish(self.near.port, [(f"in/k{i % 3}", f'{{"seq":{i},"pad":"{"x" * 80}"}}'.encode())
                                      for i in range(self.COUNT)])
        agent.wait_for(lambda: self.counts()[0]["accepted"] == self.COUNT)
        agent.process.kill()
        agent.process.wait()

    def recover(self):
        """Starts it again with a far server; (different messages that came, log)."""
        came = set()
        subscriber = Subscriber(self.far.port, "out", lambda m: came.add(json.loads(m.payload)["seq"]))
        self.assertTrue(subscriber.is_subscribed.wait(20))
        self.line.up()
        agent = AgentProcess(self)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        agent.wait_for(lambda: self.counts()[0]["queued"] == 0)
        # It takes and delivers new messages too.
        self.publish(self.near.port, [("in/k0", b'{"seq":1000000}')])
        agent.wait_for(lambda: 1000000 in came)
        agent.stop()
        subscriber.close()
        return came - {1000000}, agent.lines()

    def check(self, came, log, file, may_lose):
        total, dropped = self.counts()
        lost = self.COUNT - len(came)
        self.assertLessEqual(set(dropped), {"disk"}, dropped)
        self.assertLessEqual(lost, may_lose)
        # What is lost is counted as lost. What was taken but not acknowledged comes again.
        self.assertEqual(dropped.get("disk", 0), lost)
        self.assertLessEqual(total["delivered"] - len(came) - 1, 64)
        if file:
            self.assertIn(file, log)

    def segments(self, name):
        return sorted((self.folder / "state" / name).glob("*.log"))

    def test_a_flipped_bit_in_the_queue(self):
        self.prepare()
        segment = self.segments("queue/out-telemetry")[0]
        data = bytearray(segment.read_bytes())
        data[len(data) // 2] ^= 4
        segment.write_bytes(data)
        came, log = self.recover()
        self.assertGreater(self.COUNT - len(came), 0)
        self.check(came, log, segment.name, 64)

    def test_a_hole_in_the_queue(self):
        self.prepare()
        segment = self.segments("queue/out-telemetry")[0]
        data = bytearray(segment.read_bytes())
        at = len(data) // 3
        data[at:at + 8192] = bytes(8192)
        segment.write_bytes(data)
        came, log = self.recover()
        self.assertGreater(self.COUNT - len(came), 0)
        self.check(came, log, segment.name, 300)

    def test_a_queue_that_is_cut_off(self):
        self.prepare()
        segment = self.segments("queue/out-telemetry")[-1]
        data = segment.read_bytes()
        segment.write_bytes(data[:-1000])
        came, log = self.recover()
        self.check(came, log, None, 64)

    def test_a_queue_that_is_gone(self):
        self.prepare()
        for segment in self.segments("queue/out-telemetry"):
            segment.unlink()
        came, log = self.recover()
        self.check(came, log, "inputs are dropped: disk", self.COUNT)

    def test_a_flipped_bit_in_the_journal(self):
        self.prepare()
        segment = self.segments("journal")[-1]
        data = bytearray(segment.read_bytes())
        data[len(data) * 3 // 4] ^= 1
        segment.write_bytes(data)
        came, log = self.recover()
        total, dropped = self.counts()
        # Its input may be unknown to the ledger now, but what came is in it.
        self.assertLessEqual(self.COUNT - len(came), 64)
        self.assertIn(segment.name, log)
        self.assertLessEqual(set(dropped), {"disk"})

    def test_a_damaged_snapshot(self):
        self.prepare()
        path = self.folder / "state/snapshot"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        came, log = self.recover()
        self.check(came, log, "snapshot", 0)


if __name__ == "__main__":
    unittest.main()
