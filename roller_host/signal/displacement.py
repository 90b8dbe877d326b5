# SPDX-License-Identifier: MIT
"""Displacement of strokes from inertial samples alone: dead reckoning between stops, by a Kalman filter.

Between two stops the acceleration is integrated as it is. What the integral lacks is small and of known size: the
velocity with which the stroke began, and a nearly constant error of the acceleration (tilt, bias). Both are states of a
linear Kalman filter that makes one step per stop; after the session the same steps are smoothed backward (Rauch, Tung
and Striebel, AIAA Journal 3(8), 1965). Three things are known about the motion:

* At a stop, a minimum of speed, velocity and acceleration are at right angles: d|v|^2/dt = 2 v.a = 0. So the velocity
  along the acceleration is nearly zero there, while a path that curves around its turning point keeps some across it.
  Taking the whole velocity for zero (zero-velocity update, ZUPT: Foxlin, IEEE Computer Graphics and Applications 25(6),
  2005) is what most of the error of plain dead reckoning comes from.
* A hand that strokes to and fro stays within its reach, so velocities cannot add up to a journey.
* The error of the acceleration changes slowly, as the tilt of an orientation filter does (Gauss-Markov process).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_EYE = np.eye(3)
_D, _P, _V, _B = slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 12)
"""States, each of three world components: displacement of the last leg, place, velocity, error of the acceleration."""


@dataclass(frozen=True)
class DisplacementParams:
    """What is assumed about hand and sensor."""

    along: float = 0.03
    """Velocity along the acceleration at a stop, standard deviation, as a share of the stroke's peak speed: a stop that
    is misplaced by 5 ms in a stroke of 0.5 s."""
    across: float = 0.15
    """The same across the acceleration: hands round off their turns."""
    least_m_s: float = 0.005
    """Least velocity at a stop, standard deviation, m/s."""
    reach_m: float = 0.3
    """Distance of stops from the middle of the motion, standard deviation, m."""
    error_m_s2: float = 0.1
    """Error of the acceleration, standard deviation, m/s^2: 0.5 degrees of tilt and 5 mg of bias."""
    error_tau_s: float = 10.0
    """Time in which it changes, s: a few times the three seconds in which VQF follows gravity."""
    noise_m_s: float = 0.02
    """Growth of the velocity's error by all that is faster, m/s per square root of a second."""
    turn_s: float = 0.02
    """Samples this far to either side of a stop give the direction of the acceleration there, s."""
    longest_s: float = 20.0
    """After a longer way between two strokes, place and velocity begin anew, s."""


class Course(NamedTuple):
    """Integrated acceleration; where and how fast the motion began does not matter."""

    t_s: NDArray[np.float64]
    """Shape (n,)."""
    velocity_m_s: NDArray[np.float64]
    """World, (n, 3)."""
    place_m: NDArray[np.float64]
    """World, (n, 3)."""
    period_s: float
    """Sample period, s."""


class Step(NamedTuple):
    """Belief after a leg from stop to stop, and what smoothing needs of the way there."""

    mean: NDArray[np.float64]
    """States, (12,)."""
    cov: NDArray[np.float64]
    """Their covariance, (12, 12)."""
    before_mean: NDArray[np.float64]
    """The same before the stop at the leg's end was taken into account."""
    before_cov: NDArray[np.float64]
    transition: NDArray[np.float64] | None
    """From the states of the step before, (12, 12); None where the filter began anew."""


class DisplacementState(NamedTuple):
    """Memory between strokes."""

    step: Step
    """Belief at the last stop."""
    t_s: float
    """Time of it, s."""
    velocity_m_s: NDArray[np.float64]
    """What the course read there, (3,)."""
    place_m: NDArray[np.float64]


class Displacement(NamedTuple):
    """Displacement over one stroke."""

    mean_m: NDArray[np.float64]
    """World, m, (3,)."""
    cov_m2: NDArray[np.float64]
    """Its covariance, m^2, (3, 3)."""


