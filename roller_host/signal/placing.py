# SPDX-License-Identifier: MIT
"""Which place a contact lies in: position, normal and what came before, weighed together.

Two filters in step. A Kalman filter follows the contact point in the face frame, the drift of the heading, how the
handle is held, and what is different about this person's places; a hidden Markov model follows the sequence of places,
free-hand or along a routine. Each contact is taken for an observation of its most probable place, weighed by how
probable that is (probabilistic data association, Bar-Shalom and Tse, Automatica 11, 1975).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import get_lapack_funcs

from firmware_protocol.zones import PLACES, ZONES
from roller_host.signal.face import (
    CENTRES_M,
    EAST,
    LANDMARKS,
    NORMALS,
    NORTH,
    SIGN,
    SPREADS_M,
    START_MM,
    START_SPREAD_MM,
    ZONE_OF,
)
from roller_host.signal.sequence import ELSEWHERE, N_PLACES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from roller_host.signal.sequence import Chain


@dataclass(frozen=True)
class PlacingParams:
    """What is assumed about contacts. All are estimates of this project; angles and lengths are standard deviations."""

    stay: float = 0.75
    """Probability that the next contact is at the same place, free-hand."""
    normal_deg: float = 8.0
    """Measured normal around a zone's own: where in the zone, how the handle is held."""
    pitch_deg: float = -6.0
    """How the handle is held against the skin, mean; not a standard deviation. Below 0 the grip is off the skin."""
    pitch_sigma_deg: float = 6.0
    """How much that differs."""
    early_deg: float = 8.0
    """The wrist rocks: uncertainty of the normal at touch-down, gone once a stroke has been rolled."""
    early_m: float = 0.025
    """Distance of the touch-down from the middle of the stroke to come, m."""
    stroke_m: float = 0.03
    """Rolled length at which it is gone, m."""
    air_m: float = 0.015
    """Error of a position carried through the air, and motion of the head, m."""
    air_m_s2: float = 0.1
    """Error of the acceleration, from tilt and bias, m/s2: half a degree."""
    slide: float = 0.1
    """Error of a position carried along the skin, as a share of the way: skew and slip."""
    drift_deg: float = 4.0
    """Heading error that a minute of drift of the gyroscope adds."""
    rate_deg_s: float = 0.12
    """Offset of the gyroscope about the vertical, deg/s: the heading error grows by it evenly."""
    rate_s: float = 120.0
    """How long that offset lasts, about, s."""
    turn_deg: float = 10.0
    """How far the head is turned to a side."""
    turn_s: float = 40.0
    """How long it stays there, about, s."""
    pose_deg: float = 3.0
    """Error of the heading that a start pose shows."""
    trust: float = 0.9
    """Exponent of the likelihood: contacts at one place share their errors. Lowering it makes probabilities humbler."""
    elsewhere: float = 0.005
    """Probability that a contact lies in no place at all."""


_SURE = 0.6
"""A contact teaches from this probability of its place on."""

# State: contact point (3), heading error, pitch of the handle, turn of the head; then per zone azimuth and elevation of
# the normal, and centre (3); rate of the heading error.
_HEADING, _PITCH, _TURN, _ZONES, _PER_ZONE = 3, 4, 5, 6, 5
_RATE = _ZONES + _PER_ZONE * len(ZONES)
_N_STATE = _RATE + 1
_COLUMNS = np.array([[*range(_ZONES), *(_ZONES + _PER_ZONE * z + i for i in range(_PER_ZONE))] for z in ZONE_OF])
"""States that a place's observation depends on, (15, 11)."""
_PAIRS = _COLUMNS[:, :, np.newaxis] * _N_STATE + _COLUMNS[:, np.newaxis, :]
"""Where the covariances of these lie in the flattened matrix, (15, 11, 11): far quicker than two indices."""
_EYE3 = np.arange(3)
_FARTHEST_M = 1e4
"""Standard deviation up to which a lost position can be told from a known one without rounding away the covariance."""
_LOST_M = 0.06
"""From this standard deviation on, a position says less than that the roller touches the skin."""
_BODY_M, _BODY_SPREAD_M = CENTRES_M.mean(axis=0), CENTRES_M.std(axis=0) + 0.02
_UNIFORM = 1.0 / (4 * math.pi * 0.25)
"""Likelihood of a contact that lies anywhere: normals over the sphere, positions over a quarter of a cubic metre."""


