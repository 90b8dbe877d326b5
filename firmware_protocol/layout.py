# SPDX-License-Identifier: MIT
"""The wire format, declared once.

Everything else in this package (codecs, numpy dtypes, the protocol page) derives from these plain tuples, which CPython
and MicroPython read alike. All integers are little-endian. The meaning of a field never changes: a new field, stream id
or opcode is added instead.

A *field* is ``(name, type, unit, scale, meaning)``: physical value = wire value * scale, in ``unit``. Types are the
keys of ``TYPES``, ``bytes:N`` (exactly N bytes) and ``rest:N`` (at most N bytes, last field only).
"""

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0

TYPES = {
    "u8": ("B", 1, 0, 0xFF),
    "i8": ("b", 1, -0x80, 0x7F),
    "u16": ("H", 2, 0, 0xFFFF),
    "i16": ("h", 2, -0x8000, 0x7FFF),
    "i24": ("", 3, -0x800000, 0x7FFFFF),
    "u32": ("I", 4, 0, 0xFFFFFFFF),
    "i32": ("i", 4, -0x80000000, 0x7FFFFFFF),
    "u64": ("Q", 8, 0, 0xFFFFFFFFFFFFFFFF),
    "f32": ("f", 4, None, None),
}
"""Type name -> (struct code, size in bytes, smallest, largest).

``i24`` has no struct code: three bytes, two's complement.
"""

# --- GATT -------------------------------------------------------------------------------------------------------------

BASE_UUID = "06e8{:04x}-fc88-4344-96df-0d7b6fcd2219"
SERVICE_SLOT = 0x0001
TAKEN_SLOT = 0x0006
"""Not a service: a roller that is connected already advertises this UUID beside its name."""
CHARACTERISTICS = (
    (0x0002, "INFO", ("read",), "identity and capabilities, an INFO record"),
    (0x0003, "CONTROL", ("write", "indicate"), "requests in, responses out, one at a time"),
    (0x0004, "STREAM", ("notify",), "stream packets"),
    (0x0005, "STATUS", ("read", "notify"), "a STATUS record, on change, at most once a second"),
)
"""Slot, name, properties, content. A slot is never reused."""
STANDARD_SERVICES = (
    (0x180F, "Battery", ((0x2A19, "Battery Level", ("read", "notify"), "u8, percent"),)),
    (
        0x180A,
        "Device Information",
        (
            (0x2A29, "Manufacturer Name", ("read",), "text"),
            (0x2A24, "Model Number", ("read",), "text"),
            (0x2A25, "Serial Number", ("read",), "the device_id of INFO as 16 hex digits"),
            (0x2A26, "Firmware Revision", ("read",), "text, the firmware's own version"),
            (0x2A27, "Hardware Revision", ("read",), "the hw_rev of INFO in decimal"),
            (0x2A28, "Software Revision", ("read",), "protocol version, MAJOR.MINOR"),
        ),
    ),
)
"""16-bit UUID, name, characteristics (UUID, name, properties, content). All texts are UTF-8."""

# --- Records ----------------------------------------------------------------------------------------------------------

INFO = (
    ("proto_major", "u8", "", 1, "major version of the protocol; a host refuses a major that it does not know"),
    ("proto_minor", "u8", "", 1, "minor version; a newer minor only adds"),
    ("features", "u16", "bits", 1, "see Features"),
    ("device_id", "bytes:8", "", 1, "unique per device, constant; the identity of the roller on every system"),
    ("boot_id", "u32", "", 1, "random at each boot; a change means a new device clock"),
    ("max_packet", "u16", "B", 1, "longest stream packet that the device sends"),
    ("security_mode", "u8", "", 1, "see Security modes"),
    ("hw_rev", "u8", "", 1, "hardware revision"),
)

STATUS = (
    ("state", "u8", "", 1, "see States"),
    ("flags", "u8", "bits", 1, "see Status flags"),
    ("battery_v", "u16", "V", 1e-3, "battery voltage"),
    ("temp_c", "i16", "degC", 1e-2, "temperature at the load cell"),
    ("faults", "u16", "bits", 1, "see Fault bits"),
    (
        "dropped",
        "u32",
        "packets",
        1,
        "live packets since START that were not sent for want of room; the ring holds them",
    ),
)

