# SPDX-License-Identifier: MIT
"""What a person hears and feels of the estimates: sound on the computer, the motor on the roller."""
