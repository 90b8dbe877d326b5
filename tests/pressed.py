# SPDX-License-Identifier: MIT
"""Estimates of a roller that is pressed on a place, made by hand."""

import numpy as np

from roller_host.signal.estimates import Estimates

FS_HZ = 104.0


def estimates(t_s, force_n, **changes):
    n = len(t_s)
    fields = {
        "t_s": t_s, "force_n": force_n, "force_sigma_n": np.full(n, 0.03), "contact": force_n > 0.1,
        "speed_m_s": np.zeros(n), "direction_deg": np.full(n, np.nan), "comfort": (), "places": (-1,) * n,
        "zone": "", "side": "", "place_confidence": np.zeros(n), "saturated": np.zeros(n, bool),
    }  # fmt: skip
    return Estimates(**{**fields, **changes})
