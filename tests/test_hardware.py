# SPDX-License-Identifier: MIT
"""The reference device against the protocol's constants, its own page, and the rules of a sound circuit."""

import copy
import math
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from firmware_protocol import codec, layout, reference

HARDWARE = Path(__file__).parents[1] / "hardware"
DEVICE = tomllib.loads((HARDWARE / "device.toml").read_text("utf-8"))
README = (HARDWARE / "README.md").read_text("utf-8")
G = 9.80665


def designators(device):
    return [name for part in device["part"] for name in part["designators"]]


def net_of(device):
    return {pin: net["name"] for net in device["net"] for pin in net["pins"]}


def rail_loads(device, column):
    """Current of every rail, with that of the rails fed from it, mA."""
    loads = Counter()
    feeds = {rail["name"]: rail.get("fed_from") for rail in device["rail"]}
    for draw in device["draw"]:
        rail = draw["rail"]
        while rail is not None:
            loads[rail] += draw[column]
            rail = feeds[rail]
    return loads


def differing(pairs):
    return [f"{what}: {one} is not {other}" for what, one, other in pairs if not math.isclose(one, other, rel_tol=5e-4)]


# Each check takes the description and returns complaints.


def check_protocol_constants(device):
    imu, force, roller, stream = device["imu"], device["force"], device["roller"], device["stream"]
    geometry, cal, geo = device["geometry"], reference.CALIBRATION, reference.GEOMETRY
    xyz = zip(
        (f"{name}.{axis}" for name in ("lever_m", "axle", "press", "force_axis") for axis in "xyz"),
        [*geometry["lever_m"], *geometry["axle"], *geometry["press"], *geometry["force_axis"]],
        [*geo[3:6], *geo[6:9], *geo[9:12], cal.axis_x, cal.axis_y, cal.axis_z],
        strict=True,
    )
    return differing(
        [
            *xyz,
            ("gyro", math.radians(imu["gyro_mdeg_s_per_count"] / 1000), reference.GYRO_RAD_S_PER_COUNT),
            ("accelerometer", imu["acc_mg_per_count"] / 1000 * G, reference.ACC_M_S2_PER_COUNT),
            ("IMU rate", imu["rate_hz"], reference.IMU_RATE_HZ),
            ("roll rate", roller["rate_hz"], reference.ROLL_RATE_HZ),
            ("force rate", force["rate_hz"], reference.FORCE_RATE_HZ),
            ("encoder bits", roller["encoder_bits"], reference.ROLL_BITS),
            ("angle", 2 * math.pi / 2 ** roller["wire_bits"], reference.ROLL_RAD_PER_COUNT),
            ("counts per N", 1 / force["counts_per_n"], reference.N_PER_COUNT),
            ("sensitivity", 1 / force["counts_per_n"], cal.n_per_count),
            ("stop", force["hard_stop_n"], cal.max_force_n),
            ("head mass", geometry["head_mass_kg"], cal.head_mass_kg),
            ("head mass", geometry["head_mass_kg"], geo.head_mass_kg),
            ("radius", roller["radius_m"], geo.roller_radius_m),
            ("encoder sign", roller["encoder_sign"], geo.encoder_sign),
            ("patch", geometry["patch_area_m2"], geo.patch_area_m2),
            ("flush", stream["flush_ms"], reference.FLUSH_MS),
            ("packet", stream["max_packet_b"], reference.MAX_PACKET_B),
        ]
    )


def check_sensors(device):
    imu, force, roller = device["imu"], device["force"], device["roller"]
    volts_per_n = force["cell_mv_per_v"] / 1000 * force["reference_v"] / (force["cell_range_kg"] * G)
    full_scale_v = force["reference_v"] / 2 / force["gain"]
    counts_per_n = volts_per_n / full_scale_v * 2 ** (force["adc_bits"] - 1)
    found = differing([("counts per N", counts_per_n, force["counts_per_n"])])
    if abs(full_scale_v / volts_per_n - force["adc_full_scale_n"]) > 1:
        found.append("full scale of the ADC")
    if not force["use_range_n"] < force["hard_stop_n"] < force["cell_range_kg"] * G < force["adc_full_scale_n"]:
        found.append("use, stop, cell and ADC must end in this order")
    if imu["gyro_mdeg_s_per_count"] * 32.768 < imu["gyro_range_deg_s"]:
        found.append("gyro range does not fit 16 bits")
    if imu["acc_mg_per_count"] * 32.768 < 0.999 * imu["acc_range_g"]:
        found.append("accelerometer range does not fit 16 bits")
    names = [field[0][:4] for field in codec.STREAM_FIELDS[codec.STREAM_ID["IMU6"]]]
    if imu["gyro_first"] != (names[0] == "gyro"):
        found.append("order of gyro and accelerometer")
    if {imu["rate_hz"], force["rate_hz"], roller["rate_hz"]} - set(layout.RATES_HZ):
        found.append("a rate that the protocol cannot offer")
    return found


