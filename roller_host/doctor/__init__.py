# SPDX-License-Identifier: MIT
"""Looks for what would keep the program from working on this computer, and says what to do about it."""
