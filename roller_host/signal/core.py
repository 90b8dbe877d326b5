# SPDX-License-Identifier: MIT
"""The signal core: one pure step from calibrated samples to estimates, with all its memory in one value."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from firmware_protocol.zones import place_at
from roller_host.signal.comfort import (
    NO_CONTACT,
    Band,
    Comfort,
    ComfortParams,
    ComfortState,
    Cue,
    Felt,
    band_of,
    comfort_step,
)
from roller_host.signal.estimates import Estimates
from roller_host.signal.force import ForceParams, ForceState, force_step, pitch_gain
from roller_host.signal.force import after_gap as force_after_gap
from roller_host.signal.inertial import InertialParams, InertialState, inertial_step
from roller_host.signal.orientation import orientation_step, restart
from roller_host.signal.stroke_sums import StrokeParams
from roller_host.signal.strokes import StrokeInput, StrokeState, stroke_step
from roller_host.signal.strokes import after_gap as strokes_after_gap
from roller_host.signal.zones import ZoneInput, ZoneParams, ZoneState, zone_step
from roller_host.signal.zones import after_gap as zones_after_gap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from roller_host.signal.calibration import DeviceModel, KeptCalibration, Samples
    from roller_host.signal.sequence import GuidedPlace


@dataclass(frozen=True)
class SignalParams:
    """Tuning of the whole core."""

    force: ForceParams = field(default_factory=ForceParams)
    comfort: ComfortParams = field(default_factory=ComfortParams)
    strokes: StrokeParams = field(default_factory=StrokeParams)
    inertial: InertialParams = field(default_factory=InertialParams)
    """Strokes of a device without an encoder."""
    zones: ZoneParams = field(default_factory=ZoneParams)
    bands: Mapping[tuple[str, str], Band] = field(default_factory=dict[tuple[str, str], Band])
    """Personal thresholds by (zone, side); places without one use the starting points."""
    routine: tuple[GuidedPlace, ...] = ()
    """Routine that the person has been asked to follow, as `sequence.guided` makes it; empty: free-hand."""
    calibration: KeptCalibration | None = None
    """What the host keeps for the device of this session, if anything."""
    began_s: int = 0
    """Time of day at which the session began, s since 1970: tells how old the calibration is; 0 when not known."""


class SignalState(NamedTuple):
    """Memory of the whole core between blocks."""

    orientation: Mapping[str, Any] | None = None
    force: ForceState = ForceState()
    comfort: ComfortState = ComfortState()
    strokes: StrokeState = StrokeState()
    inertial: InertialState = InertialState()
    zones: ZoneState = ZoneState()


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
    state = state._replace(
        force=force_after_gap(state.force),
        comfort=ComfortState(level=Comfort.STALE),
        strokes=strokes_after_gap(state.strokes),
        inertial=InertialState(),
        zones=zones_after_gap(state.zones),
    )
    if gap_s <= SHORT_GAP_S or state.orientation is None:
        return state
    return state._replace(orientation=restart(state.orientation, period_s), zones=ZoneState())


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
    where, zone_state = zone_step(
        params.zones,
        model,
        state.zones,
        ZoneInput(
            orientation.rotation,
            orientation.rate_rad_s,
            samples.acc_m_s2,
            samples.roll_rad if model.has_encoder else np.zeros(len(samples.t_s)),
            force.sure_n > params.comfort.contact_off_n,
        ),
        period_s,
        params.routine,
    )
    places: list[int] = where.live.tolist()
    felt = Felt(samples.t_s, force.force_n, force.sure_n, force.raw_n, force.overload)
    comfort, cues, comfort_state = _comfort(params, state.comfort, felt, places)
    moved = StrokeInput(
        samples.t_s,
        samples.roll_rad,
        orientation.rate_rad_s,
        samples.acc_m_s2,
        force.felt_m_s2,
        orientation.rotation,
        where.up,
        force.force_n,
        force.sigma_n,
        comfort,
        where.settled,
        where.confidence,
        pitch_gain(params.force),
    )
    stroke_state, inertial_state = state.strokes, state.inertial
    if model.has_encoder:
        detected, stroke_state = stroke_step(params.strokes, model, stroke_state, moved, fs_hz)
    else:
        detected, inertial_state = inertial_step(params.inertial, model, inertial_state, moved, fs_hz)
    zone, side = place_at(places[-1])
    estimates = Estimates(
        t_s=samples.t_s,
        force_n=force.force_n,
        force_sigma_n=force.sigma_n,
        contact=np.array([c is not NO_CONTACT for c in comfort]),
        speed_m_s=detected.motion.speed_m_s,
        direction_deg=detected.motion.direction_deg,
        comfort=tuple(comfort),
        places=tuple(places),
        zone=zone,
        side=side,
        strokes=tuple(detected.strokes),
        evidence=tuple(detected.evidence),
        cues=tuple(cues),
        heading_sigma_deg=where.heading_sigma_deg,
        zero_n=force_state.zero.n if force.zero_found[-1] else math.nan,
        place_confidence=where.confidence,
        saturated=force.saturated,
    )
    return estimates, SignalState(
        orientation_state, force_state, comfort_state, stroke_state, inertial_state, zone_state
    )


def _comfort(
    params: SignalParams, state: ComfortState, felt: Felt, places: list[int]
) -> tuple[list[Comfort], list[Cue], ComfortState]:
    """Run the comfort states with the thresholds of each sample's place."""
    if places.count(places[0]) == len(places):
        zone, side = place_at(places[0])
        return comfort_step(params.comfort, state, felt, (zone, side, band_of(params.bands, zone, side)))
    comfort: list[Comfort] = []
    cues: list[Cue] = []
    begin = 0
    for place, run in itertools.groupby(places):
        end = begin + len(list(run))
        zone, side = place_at(place)
        where = zone, side, band_of(params.bands, zone, side)
        levels, changes, state = comfort_step(params.comfort, state, felt.part(begin, end), where)
        comfort += levels
        cues += changes
        begin = end
    return comfort, cues, state
