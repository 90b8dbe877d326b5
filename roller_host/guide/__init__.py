# SPDX-License-Identifier: MIT
"""Guided flows without a screen: what to do next, what was found, and why it cannot go on."""
