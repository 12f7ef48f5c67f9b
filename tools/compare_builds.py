#!/usr/bin/env python3
"""Compares two builds of heatkv by turns on one machine: what they draw and measure, and how long it takes.

    tools/compare_builds.py OLD NEW [--device cuda] [--model FOLDER] [--turns 5] [--jobs 1] [--only REGEX]

OLD and NEW are checkouts, or folders made by tools/make-runtime.sh. Only their command is used, so they may be
any two versions that know its options. Each case runs in an empty folder of its own; pictures are compared pixel
by pixel, with what is recorded in them, and so is every number that is printed or written, to the last digit.
Left out are versions, times and the memory of the whole process. Exit status: 0 if all cases are equal, 1 if one
differs or fails, 2 for wrong input.
Times are medians over --turns (0: none); "new / old" is the median of the turns' ratios, with the least and the most,
and "slower" or "faster" where the 95 % interval of their mean leaves out 1: the figure moved by more than its noise.

Needs Python 3.9 and nothing else. A runtime without the embedded model takes --model, and libtorch from
HEATKV_LIBTORCH. Builds that use another libtorch can't be expected to be equal.
"""
import argparse
import csv
import json
import math
import os
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SMALL = ["--scales", "1x1,2x2,3x4,4x6,6x9,8x12"]
WIDE = ["--scales", "1x1,1x3,2x5,3x8,4x12"]
MIDDLE = ["--resolution", "0.06M"]
DRAW = ["generate", "a red apple with a green leaf", "--seed", "7", "--json"]
MANY = ["generate", "--prompts", "prompts.txt", "--seed", "11", "--json"]
PROMPTS = "a cat, fluent style emoji\nein grüner Hut\na bison in the snow, flat style emoji\n"
CALIBRATE = ["calibrate", "--json", "--sink-scales", "2"]
PROFILED = [*MIDDLE, "--profile", "all.heatkv.json"]


def under(budget, policy="heatkv"):
    return ["--kv-budget", budget, "--policy", policy]


# What is drawn and measured: a name, and commands that follow each other in one folder.
CASES = {
    "full cache": [DRAW],
    "heatkv 0.1, prompts 2 at once, negative": [
        [*MANY, *under("0.1"), "--batch", "2", "--negative-prompt", "blue"]],
    "heatkv 4MiB, no guidance": [[*DRAW, *under("4MiB"), "--cfg", "1"]],
    "heatkv-paper 5%, bf16": [[*DRAW, *under("5%", "heatkv-paper"), "--dtype", "bf16"]],
    "prompts 2 at once": [[*MANY, *MIDDLE, "--batch", "2"]],
    "4 of a prompt at once, wide grids": [[*DRAW, *WIDE, "--count", "4", "--batch", "4"]],
    **{
        f"{policy} {budget}": [[*DRAW, *MIDDLE, *under(budget, policy)]]
        for policy, budget in [
            ("streaming-llm", "0.2"), ("sliding-window", "0.1"), ("random", "0.1"), ("snapkv", "0.2"),
            ("pyramidkv", "0.3"), ("h2o", "0.1"),
        ]
    },
    "h2o 0.2, 3 at once, bf16": [
        [*MANY, *MIDDLE, *under("0.2", "h2o"), "--batch", "3", "--dtype", "bf16"]],
    "calibrated: sums, merged, drawn with": [
        [*CALIBRATE, *MIDDLE, "a cat", "ein grüner Hut", "-o", "a.heatkv.json"],
        [*CALIBRATE, *MIDDLE, "a dog", "--seed", "5", "-o", "b.heatkv.json"],
        ["calibrate", "--merge", "a.heatkv.json", "b.heatkv.json", "-o", "all.heatkv.json", "--json"],
        [*DRAW, *PROFILED, *under("0.3")],
        [*DRAW, *PROFILED, *under("0.1"), "--count", "3", "--batch", "3"],
        [*DRAW, *PROFILED, *under("0.2"), "--allocation", "paper"],
        [*DRAW, *PROFILED, *under("0.2", "scalekv")],
        [*DRAW, *PROFILED, *under("0.2", "hack")],
        [*DRAW, *PROFILED, *under("0.2", "ams-kv"), "--count", "2", "--batch", "2"],
        [*DRAW, *PROFILED, *under("0.1"), "--dtype", "fp16"],
        ["heatmap", "--profile", "all.heatkv.json", "--budget", "0.3", "-o", "heat.svg"],
        ["schedule", *PROFILED, "--budget", "0.3", "--canonical"],
    ],
    "calibrated for heatkv alone, fp32": [
        [*CALIBRATE, *SMALL, "a cat", "--heatkv-only", "--dtype", "fp32", "-o", "own.heatkv.json"]],
    "save scales": [[*DRAW, *SMALL, "--save-scales"]],
    "guidance and tau by scale": [
        [*DRAW, *SMALL, "--cfg", "1,2,3,4,3,1", "--tau", "1,0.9,0.8,0.7,0.5,0.3"]],
    "guidance after the last block": [[*DRAW, *SMALL, "--cfg-layer=-1"]],
    "guidance after two blocks, on the logits": [[*DRAW, *SMALL, "--cfg-layer=-3,-1,0", "--cfg", "2"]],
    "top-p": [[*DRAW, *SMALL, "--top-p", "0.7"]],
    "argmax, streaming-llm 0.5": [[*DRAW, *SMALL, "--argmax", *under("0.5", "streaming-llm")]],
    "negative prompt": [[*DRAW, *SMALL, "--negative-prompt", "a green pear"]],
    "positive prompt": [[*DRAW, "a happy woman", *SMALL, "--positive-prompt"]],
    "aspect ratio 3:1": [[*DRAW, *MIDDLE, "--aspect-ratio", "3:1"]],
    "aspect ratio 1:2, snapkv 0.3": [[*DRAW, *MIDDLE, "--aspect-ratio", "1:2", *under("0.3", "snapkv")]],
    "fp32": [[*DRAW, *MIDDLE, "--dtype", "fp32"]],
    "bf16": [[*DRAW, *MIDDLE, "--dtype", "bf16"]],
    "fp16": [[*DRAW, *MIDDLE, "--dtype", "fp16"]],
    "schedules": [
        ["schedule", "--budget", budget, "--allocation", rule, "--canonical"]
        for budget, rule in [("0.05", "greedy"), ("0.3", "greedy"), ("0.05", "paper"), ("0.3", "paper")]
    ],
    "compare": [
        ["compare", "a cat", *MIDDLE, "--seed", "3", "--budgets", "0.3,0.2", "--policy", "h2o,random", "--json",
         "-o", "sheet.png"]],
    "evaluate": [
        ["evaluate", "--prompts", "prompts.txt", *SMALL, "--batch", "2", "--policies", "streaming-llm,h2o",
         "--budgets", "0.5", "-o", "report", "--quiet"]],
    "verify": [["verify", "MODEL", "--json"]],
}

