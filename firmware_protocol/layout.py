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
CHARACTERISTICS = (
    (0x0002, "INFO", ("read",), "identity and capabilities, an INFO record"),
    (0x0003, "CONTROL", ("write", "indicate"), "requests in, responses out, one at a time"),
    (0x0004, "STREAM", ("notify",), "stream packets"),
    (0x0005, "STATUS", ("read", "notify"), "a STATUS record, on change, at most once a second"),
)
"""Slot, name, properties, content. A slot is never reused."""

# --- Records ----------------------------------------------------------------------------------------------------------

INFO = (
    ("proto_major", "u8", "", 1, "major version of the protocol; a host refuses a major that it does not know"),
    ("proto_minor", "u8", "", 1, "minor version; a newer minor only adds"),
    ("features", "u16", "bits", 1, "see Features"),
    ("device_id", "bytes:8", "", 1, "unique per device, constant; the identity of the roller on every system"),
    ("boot_id", "u32", "", 1, "random at each boot; a change means a new device clock"),
    ("max_packet", "u16", "B", 1, "longest stream packet that the device sends"),
    ("security_mode", "u8", "", 1, "0 open, 1 encrypted, 2 encrypted and bonded, 3 authenticated"),
    ("hw_rev", "u8", "", 1, "hardware revision"),
)

STATUS = (
    ("state", "u8", "", 1, "0 idle, 1 streaming, 2 offline log, 3 charging, 4 fault"),
    ("flags", "u8", "bits", 1, "see Status flags"),
    ("battery_v", "u16", "V", 1e-3, "battery voltage"),
    ("temp_c", "i16", "degC", 1e-2, "temperature at the load cell"),
    ("faults", "u16", "bits", 1, "see Fault bits"),
    ("dropped", "u32", "packets", 1, "stream packets dropped by the device since START"),
)

CALIBRATION = (
    ("version", "u8", "", 1, "layout version of this record, 1"),
    ("flags", "u8", "bits", 1, "b0 force calibrated with weights, b1 head mass and force axis identified by a tumble"),
    ("cell_serial", "u16", "", 1, "serial number of the load cell"),
    ("zero_counts", "i32", "counts", 1, "ADC reading of the unloaded cell"),
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
    ("ptype", "u8", "", 1, "0x10 live; the high nibble is the protocol major"),
    ("flags", "u8", "bits", 1, "see Packet flags"),
    ("seq", "u32", "", 1, "+1 per packet since START, from 0"),
    ("t0_us", "u32", "us", 1, "device clock at the first sample of the first block, low 32 bits"),
)
PTYPE_LIVE = 0x10

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
    (0x03, "ROLL", (("angle", "u16", "turn", 1 / 65536, "roller angle relative to the handle, wraps"),)),
    (0x04, "FORCE_RAW", (("force", "i24", "counts", 1, "load-cell reading as converted"),)),
    (
        0x06,
        "EVENT",
        (
            ("code", "u8", "", 1, "see Event codes"),
            ("arg", "u8", "", 1, "depends on the code"),
            ("value", "i16", "", 1, "depends on the code"),
        ),
    ),
)
"""Id, name, fields of one sample. Samples of a block follow each other without padding."""

EVENTS = (
    (1, "CONTACT_ON", "the device's own contact logic saw the skin"),
    (2, "CONTACT_OFF", "and lost it"),
    (3, "OVERLOAD", "the load cell clipped"),
    (4, "HAPTIC_START", "arg: pattern"),
    (5, "HAPTIC_STOP", ""),
    (6, "BUTTON", "arg: 1 pressed, 0 released"),
    (7, "LOW_BATTERY", "arg: percent left"),
    (8, "TARE", "new zero in counts, 24 bits: arg is bits 16 to 23 (sign included), value the low 16 bits"),
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
    (
        0x02,
        "STREAM_INFO",
        (("stream_id", "u8", "", 1, "stream asked for"),),
        (
            ("stream_id", "u8", "", 1, "the same"),
            ("element", "u8", "", 1, "1 i16, 2 u16, 3 i24, 4 mixed"),
            ("channels", "u8", "", 1, "values per sample"),
            ("sample_size", "u8", "B", 1, "bytes per sample, so that an unknown stream can be stepped over"),
            ("scale_a", "f32", "per count", 1, "IMU6: rad/s; ROLL: rad; FORCE_RAW, EVENT: 1"),
            ("scale_b", "f32", "per count", 1, "IMU6: m/s2; else 0"),
            ("rate_mask", "u32", "bits", 1, "bit i: RATES_HZ[i] is offered"),
        ),
    ),
    (
        0x04,
        "START",
        (
            ("stream_mask", "u16", "bits", 1, "bit n: stream id n"),
            ("flush_ms", "u8", "ms", 1, "packet period, 20 to 200"),
            ("linger_s", "u8", "s", 1, "keep sampling after a link loss; 0 stops at once"),
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
            ("last_seq", "u32", "", 1, "number of the last packet sent"),
            ("dropped", "u32", "packets", 1, "packets dropped since START"),
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
        0x19,
        "GEOMETRY_READ",
        (
            ("head", "u8", "", 1, "which head, from 0; BAD_PARAM beyond the last"),
            ("page", "u8", "", 1, "0 first half of the GEOMETRY record, 1 second half"),
        ),
        (("half", "bytes:16", "", 1, "that half"),),
    ),
)
"""Op, name, fields of the request, fields of the reply."""

RESPONSE_STATUS = (
    (0, "OK", "done; the reply follows"),
    (1, "UNKNOWN_OP", "this device does not know the request"),
    (2, "BAD_LENGTH", "the request is too short or too long"),
    (3, "BAD_PARAM", "an argument is out of range"),
    (4, "BAD_STATE", "not in this state, for instance STOP while idle"),
    (5, "BUSY", "a request is still being worked on"),
    (6, "MTU_TOO_SMALL", "streaming these blocks needs an MTU of at least 100"),
    (7, "NOT_PERMITTED", "needs pairing or the button"),
    (8, "NOT_SUPPORTED", "this hardware has no such part"),
    (9, "RANGE_GONE", "those packets are no longer held"),
    (10, "HW_FAULT", "a part does not answer"),
    (11, "STORAGE", "flash is full or failed"),
    (12, "BAD_CRC", "a record did not arrive intact"),
    (13, "UNSTABLE", "the roller moved or carried a load during the tare"),
)
RATES_HZ = (1, 10, 20, 26, 40, 52, 80, 104, 208, 320)
MTU_MIN_STREAM = 100

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
