# SPDX-License-Identifier: MIT
"""Parts of the roller that are imperfect: sensors, load cell, battery."""