def check_packet_size(device):
    period_s = device["stream"]["flush_ms"] / 1000
    size = codec.size_of(layout.PACKET_HEADER)
    for name, sensor in (("IMU6", "imu"), ("ROLL", "roller"), ("FORCE_RAW", "force")):
        count = math.ceil(device[sensor]["rate_hz"] * period_s)
        size += codec.size_of(layout.BLOCK_HEADER) + count * codec.size_of(codec.STREAM_FIELDS[codec.STREAM_ID[name]])
    found = [] if size <= device["stream"]["max_packet_b"] else [f"a default packet takes {size} bytes"]
    if device["stream"]["max_packet_b"] > 247 - 3:
        found.append("a packet must fit a notification at MTU 247")
    if not 50 <= device["stream"]["flush_ms"] <= 200:
        found.append("flush period")
    return found


def check_body_frame(device):
    frame = device["geometry"]
    (ax, ay, az), (px, py, pz) = frame["axle"], frame["press"]
    cross = [ay * pz - az * py, az * px - ax * pz, ax * py - ay * px]
    found = [] if cross == frame["forward"] == [0, 1, 0] else [f"axle x press is {cross}"]
    if frame["force_axis"] != frame["press"]:
        found.append("pressing must read positive")
    if not math.isclose(math.hypot(*frame["axle"]), 1) or not math.isclose(math.hypot(*frame["press"]), 1):
        found.append("directions must be unit vectors")
    return found


def check_nets(device):
    found = [f"net {net['name']} has {len(net['pins'])} pin" for net in device["net"] if len(net["pins"]) < 2]
    names = Counter(net["name"] for net in device["net"])
    found += [f"net {name} is declared {count} times" for name, count in names.items() if count > 1]
    pins = Counter(pin for net in device["net"] for pin in net["pins"])
    return found + [f"terminal {pin} is in {count} nets" for pin, count in pins.items() if count > 1]


def check_rails(device):
    nets = {net["name"]: net for net in device["net"]}
    drivers = [rail["driver"] for rail in device["rail"]]
    rails = {rail["name"]: rail for rail in device["rail"]}
    found = [] if len(rails) == len(device["rail"]) else ["a rail is declared twice"]
    for name, rail in rails.items():
        present = [pin for pin in nets.get(name, {"pins": []})["pins"] if pin in drivers]
        if present != [rail["driver"]]:
            found.append(f"rail {name} is driven by {present}, not by {rail['driver']} alone")
        elif rail["volts"] > nets[name]["max_volts"]:
            found.append(f"rail {name} is above its net's maximum")
        if rail.get("fed_from", name) not in rails:
            found.append(f"rail {name} is fed from nowhere")
    others = [net["name"] for net in device["net"] if net["name"] not in rails and set(net["pins"]) & set(drivers)]
    return found + [f"net {name} has a rail's driver in it" for name in others]


def check_budget(device):
    found = []
    typical, peak = rail_loads(device, "typical_ma"), rail_loads(device, "peak_ma")
    for rail in device["rail"]:
        name, limit = rail["name"], rail["limit_ma"]
        if peak[name] >= limit:
            found.append(f"rail {name}: {peak[name]:.0f} of {limit} mA")
        if name in {"3V3", "3V3_SENSORS"} and 1.25 * peak[name] >= limit:
            found.append(f"rail {name}: no margin, {peak[name]:.0f} of {limit} mA")
        if typical[name] > peak[name]:
            found.append(f"rail {name}: typical above peak")
    rails = {rail["name"] for rail in device["rail"]}
    pins = {(pin.split(".")[0], net["name"]) for net in device["net"] for pin in net["pins"]}
    for draw in device["draw"]:
        if draw["rail"] not in rails:
            found.append(f"{draw['part']} draws from unknown {draw['rail']}")
        if (draw["part"], draw["rail"]) not in pins and draw.get("via") not in net_of(device):
            found.append(f"{draw['part']} is not on {draw['rail']}")
    supplied = {pin.split(".")[0] for net in device["net"] for pin in net["pins"] if ".V" in pin}
    drawing = {draw["part"] for draw in device["draw"]}
    return found + [f"{part} has a supply pin but draws nothing" for part in sorted(supplied - drawing)]