# What is timed: a whole process, or with "bench" the transformer's time that it tells for each of its runs.
TIMED = {
    "start: --version": ["--version"],
    "start: inspect": ["inspect", "MODEL"],
    "generate": [*DRAW, "-o", "apple.png"],
    "generate, heatkv 0.1": [*DRAW, *under("0.1"), "-o", "apple.png"],
    "calibrate": ["calibrate", "a cat", "-o", "own.heatkv.json"],
    "bench": ["bench", "--budgets", "1.0,0.1", "--repeats", "3", "--json"],
}
TIMED_ON_CUDA = {
    "bench 2B": ["bench", "--model", "synth:infinity-2b", "--budgets", "1.0,0.1", "--batch", "1,4", "--json"],
}
TAKES_DEVICE = {"generate", "calibrate", "compare", "evaluate", "verify", "bench"}
TAKES_MODEL = {"generate", "calibrate", "compare", "evaluate", "bench", "schedule", "heatmap"}

# Keys of versions, times, a process' memory, advice, and of files by their bytes, whose form may change.
PASSING = re.compile(r"version|java|.*_ms.*|.*seconds|peak_resident_bytes|warnings|profile_sha256|.*per_second")
VERSION_IN_TEXT = re.compile(r", Version: [^,\n]*")


class Build:
    """A checkout or runtime folder, by its command."""

    def __init__(self, folder, options):
        path = Path(folder).resolve()
        self.command = next((c for c in (path / "heatkv", path / "bin" / "heatkv") if c.is_file()), None)
        if self.command is None:
            sys.exit(fail(f"{folder} holds neither heatkv nor bin/heatkv; name a checkout or a runtime folder"))
        self.options = options

    def run(self, arguments, folder):
        """Runs the command in a folder; gives its status, output, errors and seconds."""
        line = [self.options.model if a == "MODEL" else a for a in arguments]
        if line[0] in TAKES_DEVICE and "--merge" not in line:
            line += ["--device", self.options.device]
        if line[0] in TAKES_MODEL and not {"--model", "--merge"} & set(line):
            line += ["--model", self.options.model]
        begun = time.perf_counter()
        done = subprocess.run([str(self.command), *line], cwd=folder, capture_output=True, stdin=subprocess.DEVNULL)
        seconds = time.perf_counter() - begun
        return done.returncode, done.stdout.decode(), done.stderr.decode(), seconds

    def run_case(self, commands, folder):
        """Runs all commands of a case; gives None, or what failed."""
        folder.mkdir(parents=True)
        (folder / "prompts.txt").write_text(PROMPTS, encoding="utf-8")
        for number, arguments in enumerate(commands):
            name = f"{number}-{arguments[0]}"
            target = ["-o", f"{name}.png"] if arguments[0] == "generate" else []
            status, output, errors, _ = self.run([*arguments, *target], folder)
            if status != 0:
                return f"{name} ends with status {status}: {last_line(errors)}"
            suffix = "json" if output.startswith("{") else "txt"
            (folder / f"{name}.out.{suffix}").write_text(output, encoding="utf-8")
        return None


