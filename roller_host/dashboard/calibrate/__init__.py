# SPDX-License-Identifier: MIT
"""Guided flows as pages: they show a `guide.step.Shown` and hand on what the person chose."""