def check_battery(device):
    battery, charging = device["battery"], device["charging"]
    typical = rail_loads(device, "typical_ma")["CELL"]
    usable = battery["capacity_mah"] * battery["usable"]
    session_h = battery["session_min"] / 60
    a_day = typical * session_h + battery["sleep_ma"] * (24 - session_h)
    found = differing([("streaming current", typical, battery["streaming_ma"])])
    if abs(usable / typical - battery["streaming_h"]) > 0.1:
        found.append(f"streaming lasts {usable / typical:.1f} h")
    if abs(usable / a_day - battery["days_at_one_session"]) > 1:
        found.append(f"{usable / a_day:.0f} days")
    if charging["current_ma"] > charging["max_c_rate"] * battery["capacity_mah"]:
        found.append("charge current too high for the cell")
    return found


def check_charging(device):
    charging = device["charging"]
    allowed = ("on_the_face", "streaming_while_charging", "haptics_while_charging")
    found = [f"{name} must be false" for name in allowed if charging[name]]
    if not charging["attended"] or charging["min_temp_c"] < 0 or charging["max_temp_c"] > 45:
        found.append("charge attended, between 0 and 45 degC")
    if charging["sense_net"] not in {pin["net"] for pin in device["pin"] if pin["mode"].startswith("in")}:
        found.append("firmware cannot see USB power")
    return found


def check_dividers(device):
    nets = {net["name"]: net["max_volts"] for net in device["net"]}
    dividers = device["dividers"]
    vbus = dividers["vbus_ohm"][1] / sum(dividers["vbus_ohm"])
    vbat = dividers["vbat_ohm"][1] / sum(dividers["vbat_ohm"])
    found = differing(
        [
            ("VBUS_SENSE", nets["VBUS"] * vbus, nets["VBUS_SENSE"]),
            ("VBAT_HALF", nets["VBAT"] * vbat, nets["VBAT_HALF"]),
        ]
    )
    if dividers["vbus_min_v"] * vbus < dividers["input_high_v"]:
        found.append("weak USB power reads as none")
    values = {name: part["name"] for part in device["part"] for name in part["designators"]}
    ohms = zip(("R1", "R2", "R3", "R4"), [*dividers["vbat_ohm"], *dividers["vbus_ohm"]], strict=True)
    return found + [f"{name} is not {ohm}" for name, ohm in ohms if f"{ohm // 1000} k" not in values[name]]


XIAO_GPIO = {"D0": 1, "D1": 2, "D2": 3, "D3": 4, "D4": 5, "D5": 6, "D6": 43, "D7": 44, "D8": 7, "D9": 8, "D10": 9}


def check_pins(device):
    nets, volts = net_of(device), {net["name"]: net["max_volts"] for net in device["net"]}
    found = []
    for key in ("pin", "gpio", "net"):
        uses = Counter(pin[key] for pin in device["pin"])
        found += [f"{key} {value} is used {count} times" for value, count in uses.items() if count > 1]
    for pin in device["pin"]:
        if XIAO_GPIO.get(pin["pin"]) != pin["gpio"]:
            found.append(f"{pin['pin']} is not GPIO {pin['gpio']}")
        if nets.get(f"U1.{pin['pin']}") != pin["net"]:
            found.append(f"{pin['pin']} is not in net {pin['net']}")
        if volts.get(pin["net"], 99.0) > device["dividers"]["input_max_v"]:
            found.append(f"{pin['pin']} may see too high a voltage")
        if pin["gpio"] == 3 and pin["mode"] != "in":
            found.append("GPIO 3 is a strapping pin")
    wired = {pin for pin in nets if re.fullmatch(r"U1\.D\d+", pin)}
    return found + [f"{pin} has no entry" for pin in sorted(wired - {f"U1.{pin['pin']}" for pin in device["pin"]})]


def check_i2c(device):
    nets, bus = net_of(device), device["i2c"]
    found = []
    for key in ("address", "part"):
        uses = Counter(entry[key] for entry in bus["address"])
        found += [f"{key} {value} is used {count} times" for value, count in uses.items() if count > 1]
    for entry in bus["address"]:
        if not 0x08 <= entry["address"] <= 0x77:
            found.append(f"{entry['address']:#x} is no 7-bit address")
        for line in ("SDA", "SCL"):
            if nets.get(f"{entry['part']}.{line}") != bus[line.lower()]:
                found.append(f"{entry['part']} is not on {line}")
    on_bus = {pin.split(".")[0] for pin, net in nets.items() if net == bus["sda"]} - {"U1"}
    return found + [f"{part} has no address" for part in sorted(on_bus - {e["part"] for e in bus["address"]})]