def fail(message):
    print(f"compare_builds: {message}", file=sys.stderr)
    return 2


def last_line(errors):
    return (errors.strip() or "(silent)").splitlines()[-1]


def read_png(path):
    """Size and bytes a pixel, palette, texts, and inflated rows, each with its filter byte before it."""
    data = path.read_bytes()
    at, header, texts, packed, palette = 8, None, {}, b"", b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", body[:10])
            header = width, height, {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color] * depth // 8
        elif kind == b"IDAT":
            packed += body
        elif kind == b"PLTE":
            palette = body
        elif kind == b"tEXt":
            key, text = body.split(b"\0", 1)
            texts[key.decode("latin-1")] = text.decode("latin-1")
        elif kind == b"iTXt":
            key, rest = body.split(b"\0", 1)
            text = rest[2:].split(b"\0", 2)[2]
            texts[key.decode("latin-1")] = (zlib.decompress(text) if rest[0] else text).decode()
    return header, palette, texts, zlib.decompress(packed)


def pixels(header, rows):
    """Bytes of a picture, its rows' filters undone."""
    width, height, depth = header
    stride = width * depth
    above, out = bytearray(stride), bytearray()
    for y in range(height):
        start = y * (stride + 1)
        kind, row = rows[start], bytearray(rows[start + 1 : start + 1 + stride])
        for x in range(stride) if kind else ():
            a = row[x - depth] if x >= depth else 0
            b = above[x]
            if kind == 1:
                guess = a
            elif kind == 2:
                guess = b
            elif kind == 3:
                guess = (a + b) // 2
            else:
                c = above[x - depth] if x >= depth else 0
                near = abs(b - c), abs(a - c), abs(a + b - 2 * c)
                guess = (a, b, c)[near.index(min(near))]
            row[x] = (row[x] + guess) & 255
        out += row
        above = row
    return out


def png_differences(old, new):
    old_header, old_palette, old_texts, old_rows = read_png(old)
    new_header, new_palette, new_texts, new_rows = read_png(new)
    if old_header != new_header or old_palette != new_palette:
        yield f"width, height, bytes a pixel: {old_header} became {new_header}"
    elif old_rows != new_rows:
        changes = [abs(a - b) for a, b in zip(pixels(old_header, old_rows), pixels(new_header, new_rows)) if a != b]
        if changes:
            yield f"{len(changes)} bytes of pixels differ, by up to {max(changes)} of 255"
    yield from value_differences(parsed(old_texts), parsed(new_texts), "text")


def parsed(texts):
    return {k: json.loads(t) if t.startswith("{") else VERSION_IN_TEXT.sub("", t) for k, t in texts.items()}


def value_differences(old, new, place):
    """Where values differ. What only the new build tells is no difference."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if not PASSING.fullmatch(key):
                if key in new:
                    yield from value_differences(old[key], new[key], f"{place}.{key}")
                else:
                    yield f"{place}.{key} is gone"
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new)):
            yield from value_differences(a, b, f"{place}[{i}]")
    elif old != new:
        yield f"{place}: {short(old)} became {short(new)}"


def short(value):
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def file_differences(old, new):
    if old.suffix == ".png":
        return png_differences(old, new)
    read = {".json": json.loads, ".csv": lambda text: list(csv.DictReader(text.splitlines()))}.get(old.suffix, str)
    texts = old.read_text(encoding="utf-8"), new.read_text(encoding="utf-8")
    return value_differences(read(texts[0]), read(texts[1]), "value")


def compared_files(folder):
    """Pictures, tables, profiles, charts and outputs; not what a run keeps for itself, or lays out for eyes."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix in {".png", ".csv", ".svg"} or path.name.endswith((".out.json", ".out.txt", ".heatkv.json"))
    }


def case_differences(old, new):
    old_files, new_files = compared_files(old), compared_files(new)
    for name in old_files.keys() ^ new_files.keys():
        yield f"{name} is written by the {'old' if name in old_files else 'new'} build alone"
    for name in sorted(old_files.keys() & new_files.keys()):
        for difference in file_differences(old_files[name], new_files[name]):
            yield f"{name}: {difference}"