_TURNS_ALONG = {"neck": 0.5, "decolletage": 0.0}
"""Share of the head's turn that a zone takes part in. About half of it happens between the topmost two vertebrae, the
rest over the length of the neck."""


# What is seen of a contact: its position (3), and by how much its normal is turned to the left and upward.
_ANGLES, _N_SEEN = slice(3, 5), 5


def _template() -> NDArray[np.float64]:
    """Observation matrices but for what heading and pitch turn the normal by."""
    h = np.zeros((N_PLACES, _N_SEEN, _ZONES + _PER_ZONE))
    on_head = np.array([_TURNS_ALONG.get(zone, 1.0) for zone, _ in PLACES])
    h[:, 0, _TURN] = CENTRES_M[:, 2] * on_head
    h[:, 2, _TURN] = -CENTRES_M[:, 0] * on_head
    h[:, 3, _TURN] = np.cos(np.arcsin(NORMALS[:, 1])) * on_head
    h[:, _EYE3, _EYE3] = -1.0
    h[:, _EYE3, _ZONES + 2 + _EYE3] = 1.0
    h[:, 0, _ZONES + 2] = SIGN
    h[:, 3, _ZONES] = SIGN
    h[:, 4, _ZONES + 1] = 1.0
    return h


def _turning() -> NDArray[np.float64]:
    """The rest of them, from rolling direction and vertical: (15 * 2 * 2, 6).

    Per place two angles, for each what a unit of heading and of pitch turn it by. A heading that is too small by d
    turns what is measured by d about the vertical.
    """
    rows = np.zeros((N_PLACES, 2, 2, 6))
    rows[:, 0, 0, 3:], rows[:, 1, 0, 3:] = NORTH, -EAST
    rows[:, 0, 1, :3], rows[:, 1, 1, :3] = -EAST, -NORTH
    return rows.reshape(-1, 6)


_TEMPLATE, _TURNING = _template(), _turning()
_AXES = np.concatenate([EAST, NORTH, NORMALS])
_VARIANCES = np.concatenate([SPREADS_M**2, np.zeros((N_PLACES, 2))], axis=1)
"""Of what is seen of a place, but for those of `_seen_variances`, (15, 5)."""
_LOG_UNIFORM = math.log(_UNIFORM)
_TAILS = 6.0
"""Degrees of freedom of the residuals' distribution: outliers of 3 standard deviations are no proof."""
_T_SCALE = math.lgamma((_TAILS + 5) / 2) - math.lgamma(_TAILS / 2) - 2.5 * math.log(_TAILS * math.pi)
(_posv,) = get_lapack_funcs(("posv",), (_VARIANCES,))
_BORDER = 1e12
"""Lower corner of the bordered covariances, above every squared distance."""


class Belief(NamedTuple):
    """What is known between two contacts."""

    mean: NDArray[np.float64]
    cov: NDArray[np.float64]
    weights: NDArray[np.float64]
    """Probability of each state of the Markov model after the last contact."""
    place: int = -1
    """Place of the last contact."""
    repeats: int = 0
    """Contacts in a row taught by that place."""


class Look(NamedTuple):
    """What is seen of a contact so far, at each of n looks, face frame."""

    directions: NDArray[np.float64]
    """Mean normal, mean rolling direction and the world's vertical as rows, (n, 3, 3)."""
    middle_m: NDArray[np.float64]
    """Mean position since the touch-down, from there, (n, 3)."""
    way_m: list[float]
    """Farthest distance from the touch-down."""


class Expectation(NamedTuple):
    """What is expected of a contact before it is looked at: the same for all looks at it."""

    weights: NDArray[np.float64]
    """Probabilities of the states of the sequence."""
    bordered: NDArray[np.float64]
    """Covariances of what is seen, with the residuals as their sixth rows, (15, 6, 6), as far as known beforehand. As
    everywhere here, what lies above the diagonal is not used."""
    along: NDArray[np.float64]
    """Covariances of heading and pitch with what is seen, (15, 2, 5)."""
    within: NDArray[np.float64]
    """Those of heading and pitch themselves, (2, 2)."""
    pitch: float


