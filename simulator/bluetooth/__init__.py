# SPDX-License-Identifier: MIT
"""The radio, the GATT server, and what goes wrong on the air."""