def compare_case(name, commands, builds, folder):
    """Whether a case is equal, and its lines of the table. Its files stay if it isn't."""
    folders = [folder / side for side in ("old", "new")]
    failures = [build.run_case(commands, at) for build, at in zip(builds, folders)]
    problems = [f"{side}: {failure}" for side, failure in zip(("old", "new"), failures) if failure]
    pictures = 0
    if not problems:
        problems = list(case_differences(*folders))
        pictures = sum(name.endswith(".png") for name in compared_files(folders[0]))
    if not problems:
        shutil.rmtree(folder)
    lines = [f"{name:45} {pictures:>3} {'DIFFERS' if problems else 'equal'}", *(f"    {p}" for p in problems[:5])]
    if len(problems) > 5:
        lines.append(f"    and {len(problems) - 5} more")
    return not problems, "\n".join(lines)


def measured(build, arguments, folder):
    """Milliseconds by name of what a command does, or None if it fails."""
    status, output, errors, seconds = build.run(arguments, folder)
    if status != 0:
        print(f"    {build.command}: {last_line(errors)}")
        return None
    if arguments[0] != "bench":
        return {"": 1e3 * seconds}
    runs = json.loads(output)["runs"]
    return {f", {run['policy']} {run['budget']}, batch {run['batch']}": run["transformer_ms"] for run in runs}


# Student's t for a 95 % interval, by the number of turns.
STUDENT = {3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


def movement(ratios):
    """Which way a time moved by more than its noise, or nothing; fewer than three turns tell of no noise."""
    if len(ratios) < min(STUDENT):
        return ""
    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.mean(logs)
    noise = STUDENT.get(len(logs), 2.262) * statistics.stdev(logs) / math.sqrt(len(logs))
    return "" if abs(mean) <= noise else "slower" if mean > 0 else "faster"


def compare_times(timed, builds, turns, folder):
    """Prints a line for each time; whether all commands worked."""
    works = True
    print(f"\n{'ms, median of ' + str(turns):45} {'old':>9} {'new':>9}  new / old")
    for name, arguments in timed.items():
        times = [], []
        for _ in range(turns):
            for side, build in enumerate(builds):
                folder.mkdir()
                times[side].append(measured(build, arguments, folder))
                shutil.rmtree(folder)
        if None in times[0] + times[1]:
            works = False
            print(f"{name:45} FAILS")
            continue
        for part in [p for p in times[0][0] if p in times[1][0]]:
            old, new = ([turn[part] for turn in side] for side in times)
            ratios = [b / a for a, b in zip(old, new)]
            print(
                f"{name + part:45} {statistics.median(old):9.1f} {statistics.median(new):9.1f}"
                f"  {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) {movement(ratios)}".rstrip(),
                flush=True)
    return works


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", metavar="OLD", help="checkout or runtime folder")
    parser.add_argument("new", metavar="NEW", help="checkout or runtime folder")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--model", default="emoji", help="folder of the embedded model, where a runtime lacks it")
    parser.add_argument("--turns", type=int, default=5, help="turns of each time; 0: compare no times")
    parser.add_argument("--jobs", type=int, default=1, help="cases at once; times are always taken alone")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the cases and times whose names match")
    options = parser.parse_args()
    if os.path.exists(options.model):
        options.model = os.path.abspath(options.model)
    builds = [Build(options.old, options), Build(options.new, options)]
    only = re.compile(options.only)
    cases = {name: commands for name, commands in CASES.items() if only.search(name)}
    timed = {**TIMED, **(TIMED_ON_CUDA if options.device.startswith("cuda") else {})} if options.turns else {}
    timed = {name: arguments for name, arguments in timed.items() if only.search(name)}
    if not cases and not timed:
        return fail(f"no case and no time matches {options.only}")

    folder = Path(tempfile.mkdtemp(prefix="compare-builds-"))
    for build in builds:  # A checkout builds itself now, and natives are unpacked, outside of all times.
        status, _, errors, _ = build.run(["generate", "a", "--scales", "1x1,2x2", "-o", "first.png"], folder)
        if status != 0:
            return fail(f"{build.command} doesn't draw: {last_line(errors)}")
    differing = 0
    if cases:
        print(f"{'case':45} {'png':>3} result")
    with ThreadPoolExecutor(options.jobs) as pool:
        compared = [
            pool.submit(compare_case, name, commands, builds, folder / str(i))
            for i, (name, commands) in enumerate(cases.items())
        ]
        for case in compared:
            equal, lines = case.result()
            differing += not equal
            print(lines, flush=True)
    works = compare_times(timed, builds, options.turns, folder / "times") if timed else True
    print(f"\n{len(cases) - differing} of {len(cases)} cases are equal")
    if differing:
        print(f"what differs is kept in {folder}")
    else:
        shutil.rmtree(folder)
    return 0 if works and not differing else 1


if __name__ == "__main__":
    sys.exit(main())
