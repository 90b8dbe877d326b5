# SPDX-License-Identifier: MIT
# Types of codec.py, for checkers only; a test holds the fields of the value classes against the tables in layout.py.
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, overload

_T = TypeVar("_T")
_Field: TypeAlias = tuple[str, str, str, float, str]
_Fields: TypeAlias = Sequence[_Field]
_Bytes: TypeAlias = bytes | bytearray | memoryview
_RecordName: TypeAlias = Literal["INFO", "STATUS", "CALIBRATION", "GEOMETRY"]

class ProtocolError(ValueError): ...
class VersionError(ProtocolError): ...

class Info(NamedTuple):
    proto_major: int
    proto_minor: int
    features: int
    device_id: bytes
    boot_id: int
    max_packet: int
    security_mode: int
    hw_rev: int

class Status(NamedTuple):
    state: int
    flags: int
    battery_v: float
    temp_c: float
    faults: int
    dropped: int

class Calibration(NamedTuple):
    version: int
    flags: int
    cell_serial: int
    zero_counts: int
    n_per_count: float
    head_mass_kg: float
    tempco_ppm_k: int
    temp_ref_c: float
    axis_x: float
    axis_y: float
    axis_z: float
    points: int
    max_error_n: float
    unix_date_s: int
    max_force_n: float
    crc16: int

class Geometry(NamedTuple):
    version: int
    head: int
    roller_radius_m: float
    lever_x_m: float
    lever_y_m: float
    lever_z_m: float
    axle_x: float
    axle_y: float
    axle_z: float
    press_x: float
    press_y: float
    press_z: float
    head_mass_kg: float
    patch_area_m2: float
    encoder_sign: int
    reserved: int
    reserved2: int
    crc16: int

class Block(NamedTuple):
    stream_id: int
    offset_us: int
    period_us: int
    samples: Sequence[Sequence[int]]

class Packet(NamedTuple):
    ptype: int
    flags: int
    seq: int
    t0_us: int
    blocks: Sequence[Block]
    unknown_stream: int | None

class Request(NamedTuple):
    op: int
    tag: int
    args: Any | None

class Response(NamedTuple):
    op: int
    tag: int
    status: int
    reply: Any | None

RECORDS: Mapping[str, tuple[_Fields, type[Info | Status | Calibration | Geometry]]]
STREAM_FIELDS: Mapping[int, _Fields]
STREAM_ID: Mapping[str, int]
STREAM_NAME: Mapping[int, str]
EVENT_CODE: Mapping[str, int]
STATUS_CODE: Mapping[str, int]
STATUS_NAME: Mapping[int, str]
OP: Mapping[str, int]
OP_NAME: Mapping[int, str]
ARGS: Mapping[int, tuple[_Fields, Callable[..., tuple[Any, ...]]]]
REPLIES: Mapping[int, tuple[_Fields, Callable[..., tuple[Any, ...]]]]

def size_of(fields: _Fields) -> int: ...
def uuid_of(name: str) -> str: ...
def bit(table: Sequence[tuple[int, str, str]], name: str) -> int: ...
def crc16(payload: _Bytes) -> int: ...
def struct_format(fields: _Fields) -> str | None: ...
def pack_fields(fields: _Fields, values: Sequence[Any]) -> bytes: ...
@overload
def unpack_fields(fields: _Fields, payload: _Bytes, what: str, start: int = 0) -> tuple[Any, ...]: ...
@overload
def unpack_fields(fields: _Fields, payload: _Bytes, what: str, start: int, make: Callable[..., _T]) -> _T: ...
@overload
def encode_record(name: Literal["INFO"], record: Info) -> bytes: ...
@overload
def encode_record(name: Literal["STATUS"], record: Status) -> bytes: ...
@overload
def encode_record(name: Literal["CALIBRATION"], record: Calibration) -> bytes: ...
@overload
def encode_record(name: Literal["GEOMETRY"], record: Geometry) -> bytes: ...
@overload
def decode_record(name: Literal["INFO"], payload: _Bytes) -> Info: ...
@overload
def decode_record(name: Literal["STATUS"], payload: _Bytes) -> Status: ...
@overload
def decode_record(name: Literal["CALIBRATION"], payload: _Bytes) -> Calibration: ...
@overload
def decode_record(name: Literal["GEOMETRY"], payload: _Bytes) -> Geometry: ...
@overload
def decode_record(name: _RecordName, payload: _Bytes) -> Info | Status | Calibration | Geometry: ...
def encode_packet(
    flags: int,
    seq: int,
    t0_us: int,
    blocks: Sequence[tuple[int, float, int, Sequence[Sequence[int]]]],
    ptype: int = ...,
) -> bytes: ...
def walk_packet(
    payload: _Bytes, sizes: Mapping[int, int] | None = None
) -> tuple[tuple[int, int, int, int], list[tuple[int, int, int, int, int]], int | None]: ...
def decode_packet(payload: _Bytes, sizes: Mapping[int, int] | None = None) -> Packet: ...
def encode_request(name: str, tag: int, *args: Any) -> bytes: ...
def decode_request(payload: _Bytes) -> Request: ...
def encode_response(op: int, tag: int, status: int, *reply: Any) -> bytes: ...
def decode_response(payload: _Bytes) -> Response: ...
def tare_event(offset_counts: int) -> tuple[int, int, int]: ...
def tare_offset(arg: int, value: int) -> int: ...