CALIBRATION = (
    ("version", "u8", "", 1, "layout version of this record, 1"),
    ("flags", "u8", "bits", 1, "b0 force calibrated with weights, b1 head mass and force axis identified by a tumble"),
    ("cell_serial", "u16", "", 1, "serial number of the load cell"),
    ("zero_counts", "i32", "counts", 1, "ADC reading without any load, the weight of the head taken off as well"),
    ("n_per_count", "f32", "N/count", 1, "sensitivity along the force axis"),
    ("head_mass_kg", "u16", "kg", 1e-4, "mass carried by the cell: roller, axle, fork"),
    ("tempco_ppm_k", "i16", "ppm/K", 1, "temperature coefficient of the sensitivity"),
    ("temp_ref_c", "i16", "degC", 1e-2, "temperature of the calibration"),
    ("axis_x", "i8", "", 1 / 127, "force axis in the body frame: pressing the roller in this direction reads positive"),
    ("axis_y", "i8", "", 1 / 127, "second component of the force axis"),
    ("axis_z", "i8", "", 1 / 127, "third component of the force axis"),
    ("points", "u8", "", 1, "number of weights used"),
    ("max_error_n", "u16", "N", 1e-3, "largest residual of the fit"),
    ("unix_date_s", "u32", "s", 1, "date of the calibration, UTC; 0 when unknown"),
    ("max_force_n", "u16", "N", 1e-3, "force at which the cell or its ADC clips"),
    ("crc16", "u16", "", 1, "CRC-16/CCITT-FALSE over the 30 bytes before"),
)

GEOMETRY = (
    ("version", "u8", "", 1, "layout version of this record, 1"),
    ("head", "u8", "", 1, "which exchangeable head this record describes, from 0"),
    ("roller_radius_m", "u16", "m", 1e-5, "radius of the roller"),
    ("lever_x_m", "i16", "m", 1e-4, "vector from the IMU to the roller's axle, body frame"),
    ("lever_y_m", "i16", "m", 1e-4, "second component of the lever"),
    ("lever_z_m", "i16", "m", 1e-4, "third component of the lever"),
    ("axle_x", "i16", "", 1 / 32767, "axle direction, body frame, unit vector"),
    ("axle_y", "i16", "", 1 / 32767, "second component of the axle"),
    ("axle_z", "i16", "", 1 / 32767, "third component of the axle"),
    ("press_x", "i16", "", 1 / 32767, "direction in which the roller presses (into the skin), body frame, unit vector"),
    ("press_y", "i16", "", 1 / 32767, "second component of the press direction"),
    ("press_z", "i16", "", 1 / 32767, "third component of the press direction"),
    ("head_mass_kg", "u16", "kg", 1e-4, "nominal mass carried by the load cell"),
    ("patch_area_m2", "u16", "m2", 1e-8, "contact patch on skin, for pressure in kPa"),
    ("encoder_sign", "i8", "", 1, "+1: the roller angle grows when the roller rolls along axle x press; -1: it falls"),
    ("reserved", "u8", "", 1, "0"),
    ("reserved2", "u16", "", 1, "0"),
    ("crc16", "u16", "", 1, "CRC-16/CCITT-FALSE over the 30 bytes before"),
)

# --- Stream packets ---------------------------------------------------------------------------------------------------

PACKET_HEADER = (
    ("ptype", "u8", "", 1, "see Packet types; the high nibble is the protocol major"),
    ("flags", "u8", "bits", 1, "see Packet flags"),
    ("seq", "u32", "", 1, "+1 per packet since START, from 0; in log packets +1 per packet ever logged"),
    ("t0_us", "u32", "us", 1, "device clock at the first sample of the first block, low 32 bits"),
)
PTYPE_LIVE, PTYPE_BACKFILL, PTYPE_LOG = 0x10, 0x11, 0x12
PACKET_TYPES = (
    (PTYPE_LIVE, "LIVE", "sent as it was measured"),
    (PTYPE_BACKFILL, "BACKFILL", "sent again: the live packet of the same seq, equal but for ptype and LAST"),
    (PTYPE_LOG, "LOG", "recorded without a host; numbered on its own"),
)

BLOCK_HEADER = (
    ("stream_id", "u8", "", 1, "see Streams"),
    ("count", "u8", "samples", 1, "samples in the block"),
    ("offset_us", "u16", "us", 10, "first sample after t0_us"),
    ("period_us", "u16", "us", 1, "measured sample period; 0 when count is 1"),
)

