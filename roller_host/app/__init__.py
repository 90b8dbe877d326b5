# SPDX-License-Identifier: MIT
"""Composition root: puts radio, recorder, pipeline and outputs together."""
