# SPDX-License-Identifier: MIT
"""Desktop host of the roller: Bluetooth link, signal core, recordings, dashboard. Imports nothing by itself."""

__version__ = "0.1.0"
