# SPDX-License-Identifier: MIT
"""What the roller does with its parts: the state machine, memory, streams."""