class _Fit(NamedTuple):
    """How a contact fits each place, at each of n looks."""

    turning: NDArray[np.float64]
    """What heading and pitch (columns) turn the normal by, (n, 15, 2, 2)."""
    bordered: NDArray[np.float64]
    """Covariances and residuals as in `Expectation`, (n, 15, 6, 6)."""
    seen: NDArray[np.float64]
    """Variances of the contact itself in that, without those of the place, (n, 5)."""
    log_likelihood: NDArray[np.float64]
    """(n, 15)."""


def first_belief(params: PlacingParams, chain: Chain) -> Belief:
    """Belief in the start pose."""
    mean, sd = np.zeros(_N_STATE), np.empty(_N_STATE)
    mean[:3], sd[:3] = np.array(START_MM) / 1000, np.array(START_SPREAD_MM) / 1000
    sd[_HEADING] = math.radians(params.pose_deg)
    mean[_PITCH], sd[_PITCH] = math.radians(params.pitch_deg), math.radians(params.pitch_sigma_deg)
    sd[_TURN], sd[_RATE] = math.radians(params.turn_deg), math.radians(params.rate_deg_s)
    for i, zone in enumerate(ZONES):
        at = _ZONES + _PER_ZONE * i
        sd[at : at + 2] = math.radians(LANDMARKS[zone].between_deg)
        sd[at + 2 : at + 5] = LANDMARKS[zone].between_mm / 1000
    return Belief(mean, np.diag(sd**2), chain.first)


def before_face(params: PlacingParams, belief: Belief, off_rad: float, share: float) -> Belief:
    """Belief when a start pose is held again.

    It shows where the roller is, and that the face, turned as it is, looks ``off_rad`` farther to the left than
    `turned_rad` with the same ``share`` says.
    """
    row = np.zeros(_N_STATE)
    row[_HEADING], row[_TURN] = 1.0, share
    seen = belief.cov @ row
    gain = seen / (float(seen @ row) + math.radians(params.pose_deg) ** 2)
    mean, cov = belief.mean + gain * off_rad, belief.cov - np.outer(gain, seen)
    cov[:3] = 0.0
    cov[:, :3] = 0.0
    mean[:3] = np.array(START_MM) / 1000
    cov[_EYE3, _EYE3] = (np.array(START_SPREAD_MM) / 1000) ** 2
    return belief._replace(mean=mean, cov=cov)


def travelled(params: PlacingParams, belief: Belief, way_m: NDArray[np.float64], air_s: float, gone_s: float) -> Belief:
    """Belief at the next touch-down.

    Parameters
    ----------
    params : PlacingParams
        Tuning.
    belief : Belief
        At the lift-off.
    way_m : ndarray, shape (3,)
        Way through the air, face frame.
    air_s : float
        Its duration, s.
    gone_s : float
        Time since the belief before, s: the heading drifts.
    """
    mean, cov = belief.mean.copy(), belief.cov.copy()
    mean[:3] += way_m
    # A constant error a of the acceleration leaves a T^2 / 12 once the velocities at both ends fit.
    astray_m = min(params.air_m_s2 * air_s**2 / 12, _FARTHEST_M)
    cov[_EYE3, _EYE3] += params.air_m**2 + astray_m**2
    mean[_HEADING] += mean[_RATE] * gone_s
    cov[_HEADING] += cov[_RATE] * gone_s
    cov[:, _HEADING] += cov[:, _RATE] * gone_s
    cov[_HEADING, _HEADING] += math.radians(params.drift_deg) ** 2 * gone_s / 60
    for state, sigma_deg, lasting_s in (
        (_TURN, params.turn_deg, params.turn_s),
        (_RATE, params.rate_deg_s, params.rate_s),
    ):
        kept = math.exp(-gone_s / lasting_s)
        mean[state] *= kept
        cov[state] *= kept
        cov[:, state] *= kept
        cov[state, state] += (1 - kept**2) * math.radians(sigma_deg) ** 2
    return _on_body(Belief(mean, cov, belief.weights))


def _on_body(belief: Belief) -> Belief:
    """Belief in a position that is not known any more: somewhere on face, neck or chest."""
    mean, cov = belief.mean, belief.cov
    if cov[0, 0] < _LOST_M**2:
        return belief
    gain = cov[:, :3] @ np.linalg.inv(cov[:3, :3] + np.diag(_BODY_SPREAD_M**2))
    return belief._replace(mean=mean + gain @ (_BODY_M - mean[:3]), cov=cov - gain @ cov[:3])


