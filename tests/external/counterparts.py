#!/usr/bin/env python3
"""The agent against other people's implementations of what it reads and writes: pymodbus as a device
behind TCP and behind a serial line, pysparkplug and cbor2 as encoders, OpenTelemetry's message
definitions for traces.

Needs the packages of counterparts_requirements.txt; exit status 77 without them.
"""

import asyncio
import base64
import json
import math
import os
import random
import select
import sys
import threading
import tty
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from edgewise import BrokerTest, EdgewiseTest  # noqa: E402
from http_test import Receiver  # noqa: E402
from mqtt import Publisher, lasting_port  # noqa: E402
from operate_test import AgentProcess  # noqa: E402

try:
    import cbor2
    import pysparkplug
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.trace.v1.trace_pb2 import Span
    from pymodbus.server import ModbusSerialServer, ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice
except ImportError as missing:
    print(f"counterparts: skipped: {missing}")
    sys.exit(77)

REGISTERS = """
      - {name: u16, address: 0}
      - {name: i16, address: 1, type: i16}
      - {name: u32, address: 2, type: u32}
      - {name: i32, address: 4, type: i32}
      - {name: f32, address: 6, type: f32}
      - {name: swapped, address: 8, type: i32, word_order: little}
      - {name: scaled, address: 10, scale: 0.1, offset: -40}
      - {name: far, address: 900, type: u16}
      - {name: input, address: 3, table: input, type: i16}
      - {name: coil, address: 5, table: coil}
      - {name: discrete, address: 2, table: discrete}
"""
EXPECTED = {"u16": 65535, "i16": -7, "u32": 4000000000, "i32": -123456789, "f32": 1.5, "swapped": -2,
            "scaled": 215 * 0.1 - 40, "far": 9, "input": -32768, "coil": 1, "discrete": 0}


def device():
    """A device with four tables."""
    holding = [SimData(0, values=65535, datatype=DataType.UINT16),
               SimData(1, values=-7, datatype=DataType.INT16),
               SimData(2, values=4000000000, datatype=DataType.UINT32),
               SimData(4, values=-123456789, datatype=DataType.INT32),
               SimData(6, values=1.5, datatype=DataType.FLOAT32),
               SimData(8, values=[0xFFFE, 0xFFFF], datatype=DataType.REGISTERS),
               SimData(10, values=215, datatype=DataType.UINT16),
               SimData(11, count=7, values=0, datatype=DataType.REGISTERS),
               SimData(900, values=9, datatype=DataType.UINT16)]
    return SimDevice(1, ([SimData(0, values=[False] * 5 + [True] + [False] * 10, datatype=DataType.BITS)],
                         [SimData(0, values=[True, True] + [False] * 14, datatype=DataType.BITS)],
                         holding,
                         [SimData(0, values=[0, 0, 0, -32768], datatype=DataType.INT16)]))


