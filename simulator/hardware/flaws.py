# SPDX-License-Identifier: MIT
"""What is imperfect about the sensors of one device."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flaws:
    """Imperfections of one device. Standard deviations, from which the device is drawn, unless said otherwise."""

    oscillator: float = 0.03
    """IMU and ADC run on RC oscillators: deviation of their rates from nominal."""
    oscillator_drift: float = 0.001
    """Amplitude of a slow swing of these rates, a share; not drawn."""
    gyro_bias_rad_s: float = 0.0087
    gyro_walk_rad_s: float = 0.0002
    """Random walk of the bias, per square root of a minute."""
    gyro_noise_rad_s: float = 0.0006
    """Of every sample."""
    gyro_scale: float = 0.005
    gyro_cross: float = 0.005
    """Leak of each axis into each other one, a share."""
    acc_bias_m_s2: float = 0.049
    acc_walk_m_s2: float = 0.003
    """Random walk of the bias, per square root of a minute."""
    acc_noise_m_s2: float = 0.009
    """Of every sample."""
    acc_scale: float = 0.002
    acc_cross: float = 0.002
    """Leak of each axis into each other one, a share."""
    mounting_rad: float = 0.0175
    vibration_m_s2: float = 0.3
    """Shaking of the handle while the roller moves on skin, of every sample."""
    zero_counts: float = 15000.0
    """Reading without load."""
    zero_walk_n: float = 0.01
    """Random walk of the zero, per square root of a minute."""
    zero_n_k: float = 0.004
    """Drift of the zero with temperature, N/K."""
    force_noise_n: float = 0.005
    """Of every reading."""
    sensitivity: float = 0.03
    """Spread of load cells around the nominal sensitivity."""
    sensitivity_k: float = 0.0003
    """Drift of the sensitivity with temperature, a share per K."""
    calibration: float = 0.004
    """Error of the sensitivity in the device's calibration record."""
    creep: float = 0.005
    """Share of a lasting load that the cell adds in time and gives back in time; not drawn."""
    creep_s: float = 60.0
    """Time constant of the creep; not drawn."""
    crosstalk: float = 0.01
    """Share of the force across the cell's axis that it reads."""
    stop_n: float = 27.0
    """The cell rests on its stop at this load, either way; not drawn."""
    head_mass_kg: float = 0.001
    """Of the head around the stated one."""
    encoder_jitter_m: float = 1e-4
    """Of every sample, as travel of the roller's surface."""
    runout_rad: float = 0.006
    """Error of the encoder once per turn: the magnet sits off the axle."""
    runout_twice_rad: float = 0.003
    """The same twice per turn: the magnet is tilted."""
    temp_c: float = 0.5
    """Offset of the thermometer."""
    quat_deg: float = 0.5
    """Slow error of an orientation fused on the chip."""
    haptic_m_s2: float = 2.0
    """Vibration that the accelerometer sees at full strength of the motor, amplitude; not drawn."""
    haptic_rad_s: float = 0.02
    """The same for the gyroscope."""
    haptic_n: float = 0.1
    """The same for the load cell."""


FLAW_LIMITS = {
    "oscillator": (0.0, 0.07),
    "oscillator_drift": (0.0, 0.02),
    "gyro_bias_rad_s": (0.0, 1.0),
    "gyro_walk_rad_s": (0.0, 0.1),
    "gyro_noise_rad_s": (0.0, 1.0),
    "gyro_scale": (0.0, 0.1),
    "gyro_cross": (0.0, 0.1),
    "acc_bias_m_s2": (0.0, 5.0),
    "acc_walk_m_s2": (0.0, 1.0),
    "acc_noise_m_s2": (0.0, 5.0),
    "acc_scale": (0.0, 0.1),
    "acc_cross": (0.0, 0.1),
    "mounting_rad": (0.0, 0.5),
    "vibration_m_s2": (0.0, 20.0),
    "zero_counts": (0.0, 1e6),
    "zero_walk_n": (0.0, 5.0),
    "zero_n_k": (0.0, 0.5),
    "force_noise_n": (0.0, 5.0),
    "sensitivity": (0.0, 0.3),
    "sensitivity_k": (0.0, 0.01),
    "calibration": (0.0, 0.1),
    "creep": (0.0, 0.2),
    "creep_s": (1.0, 3600.0),
    "crosstalk": (0.0, 0.2),
    "stop_n": (1.0, 100.0),
    "head_mass_kg": (0.0, 0.01),
    "encoder_jitter_m": (0.0, 0.01),
    "runout_rad": (0.0, 0.2),
    "runout_twice_rad": (0.0, 0.2),
    "temp_c": (0.0, 10.0),
    "quat_deg": (0.0, 30.0),
    "haptic_m_s2": (0.0, 50.0),
    "haptic_rad_s": (0.0, 5.0),
    "haptic_n": (0.0, 10.0),
}
"""Least and most that a scenario may ask for."""