def lost(belief: Belief) -> Belief:
    """Belief when the roller was out of sight."""
    cov = belief.cov.copy()
    cov[_EYE3, _EYE3] += 1.0
    return belief._replace(cov=cov)


def rolled(params: PlacingParams, belief: Belief, way_m: NDArray[np.float64]) -> Belief:
    """Belief after a way over the skin, face frame, (3,)."""
    mean, cov = belief.mean.copy(), belief.cov.copy()
    mean[:3] += way_m
    cov[_EYE3, _EYE3] += params.slide**2 * float(way_m @ way_m)
    return belief._replace(mean=mean, cov=cov)


def next_weights(chain: Chain, belief: Belief, *, again: bool) -> NDArray[np.float64]:
    """Probabilities of the model's states before a contact is looked at.

    ``again`` says that the contact before goes on, so that the place hardly changes.
    """
    moved = belief.weights @ chain.transition
    return 0.9 * belief.weights + 0.1 * moved if again else moved


class Weighed(NamedTuple):
    """The places of a contact weighed, at each of n looks."""

    probability: NDArray[np.float64]
    """Of each place, then of being elsewhere, (n, 16)."""
    weights: NDArray[np.float64]
    """Of the states of the sequence, (n, n_states)."""
    fit: _Fit


def expecting(belief: Belief, weights: NDArray[np.float64]) -> Expectation:
    """What to expect of the next contact; ``weights`` as `next_weights` gives them."""
    mean = belief.mean.take(_COLUMNS)
    crossed = _TEMPLATE @ belief.cov.take(_PAIRS)
    bordered = np.full((N_PLACES, 6, 6), _BORDER)
    bordered[:, :5, :5] = crossed @ _TEMPLATE.transpose(0, 2, 1)
    bordered.reshape(N_PLACES, 36)[:, :35:7] += _VARIANCES
    # Not for the heading: the frame is turned by it already.
    bordered[:, 5, :5] = -(_TEMPLATE @ mean[:, :, np.newaxis])[:, :, 0]
    bordered[:, 5, :3] -= CENTRES_M
    turns = slice(_HEADING, _PITCH + 1)
    return Expectation(
        weights, bordered, crossed[:, :, turns].transpose(0, 2, 1), belief.cov[turns, turns], belief.mean.item(_PITCH)
    )


def weigh(params: PlacingParams, chain: Chain, expected: Expectation, look: Look) -> Weighed:
    """Weigh the places of a contact, at each look as if there were no others."""
    fit = _fit(params, expected, look)
    log = np.full((len(look.way_m), N_PLACES + 1), _LOG_UNIFORM)
    log[:, :N_PLACES] = fit.log_likelihood
    likelihood = np.exp((log - np.maximum.reduce(log, axis=1)[:, np.newaxis]) * params.trust)
    weights = expected.weights * likelihood.take(chain.place, axis=1)
    weights /= np.add.reduce(weights, axis=1)[:, np.newaxis]
    probability = np.array([np.bincount(chain.place, row, N_PLACES + 1) for row in weights], np.float64)
    return Weighed(probability, weights, fit)


def learned(belief: Belief, weighed: Weighed) -> Belief:
    """Belief after a contact, from the last look at it."""
    probability, weights, fit = weighed.probability[-1], weighed.weights[-1], weighed.fit
    k = int(probability.argmax())
    mean, cov, _, place, repeats = belief
    repeats = repeats + 1 if k == place else 1
    if k == ELSEWHERE:
        cov = cov.copy()
        cov[_EYE3, _EYE3] += 0.05**2  # perhaps it is the position that is wrong
    elif (share := float(probability[k])) > _SURE:
        matrix = _TEMPLATE[k].copy()
        matrix[_ANGLES, _HEADING : _PITCH + 1] = fit.turning[-1, k]
        seen = matrix @ cov[_COLUMNS[k]]
        # Contacts in a row at one place err alike: the n-th says an n-th of what the first did.
        covariance = fit.bordered[-1, k, :5, :5].copy()
        covariance.flat[::6] += (repeats - 1) * (_VARIANCES[k] + fit.seen[-1])
        gain = _posv(covariance, seen, lower=True)[1].T
        mean = mean + share * (gain @ fit.bordered[-1, k, 5, :5])
        cov = cov - share * (gain @ seen)
        cov = (cov + cov.T) / 2
    return Belief(mean, cov, weights, k, repeats)


