#!/usr/bin/env python3
"""HTTP in and out of the agent, against Python's client and server."""

import http.client
import json
import ssl
import subprocess
import threading
import time
import unittest
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from edgewise import BrokerTest, EdgewiseTest, make_certificates
from mqtt import Line, Subscriber, lasting_port
from operate_test import AgentProcess


class Receiver:
    """A server that answers what `plan` says for the n-th request, then 200."""

    def __init__(self, test, plan=(), tls=None):
        self.plan = list(plan)
        self.taken = []     # bodies answered with 2xx
        self.seen = []      # (status, headers, body) of all
        self.times = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.answer(self, body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        test.addCleanup(self.server.server_close)
        test.addCleanup(self.server.shutdown)

    def answer(self, handler, body):
        step = self.plan.pop(0) if self.plan else 200
        if callable(step):
            step = step(body)
            self.plan.insert(0, self.again) if self.again else None
        status, fields = step if isinstance(step, tuple) else (step, {})
        self.seen.append((status, dict(handler.headers), body))
        self.times.append(time.monotonic())
        if status in (0, -1):  # broken off: -1 took it, 0 did not
            if status == -1:
                self.taken.append(body)
            handler.close_connection = True
            return
        if 200 <= status < 300:
            self.taken.append(body)
        handler.send_response(status)
        for name, value in fields.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    again = None


def lines(count):
    return "".join(json.dumps({"n": n, "temp": n}) + "\n" for n in range(count))


class Sinks(EdgewiseTest):
    def run_app(self, sink, count):
        (self.folder / "in.jsonl").write_text(lines(count))
        (self.folder / "app.yaml").write_text(
            "app: out\nstate: state\nsources:\n  in: {type: file, path: in.jsonl}\n"
            "sinks:\n  web:\n    from: in\n" + "".join(f"    {line}\n" for line in sink))
        return self.run_edgewise("run", "app.yaml")

    def batches(self, receiver):
        """Records by id, as a receiver that keys on ids has them; and how often each came."""
        came = {}
        for body in receiver.taken:
            for record in json.loads(body):
                came.setdefault(record["id"], []).append(record)
        return came

    def ledger(self):
        return self.run_json("ledger", "app.yaml")

    def test_batches_arrive_once_although_the_server_fails_on_the_way(self):
        receiver = Receiver(self, [500, 200, 0, (429, {"Retry-After": "0"}), 200, 503, -1, 200])
        self.run_app(["type: http", f"url: http://127.0.0.1:{receiver.port}/in?x=1",
                      "max_batch: 50", "headers: {X-Site: north}"], 500)
        came = self.batches(receiver)
        self.assertEqual(sorted(r[0]["data"]["n"] for r in came.values()), list(range(500)))
        # Only the batch that was taken without an answer came twice, and says so.
        twice = {name: r for name, r in came.items() if len(r) > 1}
        self.assertEqual(len(twice), 50)
        for records in twice.values():
            self.assertTrue(records[1]["resent"])
        self.assertEqual(receiver.seen[0][1]["X-Site"], "north")
        self.assertEqual(receiver.seen[0][1]["Content-Type"], "application/json")
        self.assertNotIn("Authorization", receiver.seen[0][1])

    def test_one_bad_output_of_a_batch_is_refused_alone(self):
        receiver = Receiver(self)
        receiver.again = receiver_step = (
            lambda body: 422 if b'"n": 7,' in body or b'"n":7,' in body else 200)
        receiver.plan = [receiver_step]
        self.run_app(["type: http", f"url: http://127.0.0.1:{receiver.port}/", "max_batch: 10"], 30)
        came = self.batches(receiver)
        self.assertEqual(sorted(r[0]["data"]["n"] for r in came.values()),
                         [n for n in range(30) if n != 7])
        self.assertTrue(all(len(r) == 1 for r in came.values()))
        self.assertIn("refused", json.dumps(self.ledger()))

    def test_lines_without_ids_and_a_token(self):
        (self.folder / "token").write_text("secret\n")
        receiver = Receiver(self)
        self.run_app(["type: http", f"url: http://127.0.0.1:{receiver.port}/", "format: lines",
                      "ids: false", f"token_file: {self.path('token')}"], 10)
        got = b"\n".join(receiver.taken).decode()
        self.assertEqual(got + "\n", lines(10))
        self.assertEqual(receiver.seen[0][1]["Authorization"], "Bearer secret")

    def test_a_webhook_posts_each_output_with_its_id(self):
        receiver = Receiver(self, [200, 502, 200])
        self.run_app(["type: webhook", f"url: http://127.0.0.1:{receiver.port}/hook"], 3)
        self.assertEqual([json.loads(body)["n"] for body in receiver.taken], [0, 1, 2])
        keys = [(status, fields["Idempotency-Key"], fields.get("X-Resent"))
                for status, fields, _ in receiver.seen]
        self.assertEqual([k[0] for k in keys], [200, 502, 200, 200])
        self.assertEqual(keys[1][1], keys[2][1])
        self.assertEqual([k[2] for k in keys], [None, None, "true", None])
        self.assertEqual(len({k[1] for k in keys}), 3)

    def certificates(self):
        make_certificates(self.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("server.pem"), self.path("server.key"))
        context.load_verify_locations(self.path("ca.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def test_over_tls_both_sides_show_who_they_are(self):
        receiver = Receiver(self, [503, -1], tls=self.certificates())
        url = f"url: https://localhost:{receiver.port}/in"
        tls = (f"tls: {{ca: {self.path('ca.pem')}, certificate: {self.path('client.pem')}, "
               f"key: {self.path('client.key')}}}")
        self.run_app(["type: http", url, "max_batch: 20", "retry_max: 200ms", tls], 100)
        came = self.batches(receiver)
        self.assertEqual(sorted(r[0]["data"]["n"] for r in came.values()), list(range(100)))
        # Without the client's certificate, or with a server that nobody vouches for, nothing goes.
        for words, text in ((f"tls: {{ca: {self.path('ca.pem')}}}", ""),
                            ("tls: {insecure: false}", "certificate")):
            before = len(receiver.seen)
            app = self.folder / "app.yaml"
            app.write_text(app.read_text().replace(tls, words).replace("app: out", "app: other")
                           .replace("state: state", "state: other"))
            agent = AgentProcess(self)
            agent.wait_for(lambda: "web: disconnected" in agent.lines())
            self.assertIn(text, agent.lines())
            agent.process.kill()
            self.assertEqual(len(receiver.seen), before)
            app.write_text(app.read_text().replace(words, tls))

    def test_it_waits_as_long_as_it_is_asked_to(self):
        receiver = Receiver(self, [(503, {"Retry-After": "1"}), 200])
        self.run_app(["type: http", f"url: http://127.0.0.1:{receiver.port}/"], 10)
        self.assertGreaterEqual(receiver.times[1] - receiver.times[0], 0.99)

    def test_outputs_wait_for_company(self):
        receiver = Receiver(self)
        (self.folder / "in.jsonl").write_text("")
        (self.folder / "app.yaml").write_text(
            "app: out\nstate: state\nsources:\n  in: {type: file, path: in.jsonl, follow: true}\n"
            f"sinks:\n  web: {{type: http, url: 'http://127.0.0.1:{receiver.port}/', from: in, "
            "max_wait: 500ms, max_batch: 4}\n")
        agent = AgentProcess(self)
        begin = time.monotonic()
        for text in lines(6).splitlines():
            with open(self.folder / "in.jsonl", "a") as file:
                file.write(text + "\n")
        agent.wait_for(lambda: len(receiver.taken) == 2)
        # A full batch goes at once, the rest when its time has come.
        self.assertEqual([len(json.loads(body)) for body in receiver.taken], [4, 2])
        self.assertGreaterEqual(receiver.times[1] - begin, 0.5)
        self.assertGreaterEqual(receiver.times[1] - receiver.times[0], 0.2)
        agent.stop()

    def test_wrong_words_are_errors(self):
        for words, text in ((["type: http", "url: ftp://x"], "expected http://"),
                            (["type: webhook", "url: http://x/", "tls: {insecure: true}"],
                             "needs a url https"),
                            (["type: http", "url: http://x/", "token_file: none"], "none")):
            (self.folder / "in.jsonl").write_text("{}\n")
            (self.folder / "app.yaml").write_text(
                "app: out\nsources:\n  in: {type: file, path: in.jsonl}\n"
                "sinks:\n  web:\n    from: in\n" + "".join(f"    {line}\n" for line in words))
            self.assertIn(text, self.run_edgewise("run", "app.yaml", expect=3).stderr)


class Sources(EdgewiseTest):
    def start(self, more=""):
        (self.folder / "app.yaml").write_text(
            "app: push\nstate: state\nsources:\n"
            f"  in: {{type: http, port: 0, path: /push, key: id{more}}}\n"
            "sinks:\n  out: {type: file, path: out.jsonl, from: in}\n")
        agent = AgentProcess(self)
        agent.wait_for(lambda: " port " in agent.lines())
        port = int(agent.lines().split(" port ")[-1].split()[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.addCleanup(connection.close)

        def post(body, path="/push", **headers):
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        return agent, post

    def test_an_object_a_list_and_lines(self):
        agent, post = self.start()
        self.assertEqual(post('{"id": 1,\n "v": 1}'), (200, '{"accepted":1}'))
        self.assertEqual(post(' [ {"id":2}, {"id":3,"w":[1,{"x":"]"}]} ] '), (200, '{"accepted":2}'))
        self.assertEqual(post('{"id":4}\n\n{"id":5}\r\n'), (200, '{"accepted":2}'))
        for bad in ("", "[]", "[1", '{"id":6}\n{"id"', '[{"id":6}],"x":[1]', '["\x01"]', "nonsense"):
            self.assertEqual(post(bad)[0], 400, bad)
        self.assertEqual(post("{}", "/other")[0], 404)
        out = self.folder / "out.jsonl"
        agent.wait_for(lambda: out.exists() and out.read_bytes().count(b'"id"') == 5)

    def test_too_large_is_413_and_a_token_is_asked_for(self):
        (self.folder / "token").write_text("secret\n")
        _, post = self.start(f", max_payload: 1K, token_file: {self.path('token')}")
        self.assertEqual(post('{"id":1}')[0], 401)
        self.assertEqual(post('{"id":1}', Authorization="Bearer secreT")[0], 401)
        self.assertEqual(post('{"id":1}', Authorization="Bearer secret")[0], 200)
        self.assertEqual(post(json.dumps({"id": "x" * 2000}), Authorization="Bearer secret")[0], 413)

    def test_what_was_answered_survives_a_kill(self):
        agent, post = self.start()
        for n in range(200):
            self.assertEqual(post(json.dumps({"id": n}))[0], 200)
        agent.process.kill()
        agent.process.wait()
        agent, post = self.start()
        out = self.folder / "out.jsonl"
        agent.wait_for(lambda: out.exists() and len(
            {json.loads(line)["id"] for line in out.read_text().splitlines()}) == 200)

    def test_a_request_that_comes_again_is_known_by_its_key(self):
        out = self.folder / "out.jsonl"
        agent, post = self.start()

        def send(key, *ids):
            return post(json.dumps([{"id": i} for i in ids]), **{"Idempotency-Key": key})
        self.assertEqual(send("one", 1, 2, 3), (200, '{"accepted":3}'))
        self.assertEqual(send("one", 1, 2, 3), (200, '{"accepted":3}'))
        # Another body is another request, whatever its sender calls it.
        self.assertEqual(send("one", 4), (200, '{"accepted":1}'))
        self.assertEqual(send("two", 1, 2, 3), (200, '{"accepted":3}'))
        self.assertEqual(post(json.dumps({"id": 5}))[0], 200)
        self.assertEqual(post(json.dumps({"id": 5}))[0], 200)
        self.assertEqual(send("k" * 500, 9)[0], 400)
        for ending in ("kill", "stop"):
            if ending == "kill":
                agent.process.kill()
                agent.process.wait()
            else:
                agent.stop()
            agent, post = self.start()
            self.assertEqual(send("two", 1, 2, 3), (200, '{"accepted":3}'))
            self.assertEqual(send("one", 4), (200, '{"accepted":1}'))
        agent.stop()
        came = sorted({json.loads(line)["id"]: 0 for line in out.read_text().splitlines()})
        self.assertEqual(came, [1, 2, 3, 4, 5])
        rows = self.run_json("ledger", "app.yaml")["sources"]["in"]
        self.assertEqual(rows[""]["dropped"], {"duplicate": 3 + 2 * 4})
        self.assertEqual([rows[str(i)]["accepted"] for i in range(1, 6)], [2, 2, 2, 1, 2])

    def test_one_agent_to_another_over_a_line_that_is_cut(self):
        """The webhook's ids are the keys by which the other agent knows what it has."""
        agent, _ = self.start()
        port = int(agent.lines().split(" port ")[-1].split()[0])
        line = Line(port)
        self.addCleanup(line.close)
        count = 2000
        (self.folder / "in.jsonl").write_text("".join(f'{{"id":"k","n":{n}}}\n' for n in range(count)))
        (self.folder / "first.yaml").write_text(
            "app: first\nstate: first\nsources:\n  in: {type: file, path: in.jsonl}\nsinks:\n"
            f"  web: {{type: webhook, url: 'http://127.0.0.1:{line.port}/push', from: in, retry_max: 100ms}}\n")
        first = AgentProcess(self, "first.yaml")
        out = self.folder / "out.jsonl"
        for part in range(1, 20):
            agent.wait_for(lambda: out.exists() and out.read_bytes().count(b"\n") >= part * count // 20)
            line.cut()
            if part % 6 == 0:  # the sender is killed too
                first.process.kill()
                first.process.wait()
                first = AgentProcess(self, "first.yaml")
        self.assertEqual(first.process.wait(timeout=60), 0)
        agent.stop()
        self.assertEqual([json.loads(text)["n"] for text in out.read_text().splitlines()],
                         list(range(count)))
        dropped = self.run_json("ledger", "app.yaml")["sources"]["in"].get("", {"dropped": {}})["dropped"]
        self.assertLessEqual(set(dropped), {"duplicate"})

    def test_beyond_loopback_it_needs_tls(self):
        (self.folder / "app.yaml").write_text(
            "app: push\nsources:\n  in: {type: http, port: 0, host: 0.0.0.0}\n"
            "sinks:\n  out: {type: stdout, from: in}\n")
        self.assertIn("can be reached from outside",
                      self.run_edgewise("run", "app.yaml", expect=3).stderr)


class TracesTest(EdgewiseTest):
    APP = """
app: pump
state: state
http: {{port: 0}}
traces: {{url: "http://127.0.0.1:{port}/v1/traces", sample: {sample}, every: 50ms{more}}}
sources:
  in: {{type: file, path: in.jsonl, key: id, follow: true}}
rules:
  hot: {{from: in, when: temp > 80, kind: event}}
sinks:
  web: {{type: webhook, url: "http://127.0.0.1:{web}/in", from: hot}}
"""

    def start(self, collector, sample=1, web=None, more=""):
        web = web or Receiver(self)
        (self.folder / "app.yaml").write_text(
            self.APP.format(port=collector.port, web=web.port, sample=sample, more=more))
        (self.folder / "in.jsonl").write_text("")
        return AgentProcess(self)

    def put(self, *temperatures):
        with open(self.folder / "in.jsonl", "a") as file:
            for value in temperatures:
                file.write(json.dumps({"id": "a", "temp": value}) + "\n")

    @staticmethod
    def spans(collector):
        """Of what was taken, by name, oldest first."""
        found = {}
        for body in collector.taken:
            for resource in json.loads(body)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        found.setdefault(span["name"], []).append(span)
        return found

    def counted(self, agent, outcome):
        token = (self.folder / "state/token-view").read_text().strip()
        row = f'edgewise_trace_spans_total{{outcome="{outcome}"}} '
        return int(agent.get("/metrics", token)[1].split(row)[1].split()[0])

    def test_an_input_from_arrival_to_delivery(self):
        collector = Receiver(self)
        before = time.time_ns()
        agent = self.start(collector, more=", service: plant, headers: {X-Team: pumps}")
        self.put(20, 90)
        agent.wait_for(lambda: sum(map(len, self.spans(collector).values())) == 7)
        status, headers, body = collector.seen[0]
        self.assertEqual((headers["Content-Type"], headers["X-Team"]), ("application/json", "pumps"))
        resource = json.loads(body)["resourceSpans"][0]["resource"]
        self.assertEqual(resource["attributes"],
                         [{"key": "service.name", "value": {"stringValue": "plant"}}])
        spans = self.spans(collector)
        self.assertEqual({name: len(all_) for name, all_ in spans.items()},
                         {"receive in": 2, "store": 2, "process": 2, "send web": 1})
        for root, children in ((spans["receive in"][0], ["store", "process"]),
                               (spans["receive in"][1], ["store", "process", "send web"])):
            self.assertNotIn("parentSpanId", root)
            self.assertRegex(root["traceId"], "^[0-9a-f]{32}$")
            for name in children:
                span = [s for s in spans[name] if s["traceId"] == root["traceId"]][0]
                self.assertEqual(span["parentSpanId"], root["spanId"])
                times = [before, int(root["startTimeUnixNano"]), int(span["startTimeUnixNano"]),
                         int(span["endTimeUnixNano"]), time.time_ns()]
                self.assertEqual(times, sorted(times), name)
        self.assertEqual(len({s["spanId"] for all_ in spans.values() for s in all_}), 7)
        agent.wait_for(lambda: self.counted(agent, "sent") == 7)
        agent.stop()

    def test_a_share_of_the_inputs(self):
        collector = Receiver(self)
        agent = self.start(collector, sample=0.25)
        self.put(*[20] * 2000)
        agent.wait_for(lambda: "in: connected" in agent.lines() and self.run_json(
            "ledger", "app.yaml")["sources"]["in"].get("a", {}).get("accepted") == 2000)
        agent.stop()
        roots = len(self.spans(collector)["receive in"])
        self.assertGreater(roots, 400)  # 5 standard deviations
        self.assertLess(roots, 600)

    def test_a_trace_goes_on_from_agent_to_agent(self):
        collector, web = Receiver(self), Receiver(self)
        agent = self.start(collector, web=web, sample=0)
        port = lasting_port()
        app = self.folder / "app.yaml"
        app.write_text(app.read_text().replace(
            "{type: file, path: in.jsonl, key: id, follow: true}", f"{{type: http, port: {port}}}"))
        agent.wait_for(lambda: f"127.0.0.1 port {port}" in agent.lines())
        sender = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
        for flags, temperature in (("00", 91), ("01", 92), (None, 93)):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/",
                                             json.dumps({"temp": temperature}).encode())
            if flags:
                request.add_header("traceparent", f"00-{sender[0]}-{sender[1]}-{flags}")
            urllib.request.urlopen(request, timeout=30).close()
        agent.wait_for(lambda: len(web.taken) == 3 and "send web" in self.spans(collector))
        agent.stop()
        # Who sends it decides; of what comes without, the share is 0.
        spans = self.spans(collector)
        self.assertEqual([len(spans["receive in"]), len(spans["send web"])], [1, 1])
        received, sent = spans["receive in"][0], spans["send web"][0]
        self.assertEqual((received["traceId"], received["parentSpanId"]), sender)
        self.assertEqual((sent["traceId"], sent["parentSpanId"]), (sender[0], received["spanId"]))
        self.assertEqual([headers.get("traceparent") for _, headers, _ in web.seen],
                         [None, f"00-{sender[0]}-{sent['spanId']}-01", None])

    def test_a_collector_that_is_away_holds_nothing_up(self):
        collector, web = Receiver(self, plan=[503, 0, 400]), Receiver(self)
        agent = self.start(collector, web=web)
        self.put(90)
        agent.wait_for(lambda: len(web.taken) == 1)
        # Of three attempts the third is refused for good.
        agent.wait_for(lambda: self.counted(agent, "dropped") == 4)
        self.assertIn("traces: ", agent.lines())
        self.put(91)
        agent.wait_for(lambda: "receive in" in self.spans(collector))
        agent.wait_for(lambda: "/v1/traces: connected" in agent.lines())
        agent.stop()
        self.assertEqual(len(self.spans(collector)["receive in"]), 1)

    def test_an_output_that_is_dropped_is_an_error(self):
        collector = Receiver(self)
        agent = self.start(collector, web=Receiver(self, plan=[403]))
        self.put(90)
        agent.wait_for(lambda: "send web" in self.spans(collector))
        self.assertEqual(self.spans(collector)["send web"][0]["status"]["code"], 2)
        agent.stop()

    def test_wrong_words_are_errors(self):
        for words, fault in (("url: 'http://127.0.0.1:1/', sample: 2", ": sample: "),
                             ("url: 'ftp://127.0.0.1/'", ": url: "),
                             ("url: 'http://127.0.0.1:1/', tls: {ca: x.pem}", ": tls: ")):
            (self.folder / "app.yaml").write_text(
                f"app: a\nstate: s\ntraces: {{{words}}}\nsources: {{in: {{type: stdin}}}}\n"
                "sinks: {out: {type: stdout, from: in}}\n")
            self.assertIn(fault, self.run_edgewise("check", "app.yaml", expect=3).stderr)


class TracesOverMqttTest(BrokerTest):
    def test_the_properties_of_messages_carry_them(self):
        collector, port = Receiver(self), lasting_port()
        self.server(port)
        (self.folder / "app.yaml").write_text(f"""
app: pump
traces: {{url: "http://127.0.0.1:{collector.port}/v1/traces", sample: 0, every: 50ms}}
sources: {{in: {{type: mqtt, server: "mqtt://127.0.0.1:{port}", topics: in}}}}
sinks: {{out: {{type: mqtt, server: "mqtt://127.0.0.1:{port}", topic: out, qos: 1, from: in}}}}
""")
        agent = AgentProcess(self)
        agent.wait_for(lambda: "in: connected" in agent.lines() and "out: connected" in agent.lines())
        taken = []
        subscriber = Subscriber(port, "out", taken.append)
        self.addCleanup(subscriber.close)
        self.assertTrue(subscriber.is_subscribed.wait(20))
        trace = "0af7651916cd43dd8448eb211c80319c"
        subprocess.run(["mosquitto_pub", "-p", str(port), "-V", "5", "-t", "in", "-q", "1", "-m", "{}", "-D",
                        "publish", "user-property", "traceparent", f"00-{trace}-b7ad6b7169203331-01"],
                       check=True, timeout=30)
        agent.wait_for(lambda: taken and collector.taken)
        agent.stop()
        spans = [span for body in collector.taken for span in
                 json.loads(body)["resourceSpans"][0]["scopeSpans"][0]["spans"]]
        sent = [span for span in spans if span["name"] == "send out"][0]
        self.assertEqual(taken[0].user["traceparent"], f"00-{trace}-{sent['spanId']}-01")
        self.assertEqual({span["traceId"] for span in spans}, {trace})


if __name__ == "__main__":
    unittest.main()
