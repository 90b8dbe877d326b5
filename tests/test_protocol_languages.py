# SPDX-License-Identifier: MIT
"""The same messages in C, CPython and MicroPython: equal values, equal bytes, equal refusals."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from test_protocol import mutate

from firmware_protocol import c_header, codec, layout

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "firmware_protocol"
HEADER = PACKAGE / "c" / "roller_protocol.h"
VECTORS = [v for path in sorted((PACKAGE / "vectors").glob("*.json")) for v in json.loads(path.read_text("utf-8"))]
WARNINGS = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Wpedantic", "-Wconversion", "-Wshadow"]
ENGINE = Path("node_modules", "@micropython", "micropython-webassembly-pyscript", "micropython.mjs")

spec = importlib.util.spec_from_file_location("reading", ROOT / "tests" / "micropython" / "reading.py")
reading = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reading)


# --- Cases ------------------------------------------------------------------------------------------------------------


def random_packet(rng):
    blocks = []
    for _ in range(rng.randrange(5)):
        stream_id = rng.choice(sorted(codec.STREAM_FIELDS))
        ranges = [layout.TYPES[field[1]][2:] for field in codec.STREAM_FIELDS[stream_id]]
        samples = [
            [rng.choice([low, high, rng.randint(low, high)]) for low, high in ranges] for _ in range(rng.randrange(7))
        ]
        blocks.append((stream_id, 10 * rng.randrange(65536), rng.randrange(65536), samples))
    header = rng.randrange(256), rng.getrandbits(32), rng.getrandbits(32)
    return codec.encode_packet(*header, blocks, rng.choice([0x10, 0x11, 0x12, 0x1F]))


def mutant(rng, payload):
    for _ in range(rng.randint(1, 3)):
        payload = mutate(rng, payload)
    return payload


def with_new_crc(payload):
    """Damage behind a CRC that fits is what tells whether values are checked."""
    return payload[:30] + codec.crc16(payload[:30]).to_bytes(2, "little")


def make_cases():
    """``(kind, payload, sizes)``: golden records, random packets and damaged ones, always the same."""
    rng = random.Random(7531)
    golden = [(v["kind"], bytes.fromhex(v["bytes"]), v.get("sizes", {})) for v in VECTORS]
    packets = [("packet", random_packet(rng), {}) for _ in range(400)]
    damaged = [(kind, mutant(rng, payload), sizes) for kind, payload, sizes in 4 * golden + packets]
    records = [case for case in golden if case[0] in {"CALIBRATION", "GEOMETRY"} and len(case[1]) == 32]
    resealed = [(kind, with_new_crc(mutant(rng, payload)), sizes) for kind, payload, sizes in 8 * records]
    return golden + packets + damaged + resealed


CASES = make_cases()
EXPECTED = [
    reading.reading(kind, payload, {int(key): size for key, size in sizes.items()}) for kind, payload, sizes in CASES
]


def assert_equal_readings(found):
    assert len(found) == len(EXPECTED)
    for (kind, payload, _), expected, said in zip(CASES, EXPECTED, found, strict=True):
        assert said == expected, f"{kind} {payload.hex()}"


def test_cases_are_read_and_refused_in_every_kind():
    for kind in {case[0] for case in CASES}:
        outcomes = [said is None for case, said in zip(CASES, EXPECTED, strict=True) if case[0] == kind]
        assert outcomes.count(True) >= 5, kind
        assert outcomes.count(False) >= 5, kind


# --- C ----------------------------------------------------------------------------------------------------------------


def shown(field):
    """C statement that prints a field as `reading` puts it."""
    name, type_name = field[0], field[1]
    kind, _, size = type_name.partition(":")
    if size:
        return f"show_hex(value.{name}, {size if kind == 'bytes' else f'value.{name}_length'});"
    if type_name == "f32":
        return f"show_f32(value.{name});"
    if type_name == "u64":
        return f'printf("%llu", (unsigned long long)value.{name});'
    return f'printf("%ld", (long)value.{name});'


def reader(name, fields, *, tag=False):
    """C function that decodes one message, prints its fields and encodes it again."""
    value = ", &value" if fields else ""
    made = f"rp_encode_{name}(again, {{}}{', tag' if tag else ''}{value})"
    shows = ' printf(", ");\n'.join(f'printf("\\"{field[0]}\\": "); {shown(field)}' for field in fields)
    return f"""
