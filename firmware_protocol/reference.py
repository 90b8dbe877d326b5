# SPDX-License-Identifier: MIT
"""The reference device in numbers: what a host assumes when a device has not said otherwise.

``hardware/device.toml`` states the same values with their parts; a test compares the two.
"""

import math
from typing import NamedTuple

from firmware_protocol import codec, layout

MANUFACTURER = "Roller companion project"
MODEL = "Reference roller 1"

GYRO_RAD_S_PER_COUNT = math.radians(0.0175)
"""LSM6DS3TR-C at +-500 deg/s."""
ACC_M_S2_PER_COUNT = 0.122e-3 * 9.80665
"""LSM6DS3TR-C at +-4 g."""
ROLL_RAD_PER_COUNT = 2 * math.pi / 65536
"""AS5600: 12 bits in the upper bits of a 16-bit turn."""
ROLL_BITS = 12

IMU_RATE_HZ = 104
ROLL_RATE_HZ = 104
FORCE_RATE_HZ = 80
FLUSH_MS = 60
MAX_PACKET_B = 244

N_PER_COUNT = 1 / 43800
"""5 kg bar cell at 1 mV/V on a NAU7802 at gain 128."""

CALIBRATION = codec.Calibration(
    version=1,
    flags=0,
    cell_serial=0,
    zero_counts=0,
    n_per_count=N_PER_COUNT,
    head_mass_kg=0.060,
    tempco_ppm_k=0,
    temp_ref_c=25.0,
    axis_x=0.0,
    axis_y=0.0,
    axis_z=-1.0,
    points=0,
    max_error_n=0.0,
    unix_date_s=0,
    max_force_n=25.0,
    crc16=0,
)
"""Nominal, not a calibration of any one device."""

GEOMETRY = codec.Geometry(
    version=1,
    head=0,
    roller_radius_m=0.015,
    lever_x_m=0.0,
    lever_y_m=0.090,
    lever_z_m=0.0,
    axle_x=1.0,
    axle_y=0.0,
    axle_z=0.0,
    press_x=0.0,
    press_y=0.0,
    press_z=-1.0,
    head_mass_kg=0.060,
    patch_area_m2=1.5e-4,
    encoder_sign=1,
    reserved=0,
    reserved2=0,
    crc16=0,
)
"""Body frame: x along the axle, y from the grip toward the head, z away from the skin."""


class StreamInfo(NamedTuple):
    """What the reference device says about one of its streams."""

    element: int
    scale_a: float
    scale_b: float
    rates_hz: tuple[int, ...]
    """Offered rates, the default first; none: samples come as things happen."""


STREAM_INFO = {
    codec.STREAM_ID[name]: info
    for name, info in {
        "IMU6": StreamInfo(1, GYRO_RAD_S_PER_COUNT, ACC_M_S2_PER_COUNT, (IMU_RATE_HZ, 52, 208)),
        "FORCE": StreamInfo(1, 1e-3, 0.0, (FORCE_RATE_HZ, 10, 20, 40)),
        "ROLL": StreamInfo(2, ROLL_RAD_PER_COUNT, 0.0, (ROLL_RATE_HZ, 52, 208)),
        "QUAT": StreamInfo(1, 1 / 32767, 0.0, (IMU_RATE_HZ, 52, 208)),
        "FORCE_RAW": StreamInfo(3, 1.0, 0.0, (FORCE_RATE_HZ, 10, 20, 40)),
        "EVENT": StreamInfo(4, 1.0, 0.0, ()),
        "TEMP": StreamInfo(1, 1e-2, 0.0, (1,)),
    }.items()
}
"""Stream id -> its description. The reference device has no QUAT: that needs an IMU that fuses by itself."""
DEFAULT_STREAMS = ("IMU6", "ROLL", "FORCE_RAW", "EVENT", "TEMP")
"""What a host usually asks for: FORCE follows from FORCE_RAW, and an orientation from IMU6."""


def imu_scales(imu_range: int) -> tuple[float, float]:
    """Scales of IMU6: rad/s and m/s2 per count.

    Parameters
    ----------
    imu_range : int
        Index into ``layout.IMU_RANGES``.
    """
    _, deg_s, g = layout.IMU_RANGES[imu_range]
    _, first_deg_s, first_g = layout.IMU_RANGES[0]
    return GYRO_RAD_S_PER_COUNT * deg_s / first_deg_s, ACC_M_S2_PER_COUNT * g / first_g


def stream_info_reply(stream_id: int, imu_range: int = 0) -> tuple[int, int, int, int, float, float, int]:
    """Fields of the STREAM_INFO reply of the reference device.

    Parameters
    ----------
    stream_id : int
        Stream asked for.
    imu_range : int, default 0
        Index into ``layout.IMU_RANGES``; scales of IMU6 grow with it.

    Raises
    ------
    KeyError
        When it has no such stream.
    """
    element, scale_a, scale_b, rates_hz = STREAM_INFO[stream_id]
    if stream_id == codec.STREAM_ID["IMU6"]:
        scale_a, scale_b = imu_scales(imu_range)
    fields = codec.STREAM_FIELDS[stream_id]
    mask = sum(1 << layout.RATES_HZ.index(rate_hz) for rate_hz in rates_hz)
    return stream_id, element, len(fields), codec.size_of(fields), scale_a, scale_b, mask
