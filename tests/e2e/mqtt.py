"""MQTT for the end-to-end tests: a client of version 5 that shows what is on the wire, real brokers
that survive a restart, and a line between two ends that can be cut. Standard library only."""

import random
import select
import socket
import struct
import subprocess
import threading
import time

from edgewise import MOSQUITTO, is_listening

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9


def lasting_port():
    """A free port that no outgoing connection gets while its owner is away for a moment: below the
    range that systems take those from."""
    while True:
        port = random.SystemRandom().randrange(12000, 32000)
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def packet(kind, body, flags=0):
    head = bytearray([kind << 4 | flags])
    size = len(body)
    while True:
        head.append(size % 128 | (0x80 if size >= 128 else 0))
        size //= 128
        if size == 0:
            return bytes(head) + body


def text(value):
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(raw)) + raw


def variable(data, at):
    """(value, place behind it) of a number of one to four bytes; (None, at) if it is cut off."""
    value = shift = 0
    while at < len(data):
        value |= (data[at] & 127) << shift
        at += 1
        shift += 7
        if data[at - 1] < 128:
            return value, at
    return None, at


class Packets:
    """Whole packets out of a stream of bytes."""

    def __init__(self):
        self.data = b""

    def feed(self, data):
        self.data += data
        while True:
            size, at = variable(self.data, 1) if len(self.data) > 1 else (None, 0)
            if size is None or len(self.data) < at + size:
                return
            yield self.data[0] >> 4, self.data[0] & 15, self.data[at:at + size]
            self.data = self.data[at + size:]


class Message:
    """A PUBLISH that came in."""

    def __init__(self, flags, body):
        self.is_duplicate, self.qos = bool(flags & 8), flags >> 1 & 3
        size = struct.unpack_from(">H", body)[0]
        self.topic = body[2:2 + size].decode()
        at = 2 + size
        self.packet_id = 0
        if self.qos:
            self.packet_id = struct.unpack_from(">H", body, at)[0]
            at += 2
        size, at = variable(body, at)
        self.user = dict(self._users(body[at:at + size]))
        self.payload = body[at + size:]

    @staticmethod
    def _users(properties):
        sizes = {0x01: 1, 0x02: 4, 0x23: 2}  # format, expiry, alias
        at = 0
        while at < len(properties):
            kind = properties[at]
            at += 1
            if kind in sizes:
                at += sizes[kind]
            elif kind == 0x0B:
                _, at = variable(properties, at)
            else:
                parts = []
                for _ in range(2 if kind == 0x26 else 1):
                    size = struct.unpack_from(">H", properties, at)[0]
                    parts.append(properties[at + 2:at + 2 + size].decode())
                    at += 2 + size
                if kind == 0x26:
                    yield parts


