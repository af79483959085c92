#!/usr/bin/env python3
"""Writes the inference table of docs/benchmarks.md from reports of peers.py.

    report.py PAGE --one ONE.json [--two TWO.json] [--avx2 AVX2.json]
              [--avx-vnni VNNI.json] [--machine TEXT]

ONE.json is a run with --threads 1 and --ours; TWO.json one with --threads 2 of the large nets;
AVX2.json one with EDGEWISE_CPU=avx2 and ONEDNN_MAX_CPU_ISA=AVX2 in the environment, which holds
our engine and OpenVINO to AVX2 (LiteRT and ONNX Runtime know no such switch, so only --engines
openvino is compared); VNNI.json likewise with avx-vnni and AVX2_VNNI. The text between the two markers of the page is replaced; with PAGE "-" the
table goes to stdout.
"""
import argparse
import json
import math
import sys

BEGIN, END = "<!-- inference tables: bench/inference/report.py -->", "<!-- end of inference tables -->"
NAMES = {"litert": "LiteRT", "ort": "ONNX Runtime", "openvino": "OpenVINO", "mnn": "MNN",
         "ncnn": "ncnn"}
TINY = ("ad01", "kws", "resnet8", "strww", "vww96")


def best_peer(engines):
    times = {e: r["min_us"] for e, r in engines.items() if e != "ours" and "min_us" in r}
    return min(times.items(), key=lambda item: item[1]) if times else (None, math.nan)


def us(value):
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def geometric_mean(ratios):
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def rows(report, variant):
    """(name, our result, best peer, its time) of every model of a variant that both ran."""
    for name, model in sorted(report["models"].items()):
        base, _, kind = name.partition(".")
        ours = model["engines"].get("ours", {})
        peer, time = best_peer(model["engines"])
        if kind == variant and base != "null" and "min_us" in ours and peer:
            yield base, model, ours, peer, time


def one_table(report):
    out = ["| net | Edgewise us | GMAC/s | best peer us | ratio | first result ms | peak MB |",
           "| --- | --- | --- | --- | --- | --- | --- |"]
    for variant in ("int8", "fp32"):
        ratios = []
        for base, model, ours, peer, time in rows(report, variant):
            ratio = time / ours["min_us"]
            if base in TINY:
                ratios.append(ratio)
            rate = model["macs"] / ours["min_us"] / 1e3 if model.get("macs") else math.nan
            out.append(f"| {base} {variant} | {us(ours['min_us'])} | {rate:.0f} | "
                       f"{NAMES[peer]} {us(time)} | {ratio:.2f} | {ours.get('cold_ms', math.nan):.1f} "
                       f"| {ours.get('rss_mb', math.nan):.1f} |")
        if ratios:
            out.append(f"| **MLPerf Tiny {variant}, geometric mean** | | | | "
                       f"**{geometric_mean(ratios):.2f}** | | |")
    return out


def held_table(report, name):
    out = [f"| net, held to {name} | Edgewise us | OpenVINO us | ratio |", "| --- | --- | --- | --- |"]
    ratios = []
    for variant in ("int8", "fp32"):
        for base, _, ours, peer, time in rows(report, variant):
            ratios.append(time / ours["min_us"])
            out.append(f"| {base} {variant} | {us(ours['min_us'])} | {us(time)} | {ratios[-1]:.2f} |")
    if ratios:
        out.append(f"| **geometric mean** | | | **{geometric_mean(ratios):.2f}** |")
    return out


def two_table(one, two):
    out = ["| net, two threads | one thread us | two us | faster | best peer us | ratio |",
           "| --- | --- | --- | --- | --- | --- |"]
    for variant in ("int8", "fp32"):
        for base, _, ours, peer, time in rows(two, variant):
            alone = one["models"].get(f"{base}.{variant}", {}).get("engines", {}).get("ours", {})
            if "min_us" not in alone:
                continue
            out.append(f"| {base} {variant} | {us(alone['min_us'])} | {us(ours['min_us'])} | "
                       f"{alone['min_us'] / ours['min_us']:.2f}x | {NAMES[peer]} {us(time)} | "
                       f"{time / ours['min_us']:.2f} |")
    return out


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def main():
    ap = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("page")
    ap.add_argument("--one", required=True)
    ap.add_argument("--two")
    ap.add_argument("--avx2")
    ap.add_argument("--avx-vnni")
    ap.add_argument("--machine", default="")
    args = ap.parse_args()
    one = load(args.one)
    text = [args.machine, ""] if args.machine else []
    text += one_table(one)
    if args.two:
        text += [""] + two_table(one, load(args.two))
    for name, path in (("AVX2", args.avx2), ("AVX-VNNI", args.avx_vnni)):
        if path:
            text += [""] + held_table(load(path), name)
    body = "\n".join(text)
    if args.page == "-":
        print(body)
        return
    with open(args.page, encoding="utf-8") as file:
        page = file.read()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        sys.exit(f"{args.page}: expected the lines '{BEGIN}' and '{END}' once each")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    with open(args.page, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}")


if __name__ == "__main__":
    main()
