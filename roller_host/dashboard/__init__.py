# SPDX-License-Identifier: MIT
"""Qt dashboard: widgets that take values and emit intents."""