def connect(port, client_id, keep_session=False, receive_maximum=1000):
    """A socket behind CONNACK, and the packets that came with it."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    properties = struct.pack(">BH", 0x21, receive_maximum)
    if keep_session:
        properties += struct.pack(">BI", 0x11, 3600)
    body = (text("MQTT") + bytes([5, 0 if keep_session else 2]) + struct.pack(">H", 0) +
            bytes([len(properties)]) + properties + text(client_id))
    sock.sendall(packet(CONNECT, body))
    packets = Packets()
    while True:
        data = sock.recv(65536)
        if not data:
            raise ConnectionError("closed before CONNACK")
        found = list(packets.feed(data))
        if not found:
            continue
        if found[0][0] != CONNACK or found[0][2][1] != 0:
            raise ConnectionError(f"refused: {found[0]}")
        return sock, packets, found[1:]


class Worker:
    """A thread that talks to one port and connects again when it must."""

    def __init__(self, port):
        self.port = port
        self.stopping = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopping.is_set():
            try:
                self.talk()
            except OSError:
                self.stopping.wait(0.02)
            except Exception as error:  # shown by close(): a thread cannot fail a test
                self.error = error
                return

    def close(self):
        self.stopping.set()
        self.thread.join(20)
        if self.error:
            raise self.error


class Publisher(Worker):
    """Publishes `messages`, an iterator of (topic, payload), with QoS 1 at `rate` a second; sends
    again what a lost connection left unanswered."""

    WINDOW = 100

    def __init__(self, port, messages, rate):
        self.messages, self.rate = messages, rate
        self.open = {}  # packet id -> (topic, payload)
        self.last_id = 0
        self.acknowledged = 0
        self.sent_again = 0
        self.is_done = threading.Event()
        self.begin = time.monotonic()
        self.taken = 0
        super().__init__(port)

    def talk(self):
        sock, packets, _ = connect(self.port, "publisher")
        with sock:
            sock.settimeout(None)
            for packet_id, message in list(self.open.items()):
                self.sent_again += 1
                self._send(sock, packet_id, message)
            while not self.stopping.is_set():
                due = self.begin + self.taken / self.rate - time.monotonic()
                if due <= 0 and len(self.open) < self.WINDOW and not self.is_done.is_set():
                    self._send_next(sock)
                    due = 0
                if self.is_done.is_set() and not self.open:
                    return self.stopping.set()
                if select.select([sock], [], [], min(max(due, 0), 0.05))[0]:
                    self._receive(sock, packets)

    def _send_next(self, sock):
        message = next(self.messages, None)
        if message is None:
            return self.is_done.set()
        self.taken += 1
        while True:
            self.last_id = self.last_id % 65535 + 1
            if self.last_id not in self.open:
                break
        self.open[self.last_id] = message
        self._send(sock, self.last_id, message)

    @staticmethod
    def _send(sock, packet_id, message):
        topic, payload = message
        sock.sendall(packet(PUBLISH, text(topic) + struct.pack(">H", packet_id) + b"\0" + payload,
                            flags=2))

    def _receive(self, sock, packets):
        data = sock.recv(65536)
        if not data:
            raise ConnectionError("closed")
        for kind, _, body in packets.feed(data):
            if kind == PUBACK:
                self.acknowledged += self.open.pop(struct.unpack_from(">H", body)[0], None) is not None

    def wait(self, seconds=60):
        self.thread.join(seconds)
        if self.thread.is_alive():
            raise TimeoutError(f"{len(self.open)} messages are not acknowledged")


class Subscriber(Worker):
    """Takes what matches `topic` with QoS 1 in a session that the broker keeps. `take` is called with
    each Message before it is acknowledged; what the broker itself sent again has is_duplicate."""

    def __init__(self, port, topic, take, client_id="subscriber"):
        self.topic, self.take, self.client_id = topic, take, client_id
        self.is_subscribed = threading.Event()
        super().__init__(port)

    def talk(self):
        sock, packets, early = connect(self.port, self.client_id, keep_session=True)
        with sock:
            sock.settimeout(0.05)
            sock.sendall(packet(SUBSCRIBE, struct.pack(">HB", 1, 0) + text(self.topic) + b"\x01", 2))
            self._handle(sock, early)
            while not self.stopping.is_set():
                try:
                    data = sock.recv(1 << 20)
                except TimeoutError:
                    continue
                if not data:
                    raise ConnectionError("closed")
                self._handle(sock, packets.feed(data))

    def _handle(self, sock, found):
        answers = b""
        for kind, flags, body in found:
            if kind == SUBACK:
                self.is_subscribed.set()
            elif kind == PUBLISH:
                message = Message(flags, body)
                self.take(message)
                if message.qos:
                    answers += packet(PUBACK, struct.pack(">H", message.packet_id))
        if answers:
            sock.sendall(answers)


class Broker:
    """mosquitto on a port of its own; what it has acknowledged and its sessions survive restart()."""

    def __init__(self, folder, name):
        self.port = lasting_port()
        home = folder / name
        home.mkdir()
        self.conf = home / "mosquitto.conf"
        self.conf.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {home}/\nmax_queued_messages 0\nmax_inflight_messages 0\n"
            f"user root\nlog_type notice\nlog_dest file {home}/log\n")
        self.log = home / "log"
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen([MOSQUITTO, "-c", str(self.conf)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not is_listening(self.port):
            if time.monotonic() > end:
                raise TimeoutError("mosquitto does not listen")
            time.sleep(0.01)

    def connects(self, client_id):
        """How often this client has connected."""
        return self.log.read_text().count(f" as {client_id} ")

    def stop(self):
        """As its service is stopped: it writes what it holds."""
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def restart(self):
        self.stop()
        self.start()


class Line:
    """A TCP port in front of another one: it can be cut at any byte, and be down."""

    def __init__(self, target):
        self.target = target
        self.port = lasting_port()
        self.listener = None
        self.pairs = {}
        self.lock = threading.Lock()
        self.stopping = False
        self.cuts = 0
        self.up()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def up(self):
        with self.lock:
            while self.listener is None:
                listener = socket.socket()
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    listener.bind(("127.0.0.1", self.port))
                except OSError:  # the thread's select still holds the one that was closed
                    listener.close()
                    time.sleep(0.005)
                    continue
                listener.listen(16)
                self.listener = listener

    def cut(self):
        with self.lock:
            self.cuts += bool(self.pairs)
            self._drop(list(self.pairs))

    def down(self):
        self.cut()
        with self.lock:
            if self.listener is not None:
                self.listener.close()
                self.listener = None

    def close(self):
        self.stopping = True
        self.thread.join(5)
        self.down()

    def _drop(self, socks):
        for sock in socks:
            other = self.pairs.pop(sock, None)
            sock.close()
            if other is not None:
                self.pairs.pop(other, None)
                other.close()

    def _run(self):
        while not self.stopping:
            with self.lock:
                watched = [*self.pairs, *([self.listener] if self.listener else [])]
            try:
                readable = select.select(watched, [], [], 0.02)[0]
            except (OSError, ValueError):  # closed meanwhile
                continue
            for sock in readable:
                with self.lock:
                    try:
                        self._move(sock)
                    except OSError:
                        self._drop([sock])

    def _move(self, sock):
        if sock is self.listener:
            near, _ = sock.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=2)
            except OSError:
                return near.close()
            for each in (near, far):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                each.settimeout(5)
            self.pairs[near], self.pairs[far] = far, near
        elif sock in self.pairs:
            data = sock.recv(65536)
            if not data:
                return self._drop([sock])
            self.pairs[sock].sendall(data)