STREAMS = (
    (
        0x01,
        "IMU6",
        (
            ("gyro_x", "i16", "counts", 1, "angular rate, sensor frame; scale in STREAM_INFO"),
            ("gyro_y", "i16", "counts", 1, ""),
            ("gyro_z", "i16", "counts", 1, ""),
            ("acc_x", "i16", "counts", 1, "specific force, sensor frame; scale in STREAM_INFO"),
            ("acc_y", "i16", "counts", 1, ""),
            ("acc_z", "i16", "counts", 1, ""),
        ),
    ),
    (0x02, "FORCE", (("force", "i16", "N", 1e-3, "n_per_count * (reading - zero), nothing else"),)),
    (0x03, "ROLL", (("angle", "u16", "turn", 1 / 65536, "roller angle relative to the handle, wraps"),)),
    (0x04, "FORCE_RAW", (("force", "i24", "counts", 1, "load-cell reading as converted"),)),
    (
        0x05,
        "QUAT",
        (
            ("x", "i16", "", 1 / 32767, "orientation q_world_body of a device that fuses by itself; w follows, w >= 0"),
            ("y", "i16", "", 1 / 32767, ""),
            ("z", "i16", "", 1 / 32767, ""),
        ),
    ),
    (
        0x06,
        "EVENT",
        (
            ("code", "u8", "", 1, "see Event codes"),
            ("arg", "u8", "", 1, "depends on the code"),
            ("value", "i16", "", 1, "depends on the code"),
        ),
    ),
    (0x07, "TEMP", (("temp", "i16", "degC", 1e-2, "temperature at the load cell"),)),
)
"""Id, name, fields of one sample. Samples of a block follow each other without padding."""

EVENTS = (
    (1, "CONTACT_ON", "the device's own contact logic saw the skin"),
    (2, "CONTACT_OFF", "and lost it"),
    (3, "OVERLOAD", "arg: 1 the load cell began to clip, 0 it does no longer"),
    (4, "HAPTIC_START", "arg: pattern; value: slot of the rule that started it, -1 for a request"),
    (5, "HAPTIC_STOP", "the motor stopped"),
    (6, "BUTTON", "arg: 1 pressed, 0 released"),
    (7, "LOW_BATTERY", "arg: percent left"),
    (8, "TARE", "new zero in counts, 24 bits: arg is bits 16 to 23 (sign included), value the low 16 bits"),
    (9, "FAULT", "arg: bit of Fault bits; value: 1 it appeared, 0 it went away"),
)

# --- Control ----------------------------------------------------------------------------------------------------------

REQUEST_HEADER = (
    ("op", "u8", "", 1, "see Requests"),
    ("tag", "u8", "", 1, "free choice of the host, comes back in the response"),
)
RESPONSE_HEADER = (
    ("marker", "u8", "", 1, "0xF0"),
    ("op", "u8", "", 1, "op of the request"),
    ("tag", "u8", "", 1, "tag of the request"),
    ("status", "u8", "", 1, "see Response status; a reply follows only when it is OK"),
)
RESPONSE_MARKER = 0xF0