def check_parts(device):
    uses = Counter(designators(device))
    found = [f"{name} is listed {count} times" for name, count in uses.items() if count > 1]
    named = {pin.split(".")[0] for net in device["net"] for pin in net["pins"]}
    electronic = {name for part in device["part"] if part["kind"] == "electronic" for name in part["designators"]}
    referred = {entry["part"] for entry in [*device["draw"], *device["i2c"]["address"]]}
    referred |= {device[key]["part"] for key in ("imu", "force", "roller", "battery")}
    referred |= {device["force"]["cell"], device["charging"]["charger"]}
    found += [f"{name} is in no part" for name in sorted((named | referred) - set(uses))]
    found += [f"{name} is not wired" for name in sorted(electronic - named)]
    found += [f"{name} is wired but mechanical" for name in sorted(named & (set(uses) - electronic))]
    for part in device["part"]:
        low, high = part["price_usd"]
        if not 0 <= low <= high or not part["order"] or part["order_verified"]:
            found.append(f"{part['name']}: price or order number")
    return found


def check_skin(device):
    allowed = set(device["safety"]["skin_materials"])
    found = [
        f"{part['name']} touches the skin"
        for part in device["part"]
        if part.get("skin_contact") and not set(part["material"]) <= allowed
    ]
    if {"PETG", "ASA", "PLA", "resin"} & allowed or device["safety"]["touch_max_c"] > 43:
        found.append("skin materials or temperature")
    if not any(part.get("skin_contact") for part in device["part"]):
        found.append("nothing touches the skin")
    return found


def rows_under(heading):
    """Cells of the table under a heading of the page, without its head."""
    section = re.split(r"^## ", README, flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(heading + "\n"))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def check_page(device):
    def price(part):
        low, high = part["price_usd"]
        return f"{low:g}" if low == high else f"{low:g} to {high:g}"

    names = {name: part["name"] for part in device["part"] for name in part["designators"]}
    tables = {
        "Parts": [[", ".join(p["designators"]), p["name"], p["role"], p["order"], price(p)] for p in device["part"]],
        "Pins": [[p["pin"], str(p["gpio"]), p["net"], p["mode"], p["note"]] for p in device["pin"]],
        "I2C addresses": [
            [f"0x{e['address']:02X}", e["part"], names.get(e["part"], "?")] for e in device["i2c"]["address"]
        ],
        "Power": [[d["part"], d["rail"], str(d["typical_ma"]), str(d["peak_ma"]), d["note"]] for d in device["draw"]],
    }
    return [f"table {heading} differs" for heading, rows in tables.items() if rows_under(heading) != rows]


def check_page_numbers(device):
    """Numbers that the page's sentences repeat."""
    force, battery, geometry, page = device["force"], device["battery"], device["geometry"], " ".join(README.split())
    prices = [sum(part["price_usd"][i] for part in device["part"]) for i in (0, 1)]
    sums = [sum(draw[column] for draw in device["draw"]) for column in ("typical_ma", "peak_ma")]
    limit = next(rail["limit_ma"] for rail in device["rail"] if rail["name"] == "3V3")
    phrases = [
        f"Together about {prices[0]:.0f} to {prices[1]:.0f} US$",
        f"Sum: {sums[0]:.1f} mA typical, {sums[1]:.1f} mA peak; the 3.3 V regulator gives {limit} mA.",
        f"about {battery['streaming_h']:g} h of streaming, or {battery['days_at_one_session']} days",
        f"gain {force['gain']} gives about {force['counts_per_n']} counts per newton",
        f"reach {force['adc_full_scale_n']} N, the cell {force['cell_range_kg'] * G:.0f} N;",
        f"stop at {force['hard_stop_n']:g} N protects it, and up to {force['use_range_n']:g} N",
        f"that alone is {2 * geometry['head_mass_kg'] * G:.1f} N",
        f"{1000 * geometry['lever_m'][1]:g} mm from the IMU along y",
        f"radius is {1000 * device['roller']['radius_m']:g} mm",
        f"{1000 * geometry['head_mass_kg']:g} g hang on the cell",
        f"One bus at {device['i2c']['clock_hz'] // 1000} kHz",
        f"between {device['charging']['min_temp_c']} and {device['charging']['max_temp_c']} degC",
        f"the cell takes {battery['capacity_mah'] * device['charging']['max_c_rate']:g} mA at most",
        f"No surface above {device['safety']['touch_max_c']} degC",
        *[f"- {entry['what']}." for entry in device["open"]],
    ]
    return [f"the page does not say: {phrase}" for phrase in phrases if phrase not in page]


