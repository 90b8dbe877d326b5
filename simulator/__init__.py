# SPDX-License-Identifier: MIT
"""Simulated roller: a hand on a face with known truth, sensors, device logic, and a Bluetooth peripheral."""
