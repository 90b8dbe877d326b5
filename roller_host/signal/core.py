# SPDX-License-Identifier: MIT
"""The signal core: one pure step from calibrated samples to estimates, with all its memory in one value."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from firmware_protocol.zones import PLACES
from roller_host.signal.comfort import Band, Comfort, ComfortParams, ComfortState, Cue, band_of, comfort_step
from roller_host.signal.estimates import Estimates
from roller_host.signal.force import UNKNOWN_ZERO_N, ForceParams, ForceState, force_step
from roller_host.signal.orientation import Orientation, orientation_step, restart
from roller_host.signal.strokes import StrokeInput, StrokeParams, StrokeState, stroke_step
from roller_host.signal.zones import ZoneParams, ZoneState, zone_step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from roller_host.signal.calibration import DeviceModel, Samples


@dataclass(frozen=True)
class SignalParams:
    """Tuning of the whole core."""

    force: ForceParams = field(default_factory=ForceParams)
    comfort: ComfortParams = field(default_factory=ComfortParams)
    strokes: StrokeParams = field(default_factory=StrokeParams)
    zones: ZoneParams = field(default_factory=ZoneParams)
    bands: Mapping[tuple[str, str], Band] = field(default_factory=dict[tuple[str, str], Band])
    """Personal thresholds by (zone, side); places without one use the starting points."""


@dataclass(frozen=True)
class SignalState:
    """Memory of the whole core between blocks."""

    orientation: Mapping[str, Any] | None = None
    force: ForceState = field(default_factory=ForceState)
    comfort: ComfortState = field(default_factory=ComfortState)
    strokes: StrokeState = field(default_factory=StrokeState)
    zones: ZoneState = field(default_factory=ZoneState)
    touched: bool = False
    """The skin was touched at least once since the zero was found."""


SHORT_GAP_S = 0.3
"""Over a gap this short the hand turns little, and gravity corrects the rest; a lost heading is not found again."""


def after_gap(state: SignalState, period_s: float, gap_s: float) -> SignalState:
    """Memory with which to go on after missing samples: what is slow stays known, what moves does not.

    Parameters
    ----------
    state : SignalState
        Memory from before the gap.
    period_s : float
        Measured period of the IMU, s.
    gap_s : float
        Length of the gap, s. After more than `SHORT_GAP_S` the orientation starts anew, and with it the heading of
        the face: places are unknown until the next start pose.
    """
    state = replace(
        state,
        force=state.force._replace(filter_zi=None, last_rate=None, still_since_s=None),
        comfort=ComfortState(level=Comfort.STALE),
        strokes=StrokeState(),
        zones=state.zones._replace(n_samples=0),
    )
    if gap_s <= SHORT_GAP_S or state.orientation is None:
        return state
    return replace(state, orientation=restart(state.orientation, period_s), zones=ZoneState(), touched=False)


def signal_step(
    params: SignalParams, model: DeviceModel, state: SignalState, samples: Samples, period_s: float
) -> tuple[Estimates, SignalState]:
    """Turn a block of samples into estimates.

    The same samples give the same bits however they are divided into blocks.

    Parameters
    ----------
    params : SignalParams
        Tuning and thresholds.
    model : DeviceModel
        Calibration and geometry of the device.
    state : SignalState
        Memory from the block before.
    samples : Samples
        n > 0 samples on the IMU's clock.
    period_s : float
        Measured period of the IMU, s; the same for the whole stretch between two gaps.

    Returns
    -------
    estimates : Estimates
    state : SignalState
        Memory for the next block.
    """
    fs_hz = 1.0 / period_s
    orientation, orientation_state = orientation_step(period_s, state.orientation, samples.gyro_rad_s, samples.acc_m_s2)
    force, force_state = force_step(params.force, model, state.force, samples, orientation.rate_rad_s, fs_hz)
    # Until the zero is known, only a force that is surely there counts.
    sure_n = np.where(force.zero_found, force.force_n, force.force_n - 2 * UNKNOWN_ZERO_N)
    normal = -np.einsum("nij,j->ni", orientation.rotation, model.press)
    first_touch = force.zero_found & (sure_n > params.comfort.contact_on_n)
    touched = np.logical_or.accumulate(first_touch) | state.touched
    # A moment's rest on the way to the skin is no start pose: it has to be held.
    start_pose = force.still & _upright(model, orientation) & ~touched
    touching = sure_n > params.comfort.contact_off_n
    places, zone_state = zone_step(params.zones, state.zones, normal, touching, start_pose, fs_hz)
    comfort, cues, comfort_state = _comfort(params, state.comfort, (samples.t_s, sure_n, force.raw_n), places)
    motion, strokes, stroke_state = stroke_step(
        params.strokes,
        model,
        state.strokes,
        StrokeInput(
            samples.t_s, samples.roll_rad, orientation.rotation, force.force_n, force.sigma_n, comfort, places
        ),
        fs_hz,
    )  # fmt: skip
    zone, side = PLACES[places[-1]] if places[-1] >= 0 else ("", "")
    estimates = Estimates(
        t_s=samples.t_s,
        force_n=force.force_n,
        force_sigma_n=force.sigma_n,
        contact=np.array([c is not Comfort.NO_CONTACT for c in comfort]),
        speed_m_s=motion.speed_m_s,
        direction_deg=motion.direction_deg,
        comfort=tuple(comfort),
        places=tuple(places),
        zone=zone,
        side=side,
        strokes=tuple(strokes),
        cues=tuple(cues),
    )
    return estimates, SignalState(
        orientation_state, force_state, comfort_state, stroke_state, zone_state, bool(touched[-1])
    )


def _upright(model: DeviceModel, orientation: Orientation) -> NDArray[np.bool_]:
    """Handle down."""
    return np.asarray(np.einsum("nj,j->n", orientation.rotation[:, 2], model.forward) > 0.8, np.bool_)


def _comfort(
    params: SignalParams, state: ComfortState, columns: tuple[NDArray[np.float64], ...], places: list[int]
) -> tuple[list[Comfort], list[Cue], ComfortState]:
    """Run the comfort states with the thresholds of each sample's place."""
    comfort: list[Comfort] = []
    cues: list[Cue] = []
    begin = 0
    for place, run in itertools.groupby(places):
        end = begin + len(list(run))
        zone, side = PLACES[place] if place >= 0 else ("", "")
        where = zone, side, band_of(params.bands, zone, side)
        t_s, force_n, raw_n = (column[begin:end] for column in columns)
        levels, changes, state = comfort_step(params.comfort, state, t_s, force_n, raw_n, where)
        comfort += levels
        cues += changes
        begin = end
    return comfort, cues, state