def check_honesty(device):
    found = []
    if not device["device"]["bench_tested"] and "has never been on a bench" not in README[:200]:
        found.append("the page must begin with what has not been done")
    if device["device"]["bench_tested"] and "has never been on a bench" in README:
        found.append("the page says untested")
    if device["device"]["medical_device"] or "Not a medical device" not in README:
        found.append("not a medical device")
    return found


CHECKS = [function for name, function in sorted(globals().items()) if name.startswith("check_")]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_description(check):
    assert check(DEVICE) == []


# --- Every check can fail ---------------------------------------------------------------------------------------------


def put(*path):
    """A mutation: the last item replaces what the path leads to; entries of lists are found by index or by content."""
    *steps, key, value = path

    def mutate(device):
        place = device
        for step in steps:
            place = find(place, step)
        place[key] = value

    return mutate


def find(place, step):
    if isinstance(place, list) and isinstance(step, str):
        return next(e for e in place if step in (e.get("name"), e.get("part"), e.get("pin"), *e.get("designators", ())))
    return place[step]


def wire(net, pin):
    return lambda device: find(device["net"], net)["pins"].append(pin)


def unwire(net, pin):
    return lambda device: find(device["net"], net)["pins"].remove(pin)


def disconnect(part):
    def mutate(device):
        for net in device["net"]:
            net["pins"] = [pin for pin in net["pins"] if pin.split(".")[0] != part]

    return mutate


def drop(key, name):
    return lambda device: device[key].remove(find(device[key], name))


def twice(key, name):
    return lambda device: device[key].append(dict(find(device[key], name)))