static bool read_{name}({"uint8_t tag, " if tag else ""}const uint8_t *in, size_t length)
{{
    {f"rp_{name} value;" if fields else ""}
    if (!rp_decode_{name}(in, length{value})) {{
        return false;
    }}
    printf("{{");
    {shows}
    printf("}}");
    const size_t needed = {made.format("ROOM")};
    check_room(needed, {made.format("needed")}, {made.format("needed - 1")});
    memset(again, 0xa5, sizeof again);
    show_wire({made.format("ROOM")});
    printf("}}");
    return true;
}}
"""


def sample_reader(stream_id, name, fields):
    shows = ' printf(", ");\n'.join(shown(field) for field in fields)
    return f"""
    case {stream_id}: {{
        rp_{name}_sample value;
        if (!rp_decode_{name}_sample(in, rp_sample_size(stream_id), &value)) {{
            fail("a sample is refused");
        }}
        printf("[");
        {shows}
        printf("]");
        return rp_encode_{name}_sample(out, room, &value);
    }}"""


def switch(signature, cases, otherwise):
    return (
        f"static {signature}\n{{\n    switch (op) {{{''.join(cases)}\n    default:\n        {otherwise}\n    }}\n}}\n"
    )


def messages_inc():
    """The part of the driver that follows the tables."""
    parts = [reader(name.lower(), fields) for name, (fields, _) in codec.RECORDS.items()]
    parts.append("static bool read_record(const char *kind, const uint8_t *in, size_t length)\n{\n")
    parts.append('    printf("{\\"fields\\": ");\n')
    parts += [f'    if (strcmp(kind, "{n}") == 0) {{ return read_{n.lower()}(in, length); }}\n' for n in codec.RECORDS]
    parts.append('    fail("unknown kind");\n    return false;\n}\n')
    for what, column in (("request", 2), ("reply", 3)):
        names = [(row[0], f"{row[1].lower()}_{what}", row[column]) for row in layout.REQUESTS]
        parts += [reader(name, fields, tag=True) for _, name, fields in names]
        cases = [f"\n    case {op}:\n        return read_{name}(tag, in, length);" for op, name, _ in names]
        signature = f"bool read_{what}_of(uint8_t op, uint8_t tag, const uint8_t *in, size_t length)"
        parts.append(switch(signature, cases, 'printf("null, \\"wire\\": null}");\n        return true;'))
    samples = [sample_reader(stream_id, name.lower(), fields) for stream_id, name, fields in layout.STREAMS]
    signature = "size_t read_sample(uint8_t stream_id, const uint8_t *in, uint8_t *out, size_t room)"
    parts.append(
        switch(signature, samples, 'fail("unknown stream");\n        return 0;').replace("(op)", "(stream_id)")
    )
    return "".join(parts)


def compiler(name):
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # noqa: S603


def compile_c(command):
    done = run(command)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    """The C driver, with checks of undefined behaviour where the compiler has them."""
    gcc = compiler("gcc")
    folder = tmp_path_factory.mktemp("c")
    (folder / "messages.inc").write_text(messages_inc(), "utf-8")
    include = ["-I", str(PACKAGE / "c"), "-I", str(folder)]
    program = folder / "driver"
    command = [gcc, *WARNINGS, "-O1", *include, str(ROOT / "tests" / "c" / "driver.c"), "-o", str(program)]
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    if run([*command, *checks]).returncode != 0:
        compile_c(command)
    return program


def test_c_header_is_current():
    assert HEADER.read_text("utf-8") == c_header.header()


def test_c_reads_and_writes_what_cpython_does(driver):
    lines = [
        f"{kind} {bytes(sizes.get(str(stream_id), 0) for stream_id in range(256)).hex()} {payload.hex()}"
        for kind, payload, sizes in CASES
    ]
    done = run([driver], input="\n".join(lines) + "\n")
    assert done.returncode == 0, done.stderr
    assert_equal_readings([None if line.endswith("refused") else json.loads(line) for line in done.stdout.splitlines()])


USE = """\
#include "roller_protocol.h"
size_t answer(uint8_t *out, size_t room, uint8_t tag, int32_t offset);
size_t answer(uint8_t *out, size_t room, uint8_t tag, int32_t offset)
{
    const rp_tare_reply reply = {.offset = offset, .noise = 37};
    return rp_encode_tare_reply(out, room, tag, &reply);
}
"""


@pytest.mark.parametrize(
    ("name", "target"),
    [
        pytest.param("gcc", [], id="host"),
        pytest.param("arm-none-eabi-gcc", ["-mcpu=cortex-m4", "-mthumb", "-Os"], id="cortex-m4"),
        pytest.param(
            "arm-none-eabi-gcc", ["-mcpu=cortex-m0", "-mthumb", "-Os", "-mbig-endian"], id="cortex-m0-big-endian"
        ),
    ],
)
def test_c_header_compiles_freestanding_without_a_warning(name, target, tmp_path):
    source = tmp_path / "use.c"
    source.write_text(USE, "utf-8")
    command = [compiler(name), *WARNINGS, "-Wcast-qual", "-Wfloat-equal", "-ffreestanding", *target]
    compile_c([*command, "-I", str(HEADER.parent), "-c", str(source), "-o", str(tmp_path / "use.o")])


# --- MicroPython ------------------------------------------------------------------------------------------------------


def micropython_engine():
    """Where MicroPython for node is installed: ROLLER_MICROPYTHON, else ``.micropython``."""
    folder = Path(os.environ.get("ROLLER_MICROPYTHON") or ROOT / ".micropython")
    for engine in (folder / ENGINE, folder / ENGINE.relative_to("node_modules")):
        if engine.exists():
            return engine
    pytest.skip("MicroPython for node is not installed (npm package @micropython/micropython-webassembly-pyscript)")


def test_micropython_reads_and_writes_what_cpython_does(tmp_path):
    engine, node = micropython_engine(), compiler("node")
    cases, results = tmp_path / "cases", tmp_path / "results"
    cases.write_text("".join(json.dumps([k, p.hex(), sizes]) + "\n" for k, p, sizes in CASES), "utf-8")
    here = ROOT / "tests" / "micropython"
    command = [node, here / "run.mjs", engine, PACKAGE, here / "reading.py", cases, results]
    done = run(command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert_equal_readings([json.loads(line) for line in results.read_text("utf-8").splitlines()])
