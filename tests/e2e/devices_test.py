#!/usr/bin/env python3
"""Ends of the agent that are no servers: a serial line, a database, a program."""

import json
import os
import sqlite3
import sys
import tty
import unittest

from edgewise import EdgewiseTest
from operate_test import AgentProcess


class SerialTest(EdgewiseTest):
    def setUp(self):
        super().setUp()
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.addCleanup(os.close, self.master)
        # The other end stays open here, as a cable does when the agent is away.
        self.addCleanup(os.close, slave)
        self.device = os.ttyname(slave)
        (self.folder / "app.yaml").write_text(f"""
app: line
state: state
sources:
  in: {{type: serial, device: {self.device}, baud: 115200, max_line: 1K, format: csv,
        columns: [id, x], key: id}}
streams:
  all: {{from: in, set: {{y: x * 2}}}}
sinks:
  out: {{type: file, path: out.csv, format: csv, columns: [id, y], from: all}}
""")

    def test_lines_come_whole_and_long_ones_are_counted(self):
        agent = AgentProcess(self)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        os.write(self.master, b"a,1\r\nb,")
        os.write(self.master, b"2\n\n" + b"c" * 1500)
        os.write(self.master, b"c" * 1500 + b",9\nd,4\n")
        out = self.folder / "out.csv"
        agent.wait_for(lambda: out.exists() and "d,8" in out.read_text())
        self.assertEqual(out.read_text(), "id,y\na,2\nb,4\nd,8\n")
        agent.stop()
        rows = self.run_json("ledger", "app.yaml")["sources"]["in"]
        self.assertEqual(rows[""]["dropped"], {"too_large": 1})
        self.assertEqual([rows[key]["delivered"] for key in "abd"], [1, 1, 1])

    def test_a_port_that_is_not_there_yet(self):
        app = self.folder / "app.yaml"
        port = self.folder / "port"
        app.write_text(app.read_text().replace(self.device, str(port)))
        agent = AgentProcess(self)
        agent.wait_for(lambda: "No such file" in agent.lines())
        port.symlink_to(self.device)
        agent.wait_for(lambda: "in: connected" in agent.lines())
        agent.stop()


class FileInput(EdgewiseTest):
    def run_app(self, sink, rows):
        (self.folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (self.folder / "app.yaml").write_text(f"""
app: rows
state: state
sources:
  in: {{type: file, path: in.jsonl, key: id, time: t}}
rules:
  hot: {{from: in, when: x > 90, kind: event}}
sinks:
  out: {{{sink}, from: [in, hot]}}
""")
        return self.run_edgewise("run", "app.yaml")

    ROWS = [{"id": f"k{i % 3}", "t": 1700000000 + i, "x": i % 100, "text": 'Zoë "' + "\\" * (i % 3)}
            for i in range(3000)]

    def ledger(self):
        return self.run_json("ledger", "app.yaml")


class SqliteTest(FileInput):
    def rows(self, what="id, ts, rule, key, payload", table="outputs"):
        with sqlite3.connect(self.folder / "out.db") as database:
            return database.execute(f"SELECT {what} FROM {table} ORDER BY rowid").fetchall()

    def test_every_output_is_one_row(self):
        self.run_app("type: sqlite, path: out.db", self.ROWS)
        rows = self.rows()
        data = [row for row in rows if row[2] == "in"]
        self.assertEqual([json.loads(row[4]) for row in data], self.ROWS)
        self.assertEqual([row[1] for row in data], [row["t"] * 1_000_000 for row in self.ROWS])
        self.assertEqual([row[3] for row in data], [row["id"] for row in self.ROWS])
        self.assertEqual(len([row for row in rows if row[2] == "hot"]),
                         sum(row["x"] > 90 for row in self.ROWS))
        self.assertEqual(len({row[0] for row in rows}), len(rows))
        self.assertEqual(self.ledger()["sinks"]["out"]["delivered"], len(rows))

    def test_only_the_newest_stay(self):
        self.run_app("type: sqlite, path: out.db, table: kept, max_rows: 50", self.ROWS)
        kept = self.rows("payload", "kept")
        # It is trimmed every thousand rows.
        self.assertLess(len(kept), 50 + 1000 + 64)
        self.assertEqual(json.loads(kept[-1][0])["t"], self.ROWS[-1]["t"])

    def test_it_waits_while_another_program_holds_the_file(self):
        with sqlite3.connect(self.folder / "out.db", isolation_level=None) as other:
            other.execute("PRAGMA journal_mode=WAL")
            other.execute("CREATE TABLE elsewhere (x)")
            other.execute("BEGIN EXCLUSIVE")
            (self.folder / "in.jsonl").write_text('{"id":"a","t":1,"x":1}\n')
            (self.folder / "app.yaml").write_text(
                "app: rows\nstate: state\nsources:\n  in: {type: file, path: in.jsonl, key: id}\n"
                "sinks:\n  out: {type: sqlite, path: out.db, from: in}\n")
            agent = AgentProcess(self)
            agent.wait_for(lambda: "locked" in agent.lines())
            other.execute("COMMIT")
        self.assertEqual(agent.process.wait(timeout=60), 0)
        self.assertEqual(len(self.rows()), 1)


class CommandTest(FileInput):
    def script(self, text):
        path = self.folder / "program.py"
        path.write_text("import sys\n" + text)
        return f"{sys.executable}, {path}"

    def test_a_program_for_each_output_with_its_words_and_payload(self):
        program = self.script("open(sys.argv[1], 'a').write(sys.argv[2] + ' ' + sys.stdin.read() + '\\n')")
        self.run_app(f"type: command, command: [{program}, {self.path('said')}, "
                     "'{rule} {key} {id} $HOME;'], tries: 1", self.ROWS[88:93])
        said = (self.folder / "said").read_text().splitlines()
        words = [line.split(" ", 4) for line in said]
        self.assertEqual(sorted(w[0] for w in words), ["hot", "hot", "in", "in", "in", "in", "in"])
        self.assertEqual({w[3] for w in words}, {"$HOME;"})
        self.assertEqual([json.loads(w[4]) for w in words if w[0] == "in"], self.ROWS[88:93])
        self.assertEqual(words[0][2], "rows/out/t1")

    def test_it_is_tried_again_and_then_refused_by_name(self):
        program = self.script("open(sys.argv[1], 'a').write('x')\n"
                              "sys.exit(len(open(sys.argv[1]).read()) not in (2, 3))")
        self.run_app(f"type: command, command: [{program}, {self.path('count')}], tries: 2",
                     self.ROWS[:3])
        # The first fails once, the second not at all, the third for good.
        self.assertEqual(len((self.folder / "count").read_text()), 5)
        rows = self.ledger()["sources"]["in"]
        self.assertEqual([rows[key]["delivered"] for key in ("k0", "k1", "k2")], [1, 1, 0])
        self.assertEqual(rows["k2"]["dropped"], {"refused": 1})

    def test_a_program_that_hangs_is_ended(self):
        program = self.script("import time\ntime.sleep(1000)")
        self.run_app(f"type: command, command: [{program}], tries: 1, timeout: 200ms", self.ROWS[:1])
        self.assertEqual(self.ledger()["sources"]["in"]["k0"]["dropped"], {"refused": 1})


if __name__ == "__main__":
    unittest.main()