def drifted_rad(belief: Belief) -> float:
    """Heading to add to that of the start pose: how far the world has turned since."""
    return float(belief.mean[_HEADING])


def turned_rad(belief: Belief, share: float) -> tuple[float, float]:
    """Heading to add for the face as it looks now, and its standard deviation.

    ``share`` is that of a turn of the head which changes the heading: 1 for an upright head, 0 for one that lies.
    """
    mean, cov = belief.mean, belief.cov
    heading, both, turn = (cov.item(at) for at in ((_HEADING, _HEADING), (_HEADING, _TURN), (_TURN, _TURN)))
    variance = heading + 2 * share * both + share**2 * turn
    return mean.item(_HEADING) + share * mean.item(_TURN), math.sqrt(variance)


def drifted_sigma_deg(params: PlacingParams, sigma_deg: float, gone_s: float) -> float:
    """Standard deviation of the heading when nothing has been seen of the face for some time."""
    drift, offset = params.drift_deg**2 / 60 * gone_s, params.rate_deg_s * gone_s
    return math.sqrt(sigma_deg * sigma_deg + drift + offset * offset)


def _fit(params: PlacingParams, expected: Expectation, look: Look) -> _Fit:
    n = len(look.way_m)
    turning = (_TURNING @ look.directions[:, 1:].reshape(n, 6, 1)).reshape(n, N_PLACES, 2, 2)
    axes = (_AXES @ look.directions[:, 0, :, np.newaxis]).reshape(n, 3, N_PLACES)
    east, north, outward = axes[:, 0], axes[:, 1], axes[:, 2]
    across = np.sqrt(east * east + north * north)
    off = axes[:, :2] * (np.arctan2(across, outward) / np.maximum(across, 1e-9))[:, np.newaxis]
    seen = np.array([_seen_variances(params, way_m) for way_m in look.way_m])
    bordered, along = np.empty((n, N_PLACES, 6, 6)), np.empty((n, N_PLACES, 2, 5))
    bordered[:], along[:] = expected.bordered, expected.along
    bordered[:, :, 5, :3] += look.middle_m[:, np.newaxis]
    bordered[:, :, 5, _ANGLES] += off.transpose(0, 2, 1) - turning[:, :, :, 1] * expected.pitch
    # Heading and pitch turn the angles only. The half of what both sides have of them comes twice.
    along[:, :, :, _ANGLES] += 0.5 * expected.within @ turning.transpose(0, 1, 3, 2)
    added = turning @ along
    bordered[:, :, _ANGLES, :5] += added
    bordered[:, :, _ANGLES, _ANGLES] += added[:, :, :, _ANGLES].transpose(0, 1, 3, 2)
    bordered.reshape(n, N_PLACES, 36)[:, :, :35:7] += seen[:, np.newaxis]
    return _Fit(turning, bordered, seen, _log_likelihood(bordered))


def _seen_variances(params: PlacingParams, way_m: float) -> list[float]:
    """Variances by which a contact looked at after a way differs from its place, (5,)."""
    unfinished = max(1.0 - way_m / params.stroke_m, 0.0)
    angle = math.radians(params.normal_deg) ** 2 + (math.radians(params.early_deg) * unfinished) ** 2
    position = (params.early_m * unfinished) ** 2
    return [position, position, position, angle, angle]


def _log_likelihood(bordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of the densities of residuals, (n, 15): multivariate t, because a hand now and then is held far off.

    Bordered by its residual r, a covariance L L' has a factor with one row more, which is the solution of L x = r: one
    factorisation gives the determinants and the squared distances.
    """
    factor = np.linalg.cholesky(bordered).reshape(-1, N_PLACES, 36)
    across = factor[:, :, 30:35]
    spread = np.add.reduce(np.log(factor[:, :, :35:7]), axis=2)
    return _T_SCALE - (_TAILS + 5) / 2 * np.log1p(np.vecdot(across, across) / _TAILS) - spread