REQUESTS = (
    (0x00, "PING", (("echo", "rest:16", "", 1, "any bytes"),), (("echo", "rest:16", "", 1, "the same bytes"),)),
    (0x01, "STREAM_LIST", (), (("ids", "rest:16", "", 1, "ids of the streams that this device has, one byte each"),)),
    (
        0x02,
        "STREAM_INFO",
        (("stream_id", "u8", "", 1, "stream asked for; NOT_SUPPORTED when the device has none such"),),
        (
            ("stream_id", "u8", "", 1, "the same"),
            ("element", "u8", "", 1, "1 i16, 2 u16, 3 i24, 4 mixed"),
            ("channels", "u8", "", 1, "values per sample"),
            ("sample_size", "u8", "B", 1, "bytes per sample, so that an unknown stream can be stepped over"),
            ("scale_a", "f32", "per count", 1, "see Streams"),
            ("scale_b", "f32", "per count", 1, "IMU6: m/s2 of the accelerometer; else 0"),
            ("rate_mask", "u32", "bits", 1, "bit i: RATES_HZ[i] is offered; 0: samples come as things happen"),
        ),
    ),
    (
        0x03,
        "CONFIG",
        (
            (
                "stream_id",
                "u8",
                "",
                1,
                "IMU6 (ROLL and QUAT follow it) or FORCE_RAW (FORCE follows it; FORCE itself where it is alone)",
            ),
            ("rate_index", "u8", "", 1, "index into RATES_HZ; must be in the rate_mask of the stream"),
            ("range_index", "u8", "", 1, "see IMU ranges; 0 for other streams"),
        ),
        (("rate_hz", "f32", "Hz", 1, "rate as measured by the device's clock; the scales of STREAM_INFO follow"),),
    ),
    (
        0x04,
        "START",
        (
            ("stream_mask", "u16", "bits", 1, "bit n: stream id n"),
            ("flush_ms", "u8", "ms", 1, "packet period, 20 to 200"),
            ("linger_s", "u8", "s", 1, "keep sampling into the ring after a link loss; 0 stops at once"),
        ),
        (
            ("session_id", "u32", "", 1, "new at each START"),
            ("t_us", "u64", "us", 1, "device clock at START"),
        ),
    ),
    (
        0x05,
        "STOP",
        (),
        (
            ("last_seq", "u32", "", 1, "number of the last packet made; 0 when there was none"),
            ("dropped", "u32", "packets", 1, "as in STATUS"),
        ),
    ),
    (
        0x06,
        "BACKFILL",
        (
            ("first", "u32", "", 1, "first packet wanted"),
            ("last", "u32", "", 1, "last packet wanted"),
        ),
        (
            ("count", "u16", "packets", 1, "packets of the range that are held and will be sent"),
            ("first_available", "u32", "", 1, "oldest packet that is held"),
        ),
    ),
    (
        0x07,
        "TIME_SYNC",
        (),
        (
            ("t2_us", "u64", "us", 1, "device clock when the request arrived"),
            ("dt_us", "u16", "us", 1, "time from then to sending the response"),
        ),
    ),
    (
        0x08,
        "SET_WALL",
        (
            ("unix_us", "u64", "us", 1, "time of day now, UTC, since 1970"),
            ("tz_min", "i16", "min", 1, "local time minus UTC, -720 to 840"),
        ),
        (),
    ),
    (
        0x09,
        "TARE",
        (("samples", "u16", "samples", 1, "readings to average, 8 to 320"),),
        (
            ("offset", "i32", "counts", 1, "new zero"),
            ("noise", "u16", "counts", 1, "standard deviation of the readings"),
        ),
    ),
    (
        0x0A,
        "CAL_READ",
        (("page", "u8", "", 1, "0 first half of the CALIBRATION record, 1 second half"),),
        (("half", "bytes:16", "", 1, "that half"),),
    ),
    (
        0x0B,
        "CAL_WRITE",
        (
            ("page", "u8", "", 1, "0 first half of a new CALIBRATION record, 1 second half"),
            ("half", "bytes:16", "", 1, "that half; kept aside until CAL_COMMIT"),
        ),
        (),
    ),
    (0x0C, "CAL_COMMIT", (("crc16", "u16", "", 1, "the crc16 field of the record that was written"),), ()),
    (
        0x0D,
        "HAPTIC_RULE",
        (
            ("slot", "u8", "", 1, "see Haptic slots"),
            ("source", "u8", "", 1, "see Haptic sources"),
            ("compare", "u8", "", 1, "0 rule off, 1 fires above the level, 2 fires below it"),
            ("level", "i16", "", 1, "in the unit of the source"),
            (
                "hysteresis",
                "i16",
                "",
                1,
                "the condition ends when the value is back beyond the level by so much, 0 or more",
            ),
            ("hold_ms", "u16", "ms", 1, "how long the condition must last until the rule fires"),
            ("pattern", "u8", "", 1, "see Haptic patterns, 1 or more"),
            ("cooldown_ms", "u8", "ms", 100, "it fires again after so long while the condition lasts; 0: once"),
        ),
        (),
    ),
    (
        0x0E,
        "HAPTIC_PLAY",
        (
            ("pattern", "u8", "", 1, "see Haptic patterns; 0 stops the motor"),
            ("strength", "u8", "%", 1, "0 to 100"),
            ("repeat", "u8", "", 1, "how often, 1 to 10"),
        ),
        (),
    ),
    (
        0x0F,
        "LED",
        (
            ("red", "u8", "", 1, "0 to 255; a single-colour LED takes the largest of the three"),
            ("green", "u8", "", 1, ""),
            ("blue", "u8", "", 1, ""),
            ("mode", "u8", "", 1, "see LED modes"),
        ),
        (),
    ),
    (0x10, "IDENTIFY", (("seconds", "u8", "s", 1, "blink and buzz for so long; 0 stops"),), ()),
    (
        0x11,
        "LOG_INFO",
        (),
        (
            ("first", "u32", "", 1, "oldest log packet held"),
            ("last", "u32", "", 1, "newest; without meaning when used is 0"),
            ("used", "u32", "B", 1, "flash taken; 0 when the log is empty"),
            ("sessions", "u16", "", 1, "sessions in the log"),
        ),
    ),
    (
        0x12,
        "LOG_READ",
        (
            ("first", "u32", "", 1, "first log packet wanted"),
            ("count", "u16", "packets", 1, "how many, 1 or more"),
        ),
        (("count", "u16", "packets", 1, "how many follow on STREAM as log packets; the last has flag LAST"),),
    ),
    (
        0x13,
        "LOG_ADVANCE",
        (("next", "u32", "", 1, "log packets before this one are safe with the host: free them"),),
        (),
    ),
    (0x14, "SLEEP", (), ()),
    (0x15, "REBOOT", (("mode", "u8", "", 1, "0 restart, 1 bootloader for a firmware update"),), ()),
    (0x16, "FACTORY_RESET", (), ()),
    (0x17, "SELF_TEST", (), (("passed", "u32", "bits", 1, "see Self-test bits"),)),
    (
        0x18,
        "SESSION",
        (),
        (
            ("session_id", "u32", "", 1, "of the latest START; 0 when there was none since boot"),
            ("first_available", "u32", "", 1, "oldest packet of it that is held; next_seq when there is none"),
            ("next_seq", "u32", "", 1, "number of the next live packet"),
            ("state", "u8", "", 1, "see States"),
        ),
    ),
    (
        0x19,
        "GEOMETRY_READ",
        (
            ("head", "u8", "", 1, "which head, from 0; BAD_PARAM beyond the last"),
            ("page", "u8", "", 1, "0 first half of the GEOMETRY record, 1 second half"),
        ),
        (("half", "bytes:16", "", 1, "that half"),),
    ),
    (
        0x1A,
        "LOG_SESSION",
        (("index", "u16", "", 1, "which session of the log, from 0; BAD_PARAM beyond the last"),),
        (
            ("first", "u32", "", 1, "its first log packet"),
            ("last", "u32", "", 1, "its last log packet"),
            ("unix_us", "u64", "us", 1, "time of day at its beginning, UTC; 0 when the device did not know"),
        ),
    ),
)
"""Op, name, fields of the request, fields of the reply."""

