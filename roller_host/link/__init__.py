# SPDX-License-Identifier: MIT
"""Bluetooth link: radios, connection, control requests, and the thread that they live in."""