class ModbusServer:
    """A pymodbus server on a loop of its own; `make` is called there."""

    def __init__(self, make):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

        async def begin():
            server = make()
            await server.serve_forever(background=True)
            return server
        self.server = asyncio.run_coroutine_threadsafe(begin(), self.loop).result(20)

    def stop(self):
        asyncio.run_coroutine_threadsafe(self.server.shutdown(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)


class SerialLine:
    """Two serial ports with a wire between them."""

    def __init__(self):
        pairs = [os.openpty() for _ in range(2)]
        self.fds = [fd for pair in pairs for fd in pair]
        self.masters = [master for master, _ in pairs]
        for _, slave in pairs:
            tty.setraw(slave)
        self.ports = [os.ttyname(slave) for _, slave in pairs]
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            for fd in select.select(self.masters, [], [], 0.05)[0]:
                os.write(self.masters[1 - self.masters.index(fd)], os.read(fd, 4096))

    def close(self):
        self.stopping = True
        self.thread.join(5)
        for fd in self.fds:
            os.close(fd)


class ModbusTest(EdgewiseTest):
    def start(self, where, registers=REGISTERS):
        (self.folder / "app.yaml").write_text(
            f"app: plant\nsources:\n  in:\n    type: modbus\n    {where}\n    interval: 20ms\n"
            f"    timeout: 500ms\n    registers:{registers}\nsinks:\n"
            "  out: {type: file, path: out.jsonl, from: in}\n")
        return AgentProcess(self)

    def rows(self):
        out = self.folder / "out.jsonl"
        return [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []

    def check_rows(self, agent, more_than):
        agent.wait_for(lambda: len(self.rows()) > more_than)
        row = self.rows()[-1]
        self.assertEqual(set(row), set(EXPECTED))
        for name, value in EXPECTED.items():
            self.assertTrue(math.isclose(row[name], value, rel_tol=1e-8), f"{name}: {row}")

    def test_tcp_registers_of_all_tables_and_types_and_a_device_that_goes_away(self):
        port = lasting_port()

        def serve():
            return ModbusServer(lambda: ModbusTcpServer(device(), address=("127.0.0.1", port)))
        server = serve()
        agent = self.start(f"host: 127.0.0.1\n    port: {port}")
        self.check_rows(agent, 3)
        server.stop()
        agent.wait_for(lambda: "disconnected" in agent.lines())
        before = len(self.rows())
        server = serve()
        self.check_rows(agent, before + 2)
        agent.stop()
        server.stop()

    def test_a_register_that_the_device_does_not_have_is_said(self):
        port = lasting_port()
        server = ModbusServer(lambda: ModbusTcpServer(device(), address=("127.0.0.1", port)))
        self.addCleanup(server.stop)
        agent = self.start(f"host: 127.0.0.1\n    port: {port}",
                           "\n      - {name: none, address: 5000}\n")
        agent.wait_for(lambda: "Illegal data address" in agent.lines())
        self.assertEqual(self.rows(), [])
        agent.stop()

    def test_rtu_over_a_serial_line(self):
        line = SerialLine()
        self.addCleanup(line.close)
        server = ModbusServer(lambda: ModbusSerialServer(device(), port=line.ports[0], baudrate=115200))
        self.addCleanup(server.stop)
        agent = self.start(f"device: {line.ports[1]}\n    baud: 115200")
        self.check_rows(agent, 3)
        agent.stop()


class Encoders(BrokerTest):
    def start(self, form, more=""):
        (self.folder / "app.yaml").write_text(f"""
app: decode
state: state
sources:
  in: {{type: mqtt, server: "mqtt://127.0.0.1:{self.port}", topics: "#", client_id: a, session: 1h,
        format: {form}{more}}}
sinks:
  out: {{type: file, path: out.jsonl, from: in}}
""")
        agent = AgentProcess(self)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        return agent

    def setUp(self):
        super().setUp()
        self.port = lasting_port()
        self.server(self.port)

    def publish(self, messages):
        publisher = Publisher(self.port, iter(messages), 1e5)
        publisher.wait()
        publisher.close()

    def rows(self, agent, count):
        out = self.folder / "out.jsonl"
        agent.wait_for(lambda: out.exists() and out.read_bytes().count(b"\n") >= count)
        return [json.loads(line) for line in out.read_text().splitlines()]


class SparkplugTest(Encoders):
    METRICS = [("i8", "INT8", -5), ("i16", "INT16", -300), ("i32", "INT32", -70000),
               ("i64", "INT64", -(1 << 40)), ("u8", "UINT8", 200), ("u16", "UINT16", 65535),
               ("u32", "UINT32", 4000000000), ("u64", "UINT64", 1 << 50), ("f32", "FLOAT", 0.5),
               ("f64", "DOUBLE", 0.1), ("on", "BOOLEAN", True), ("who", "STRING", "Zoë \"1\"")]

    def message(self, kind, seq, change, with_names):
        metrics = tuple(
            pysparkplug.Metric(timestamp=1700000000000 + seq, alias=alias,
                               name=name if with_names else None,
                               datatype=getattr(pysparkplug.DataType, dtype), value=change(value))
            for alias, (name, dtype, value) in enumerate(self.METRICS, 1))
        topic = pysparkplug.Topic(group_id="plant", edge_node_id="edge", device_id="pump",
                                  message_type=getattr(pysparkplug.MessageType, kind.upper()))
        payload = getattr(pysparkplug, {"DBIRTH": "DBirth", "DDATA": "DData"}[kind.upper()])(
            timestamp=1700000000000 + seq, seq=seq, metrics=metrics).encode()
        return str(topic), payload

    def check_row(self, row, seq, change):
        self.assertEqual((row.pop("timestamp"), row.pop("seq")), (1700000000000 + seq, seq))
        self.assertEqual(row, {name: change(value) for name, _, value in self.METRICS})

    def test_aliases_and_signs_also_after_a_kill(self):
        def same(value):
            return value

        def other(value):
            return value if isinstance(value, (str, bool, float)) else value // 2
        agent = self.start("sparkplug")
        self.publish([self.message("dbirth", 0, same, True), self.message("ddata", 1, other, False)])
        rows = self.rows(agent, 2)
        self.check_row(rows[0], 0, same)
        self.check_row(rows[1], 1, other)
        # What the birth said is in the journal.
        agent.process.kill()
        agent.process.wait()
        agent = self.start("sparkplug")
        self.publish([self.message("ddata", 2, other, False)])
        self.check_row(self.rows(agent, 3)[-1], 2, other)
        agent.stop()


class CborTest(Encoders):
    def value(self, random_, depth):
        kinds = ["int", "float", "text", "bool", "none"] + (["list", "map"] if depth < 4 else [])
        kind = random_.choice(kinds)
        if kind == "int":
            return random_.choice([-1, 1]) * random_.randrange(1 << random_.randrange(1, 53))
        if kind == "float":
            return random_.choice([0.5, 1e300, -2.0 ** -30, random_.gauss(0, 1), 65504.0])
        if kind == "text":
            return "".join(random_.choice("aZ0 \"\\\n\t/é€𝄞") for _ in range(random_.randrange(40)))
        if kind in ("bool", "none"):
            return {"bool": random_.random() < 0.5, "none": None}[kind]
        if kind == "list":
            return [self.value(random_, depth + 1) for _ in range(random_.randrange(6))]
        return {f"k{i}": self.value(random_, depth + 1) for i in range(random_.randrange(30))}

    def test_random_maps(self):
        random_ = random.Random(7)
        wanted = [{f"f{i}": self.value(random_, 0) for i in range(random_.randrange(1, 12))}
                  for _ in range(300)]
        agent = self.start("cbor")
        self.publish([("in", cbor2.dumps(value, canonical=bool(i % 2)))
                      for i, value in enumerate(wanted)])
        self.assertEqual(self.rows(agent, len(wanted)), wanted)
        # What is no map, or is cut short, is counted and harms nothing.
        whole = cbor2.dumps({"a": [1, 2, "text"]})
        broken = [cbor2.dumps([1, 2]), b"", b"\xff", *(whole[:n] for n in range(1, len(whole)))]
        self.publish([*(("in", bad) for bad in broken), ("in", whole)])
        self.assertEqual(self.rows(agent, len(wanted) + 1)[-1], {"a": [1, 2, "text"]})
        agent.stop()
        row = self.run_json("ledger", "app.yaml")["sources"]["in"][""]
        self.assertEqual(row["dropped"], {"malformed": len(broken)})


class OpenTelemetryTest(EdgewiseTest):
    def test_traces_are_export_requests(self):
        collector = Receiver(self)
        (self.folder / "app.yaml").write_text(f"""
app: pump
state: state
traces: {{url: "http://127.0.0.1:{collector.port}/v1/traces", sample: 1,
         service: 'a "pump"'}}
sources: {{in: {{type: file, path: in.jsonl}}}}
sinks: {{out: {{type: file, path: out.jsonl, from: in}}}}
""")
        (self.folder / "in.jsonl").write_text('{"temp": 1}\n' * 100)
        self.run_edgewise("run", "app.yaml")
        spans = []
        for body in collector.taken:
            document = json.loads(body)
            for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]:
                # OTLP 1.3, "JSON Protobuf Encoding": ids are hexadecimal, unlike other bytes.
                for name in {"traceId", "spanId", "parentSpanId"} & set(span):
                    span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
            request = json_format.ParseDict(document, ExportTraceServiceRequest())
            resource = request.resource_spans[0].resource
            self.assertEqual(resource.attributes[0].value.string_value, 'a "pump"')
            spans += request.resource_spans[0].scope_spans[0].spans
        self.assertEqual(len(spans), 400)
        kinds = {span.name: Span.SpanKind.Name(span.kind) for span in spans}
        self.assertEqual(kinds, {
            "receive in": "SPAN_KIND_CONSUMER", "store": "SPAN_KIND_INTERNAL",
            "process": "SPAN_KIND_INTERNAL", "send out": "SPAN_KIND_PRODUCER"})
        for span in spans:
            self.assertEqual((len(span.trace_id), len(span.span_id)), (16, 8))
            self.assertLessEqual(span.start_time_unix_nano, span.end_time_unix_nano)


if __name__ == "__main__":
    unittest.main()