def integrate(
    acc_m_s2: NDArray[np.float64],
    period_s: float,
    last: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Integrate acceleration twice by the trapezoidal rule.

    Parameters
    ----------
    acc_m_s2 : ndarray, shape (n, 3)
        Acceleration in the world, gravity removed.
    period_s : float
        Sample period, s.
    last : tuple, optional
        Acceleration, velocity and place of the sample before, (3,) each: the result then is, bit for bit, that of one
        long block. Default: at rest.

    Returns
    -------
    velocity_m_s, place_m : ndarray, shape (n, 3)
    """
    acc, velocity, place = last or (acc_m_s2[0], np.zeros(3), np.zeros(3))
    acc_m_s2 = np.concatenate([acc[np.newaxis], acc_m_s2])
    # A running sum goes on from sample to sample when its first addend is the sum so far.
    velocity_m_s = np.cumsum(_joined(velocity, (acc_m_s2[1:] + acc_m_s2[:-1]) * (0.5 * period_s)), axis=0)
    place_m = np.cumsum(_joined(place, (velocity_m_s[1:] + velocity_m_s[:-1]) * (0.5 * period_s)), axis=0)
    return velocity_m_s[1:], place_m[1:]


def _joined(first: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([first[np.newaxis], rows])


def displacement_step(
    params: DisplacementParams,
    state: DisplacementState | None,
    course: Course,
    begin: int,
    end: int,
    normal: NDArray[np.float64] | None = None,
) -> tuple[list[Step], DisplacementState]:
    """Estimate the displacement over one stroke from what lies behind it.

    Parameters
    ----------
    params : DisplacementParams
        Assumptions.
    state : DisplacementState or None
        Memory from the stroke before; None for the first one.
    course : Course
        Covers the stroke; a few samples before and after it show where its ends turn.
    begin, end : int
        Rows of the stops, ``begin < end``.
    normal : ndarray, shape (n, 3), optional
        Unit normals of a surface that the motion does not leave, for each row of the course, world.

    Returns
    -------
    steps : list of Step
        For `smoothed`: the way from the last stop to this stroke, if there was one, and the stroke, which is last.
    state : DisplacementState
        Memory for the next stroke.
    """
    peak_m_s = _peak_speed(course, begin, end)
    steps: list[Step] = []
    if state is None or state.t_s != course.t_s[begin]:
        stop = _stop_cov(params, course, begin, peak_m_s, normal)
        duration_s = np.inf if state is None else float(course.t_s[begin]) - state.t_s
        if state is None or duration_s > params.longest_s:
            step = _updated(params, *_anew(params, state), stop, None)
        else:
            step = _leg(params, state, course, begin, stop)
        state = _at(course, begin, step)
        steps.append(step)
    steps.append(_leg(params, state, course, end, _stop_cov(params, course, end, peak_m_s, normal)))
    return steps, _at(course, end, steps[-1])


def _at(course: Course, i: int, step: Step) -> DisplacementState:
    return DisplacementState(step, float(course.t_s[i]), course.velocity_m_s[i].copy(), course.place_m[i].copy())


def displacement(step: Step) -> Displacement:
    """Displacement over the leg that a step stands for."""
    return Displacement(step.mean[_D], step.cov[_D, _D])


def smoothed(steps: Sequence[Step]) -> list[Displacement]:
    """Displacement over each leg in the light of all that came later.

    Parameters
    ----------
    steps : sequence of Step
        All steps of a session in their order.
    """
    found: list[Displacement] = []
    mean, cov = steps[-1].mean, steps[-1].cov
    for i in reversed(range(len(steps))):
        if i + 1 < len(steps):
            step, later = steps[i], steps[i + 1]
            if later.transition is None:
                mean, cov = step.mean, step.cov
            else:
                gain = np.linalg.solve(later.before_cov, later.transition @ step.cov).T
                mean = step.mean + gain @ (mean - later.before_mean)
                cov = step.cov + gain @ (cov - later.before_cov) @ gain.T
        found.append(Displacement(mean[_D], cov[_D, _D]))
    return found[::-1]


def _anew(
    params: DisplacementParams, state: DisplacementState | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Belief before a first stop: only the error of the acceleration may be known already."""
    mean = np.zeros(12)
    cov = np.diag(np.repeat([1e-6, params.reach_m**2, 1.0, params.error_m_s2**2], 3))
    if state is not None:
        mean[_B], cov[_B, _B] = state.step.mean[_B], state.step.cov[_B, _B]
    return mean, cov


def _leg(
    params: DisplacementParams, state: DisplacementState, course: Course, end: int, stop: NDArray[np.float64]
) -> Step:
    """Go on from the last stop to another one."""
    time_s = float(course.t_s[end]) - state.t_s
    way = course.place_m[end] - state.place_m - time_s * state.velocity_m_s
    gained = course.velocity_m_s[end] - state.velocity_m_s
    keep = float(np.exp(-time_s / params.error_tau_s))
    half = time_s**2 / 2
    transition = _per_axis([[0, 0, time_s, half], [0, 1, time_s, half], [0, 0, 1, time_s], [0, 0, 0, keep]])
    # White noise of the acceleration, integrated.
    place, both, speed = (params.noise_m_s**2 * part for part in (time_s**3 / 3, half, time_s))
    changed = params.error_m_s2**2 * (1 - keep**2)
    noise = _per_axis(
        [[place + 1e-10, place, both, 0], [place, place, both, 0], [both, both, speed, 0], [0, 0, 0, changed]]
    )
    mean = transition @ state.step.mean + np.concatenate([way, way, gained, np.zeros(3)])
    cov = transition @ state.step.cov @ transition.T + noise
    return _updated(params, mean, cov, stop, transition)


def _per_axis(states: list[list[float]]) -> NDArray[np.float64]:
    """Matrix of all states, (12, 12), from that of one axis, (4, 4): the axes are independent and alike."""
    return (np.array(states)[:, np.newaxis, :, np.newaxis] * _EYE[:, np.newaxis, :]).reshape(12, 12)


def _updated(
    params: DisplacementParams,
    mean: NDArray[np.float64],
    cov: NDArray[np.float64],
    stop: NDArray[np.float64],
    transition: NDArray[np.float64] | None,
) -> Step:
    """Take into account that there was a stop, within reach."""
    seen = slice(_P.start, _V.stop)
    noise = np.zeros((6, 6))
    noise[:3, :3], noise[3:, 3:] = _EYE * params.reach_m**2, stop
    gain = np.linalg.solve(cov[seen, seen] + noise, cov[seen]).T
    after = cov - gain @ cov[seen]
    return Step(mean - gain @ mean[seen], (after + after.T) / 2, mean, cov, transition)


def _peak_speed(course: Course, begin: int, end: int) -> float:
    """Peak speed of a stroke that begins and ends at rest."""
    velocity = course.velocity_m_s[begin : end + 1]
    share = (course.t_s[begin : end + 1] - course.t_s[begin]) / (course.t_s[end] - course.t_s[begin])
    speed = velocity - velocity[0] - share[:, np.newaxis] * (velocity[-1] - velocity[0])
    return float(np.sqrt(np.max(np.einsum("ij,ij->i", speed, speed))))


def _stop_cov(
    params: DisplacementParams, course: Course, i: int, peak_m_s: float, normal: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Covariance of the velocity at a stop: small along the acceleration and across the surface, larger elsewhere."""
    n_side = max(round(params.turn_s / course.period_s), 1)
    first, last = max(i - n_side, 0), min(i + n_side, len(course.t_s) - 1)
    turn = course.velocity_m_s[last] - course.velocity_m_s[first]
    tight = np.zeros((3, 3))
    if normal is not None:
        tight += np.outer(normal[i], normal[i])
        turn = turn - normal[i] * (turn @ normal[i])
    if size := float(np.sqrt(turn @ turn)):
        tight += np.outer(turn, turn) / size**2
    along, across = (np.hypot(share * peak_m_s, params.least_m_s) ** 2 for share in (params.along, params.across))
    return tight * along + (_EYE - tight) * across