RESPONSE_STATUS = (
    (0, "OK", "done; the reply follows"),
    (1, "UNKNOWN_OP", "this device does not know the request"),
    (2, "BAD_LENGTH", "the request is too short or too long"),
    (3, "BAD_PARAM", "an argument is out of range"),
    (4, "BAD_STATE", "not in this state, for instance STOP while idle"),
    (5, "BUSY", "a transfer or a request is still being worked on"),
    (6, "MTU_TOO_SMALL", "streaming needs an MTU of at least 100; FORCE and EVENT alone do with less"),
    (7, "NOT_PERMITTED", "needs pairing or the button"),
    (8, "NOT_SUPPORTED", "this hardware has no such part"),
    (9, "RANGE_GONE", "those packets are no longer held"),
    (10, "HW_FAULT", "a part does not answer"),
    (11, "STORAGE", "flash is full or failed"),
    (12, "BAD_CRC", "a record did not arrive intact"),
    (13, "UNSTABLE", "the roller moved or carried a load during the tare"),
)
RATES_HZ = (1, 10, 20, 26, 40, 52, 80, 104, 208, 320)
"""Rates that STREAM_INFO and CONFIG name by their index, Hz."""
IMU_RANGES = ((0, 500, 4), (1, 1000, 8), (2, 2000, 16))
"""range_index of CONFIG, gyroscope range in deg/s, accelerometer range in g; 0 holds after each boot."""
MTU_MIN = 23
MTU_MIN_STREAM = 100
BUTTON_WINDOW_S = 30
"""How long after a press of the button protected requests are allowed, s."""