MUTATIONS = [
    *[
        (check_protocol_constants, put(*path))
        for path in (
            ("imu", "gyro_mdeg_s_per_count", 8.75),
            ("imu", "acc_mg_per_count", 0.244),
            ("imu", "rate_hz", 208),
            ("roller", "rate_hz", 52),
            ("roller", "encoder_bits", 14),
            ("roller", "wire_bits", 12),
            ("roller", "radius_m", 0.0151),
            ("roller", "encoder_sign", -1),
            ("force", "rate_hz", 320),
            ("force", "counts_per_n", 43_000),
            ("force", "hard_stop_n", 30.0),
            ("geometry", "lever_m", [0.0, 0.091, 0.0]),
            ("geometry", "axle", [-1.0, 0.0, 0.0]),
            ("geometry", "press", [0.0, 0.0, 1.0]),
            ("geometry", "force_axis", [0.0, 0.0, 1.0]),
            ("geometry", "head_mass_kg", 0.061),
            ("geometry", "patch_area_m2", 2e-4),
            ("stream", "flush_ms", 50),
            ("stream", "max_packet_b", 182),
        )
    ],
    (check_sensors, put("force", "gain", 64)),
    (check_sensors, put("force", "adc_full_scale_n", 180)),
    (check_sensors, put("force", "use_range_n", 26.0)),
    (check_sensors, put("imu", "gyro_range_deg_s", 1000)),
    (check_sensors, put("imu", "acc_range_g", 8)),
    (check_sensors, put("imu", "gyro_first", False)),
    (check_sensors, put("force", "rate_hz", 160)),
    (check_packet_size, put("imu", "rate_hz", 320)),
    (check_packet_size, put("stream", "max_packet_b", 245)),
    (check_packet_size, put("stream", "flush_ms", 20)),
    (check_body_frame, put("geometry", "axle", [-1.0, 0.0, 0.0])),
    (check_body_frame, put("geometry", "forward", [0.0, -1.0, 0.0])),
    (check_body_frame, put("geometry", "force_axis", [0.0, 0.0, 1.0])),
    (check_body_frame, put("geometry", "press", [0.0, 0.0, -2.0])),
    (check_nets, unwire("BUTTON", "SW1.1")),
    (check_nets, wire("BUTTON", "U1.D0")),
    (check_nets, twice("net", "SDA")),
    (check_rails, unwire("3V3", "U1.3V3")),
    (check_rails, wire("3V3", "U1.5V")),
    (check_rails, wire("LED", "Q1.D")),
    (check_rails, put("rail", "EXCITATION", "volts", 3.3)),
    (check_rails, put("rail", "3V3", "fed_from", "MAINS")),
    (check_rails, twice("rail", "3V3")),
    (check_rails, drop("net", "3V3_SENSORS")),
    (check_budget, put("rail", "3V3", "limit_ma", 400)),
    (check_budget, put("rail", "3V3", "limit_ma", 500)),
    (check_budget, put("rail", "EXCITATION", "limit_ma", 3)),
    (check_budget, put("draw", "U4", "peak_ma", 400.0)),
    (check_budget, put("draw", "LC1", "typical_ma", 4.0)),
    (check_budget, put("draw", "U3", "rail", "VBUS")),
    (check_budget, drop("draw", "U3")),
    (check_battery, put("draw", "U1", "typical_ma", 45.0)),
    (check_battery, put("battery", "streaming_h", 8.0)),
    (check_battery, put("battery", "days_at_one_session", 40)),
    (check_battery, put("charging", "current_ma", 370)),
    (check_charging, put("charging", "on_the_face", True)),
    (check_charging, put("charging", "streaming_while_charging", True)),
    (check_charging, put("charging", "haptics_while_charging", True)),
    (check_charging, put("charging", "attended", False)),
    (check_charging, put("charging", "max_temp_c", 60)),
    (check_charging, drop("pin", "D7")),
    (check_dividers, put("dividers", "vbus_ohm", [220_000, 220_000])),
    (check_dividers, put("net", "VBAT_HALF", "max_volts", 4.2)),
    (check_dividers, put("part", "R4", "name", "Resistor 220 k")),
    (check_dividers, put("dividers", "vbus_min_v", 4.0)),
    (check_pins, put("pin", "D8", "gpio", 8)),
    (check_pins, put("pin", "D8", "pin", "D9")),
    (check_pins, put("pin", "D8", "net", "LED")),
    (check_pins, put("pin", "D2", "mode", "out")),
    (check_pins, put("net", "VBUS_SENSE", "max_volts", 5.0)),
    (check_pins, drop("pin", "D10")),
    (check_i2c, put("i2c", "address", 1, "address", 0x2A)),
    (check_i2c, put("i2c", "address", 1, "address", 0x80)),
    (check_i2c, unwire("SCL", "U5.SCL")),
    (check_i2c, wire("SDA", "U9.SDA")),
    (check_parts, drop("part", "R1")),
    (check_parts, twice("part", "U2")),
    (check_parts, disconnect("M1")),
    (check_parts, put("part", "MG1", "kind", "electronic")),
    (check_parts, put("part", "U2", "kind", "mechanical")),
    (check_parts, put("part", "U1", "order_verified", True)),
    (check_parts, put("part", "U1", "price_usd", [8.0, 7.0])),
    (check_skin, put("part", "H3", "skin_contact", True)),
    (check_skin, put("safety", "touch_max_c", 50)),
    (check_skin, put("safety", "skin_materials", ["jade", "316L", "PETG"])),
    (check_page, put("part", "U2", "order", "another")),
    (check_page, put("pin", "D3", "gpio", 5)),
    (check_page, put("i2c", "address", 0, "address", 0x2B)),
    (check_page, put("draw", "U5", "typical_ma", 3.4)),
    (check_page, drop("part", "H4")),
    (check_page_numbers, put("draw", "U5", "typical_ma", 3.4)),
    (check_page_numbers, put("force", "use_range_n", 15.0)),
    (check_page_numbers, put("part", "U2", "price_usd", [6.0, 28.0])),
    (check_page_numbers, lambda device: device["open"].append({"what": "Everything"})),
    (check_honesty, put("device", "bench_tested", True)),
    (check_honesty, put("device", "medical_device", True)),
]


@pytest.mark.parametrize(
    ("check", "mutate"), [pytest.param(*case, id=f"{case[0].__name__}-{i}") for i, case in enumerate(MUTATIONS)]
)
def test_check_notices(check, mutate):
    device = copy.deepcopy(DEVICE)
    mutate(device)
    assert device != DEVICE
    assert check(device)


def test_every_check_has_a_mutation():
    assert {check for check, _ in MUTATIONS} == set(CHECKS)


def test_page_begins_with_the_warning(monkeypatch):
    monkeypatch.setitem(globals(), "README", README.replace("never been on a bench", "been tried"))
    assert check_honesty(DEVICE)
