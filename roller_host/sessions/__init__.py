# SPDX-License-Identifier: MIT
"""Recordings: what came over the link, stored verbatim and replayed."""