HAPTIC_SLOTS = (
    (0, "CEILING", "always in force: the lowest ceiling that applies"),
    (1, "LIMIT", "in force while connected: the limit of the place being rolled, set by the host"),
    (2, "ALONE", "in the place of LIMIT while no host is connected: the lowest limit of the person"),
    (3, "FREE", "always in force, for the host's own use"),
)
HAPTIC_SOURCES = (
    (0, "FORCE", "mN, force along the load cell's axis without the weight of the head"),
    (1, "RATE", "0.1 deg/s, magnitude of the angular rate"),
    (2, "TILT", "0.1 deg, angle between the handle and straight up"),
)
HAPTIC_PATTERNS = (
    (0, "NONE", "stops"),
    (1, "TICK", "40 ms"),
    (2, "DOUBLE", "40 ms, pause 80 ms, 40 ms"),
    (3, "EASE_OFF", "200 ms"),
    (4, "STOP", "500 ms at full strength"),
)
LED_MODES = ((0, "off"), (1, "on"), (2, "blink"), (3, "breathe"))
SECURITY_MODES = (
    (0, "open"),
    (1, "encrypted: paired by Just Works"),
    (2, "encrypted and bonded"),
    (3, "authenticated: paired with a passkey"),
)

# --- Bits -------------------------------------------------------------------------------------------------------------

FEATURES = (
    (0, "IMU", "6-axis IMU"),
    (1, "FORCE", "force in mN on the wire"),
    (2, "ROLL", "roller encoder"),
    (3, "QUAT", "orientation computed on the device"),
    (4, "HAPTIC", "haptic motor"),
    (5, "LED", "one LED"),
    (6, "RGB", "coloured LED"),
    (7, "BACKFILL", "keeps sent packets for a while"),
    (8, "OFFLINE_LOG", "records without a host"),
    (9, "SMP", "firmware update over SMP"),
    (10, "TEMP", "temperature stream"),
    (11, "FORCE_RAW", "load-cell counts on the wire"),
    (12, "CAL_LOCK", "writing a calibration needs the button"),
    (13, "WALL_CLOCK", "keeps the time of day"),
)
PACKET_FLAGS = (
    (0, "DROPPED_BEFORE", "packets were dropped before this one"),
    (1, "TARE_CHANGED", "the zero or the calibration changed"),
    (2, "HAPTIC", "the motor ran in this window: force is disturbed"),
    (3, "CONTACT", "the device saw skin contact"),
    (4, "FORCE_CLIPPED", "a force reading is at its limit"),
    (5, "IMU_CLIPPED", "an IMU reading is at its limit"),
    (6, "CLOCK_BREAK", "time is not continuous with the packet before"),
    (7, "LAST", "last packet of a transfer"),
)
STATUS_FLAGS = (
    (0, "USB", "USB power present"),
    (1, "CHARGING", "battery charging"),
    (2, "CONTACT", "skin contact"),
    (3, "TARED", "tared since boot"),
    (4, "CALIBRATED", "a valid calibration record is stored"),
    (5, "OVERLOAD", "load cell clipped"),
    (6, "LOG_PENDING", "an offline log waits to be read"),
    (7, "BUTTON_WINDOW", "protected requests are allowed for the moment"),
)
FAULTS = (
    (0, "IMU", "IMU does not answer"),
    (1, "ADC", "load-cell ADC does not answer"),
    (2, "ENCODER", "encoder does not answer or its magnet is missing"),
    (3, "HAPTIC", "haptic driver does not answer"),
    (4, "STORAGE", "flash failed"),
    (5, "CAL_CRC", "stored calibration is damaged; defaults are in use"),
)
STATES = ((0, "idle"), (1, "streaming"), (2, "offline log"), (3, "charging"), (4, "fault"))
SELF_TEST = (
    (0, "IMU", "the IMU answers with its id"),
    (1, "GYRO", "gyroscope self-test within its limits"),
    (2, "ACC", "accelerometer self-test within its limits"),
    (3, "ADC", "the load-cell ADC answers"),
    (4, "BRIDGE", "a load cell is connected"),
    (5, "NOISE", "noise of the load cell at rest within its limit"),
    (6, "ENCODER", "the encoder answers and sees its magnet; set as well when there is none"),
    (7, "HAPTIC", "the haptic driver answers"),
    (8, "STORAGE", "flash can be read and written"),
)
