# SPDX-License-Identifier: MIT
"""How the hand holds the roller against the skin, learned from stroke to stroke.

The encoder tells how far the roller rolls along its own rolling direction. The path differs from that by the roller's
*skew* (its turn out of the path, about the skin's normal) and *pitch* (of the handle against the skin); its length also
by slip, the roller's true radius and the skin's curvature. None of these is measured, but all of them show in the
acceleration: that of the axle, with gravity and lever arm taken out, is the derivative of the rolled speed times a
direction fixed in the roller, and that direction, its length and its turning are regressed on (a matched filter). What
one stroke says is little, so it is carried from stroke to stroke by a Kalman filter: strokes without a lift-off
in between are held alike, those far apart are not. The axle is taken to lie flat on the skin.

The roller turns against the handle by the rolled way less the pitch of the handle, so the angle of the roller in the
world, encoder less the gyroscope's turn about the axle, is that of the axle's own way. On convex skin the contact moves
less than the axle.

Axes of this module: axle, rolling direction (forward), away from the skin (out).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import get_lapack_funcs
from scipy.ndimage import gaussian_filter1d

from roller_host.signal.calibration import GRAVITY_M_S2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True)
class GripParams:
    """Tuning of the grip estimate. Spreads are standard deviations; skew and pitch are tangents of their angles."""

    presmooth_s: float = 0.015
    """Encoder and accelerometer are smoothed alike by a Gaussian this wide, s, before products are formed."""
    smooth_ratio: float = 0.08
    """Both sides of the regression are smoothed by this share of the stroke's duration."""
    smooth_min_s: float = 0.012
    """And by no less than this, s."""
    noise_m_s2: float = 0.2
    """Error of the model and the sensor per sample; what the accelerometer shakes is measured and added, m/s2."""
    bias_m_s2: float = 0.1
    """Accelerometer bias and error of the gravity taken out, each at the middle of a stroke and its change over the
    stroke, m/s2."""
    means: tuple[float, ...] = (0.0, -0.1, 0.99, 0.0, 0.0)
    """Expected skew, pitch and scale of a person with a roller; deviations of skew and pitch in one grip. The grip is
    held off the skin."""
    spreads: tuple[float, ...] = (0.04, 0.08, 0.025, 0.12, 0.10)
    """How far they lie apart."""
    stroke_spreads: tuple[float, ...] = (0.035, 0.04, 0.026, 0.7)
    """How far skew, scale (slip), pitch and curvature of single strokes lie from those of their grip."""
    wander: float = 0.1
    """Share of the spread by which a grip changes from one stroke to the next without a lift-off."""
    apart_deg: float = 10.0
    """Strokes with a lift-off between them are held alike as far as the handle points the same way, within this."""
    rocking_per_m: float = 4.0
    """Pitch that the wrist adds along the way, rad/m."""


class Passage(NamedTuple):
    """Samples of one stroke and a few around it; all have n rows."""

    path_m: NDArray[np.float64]
    """Way of the axle along the rolling direction, from any origin."""
    rate_rad_s: NDArray[np.float64]
    """Angular rate about axle, forward and out, (n, 3)."""
    acc_m_s2: NDArray[np.float64]
    """Specific force at the IMU along the same axes, (n, 3)."""
    axes: NDArray[np.float64]
    """World directions of axle, forward and out as columns, (n, 3, 3)."""
    up: NDArray[np.float64]
    """Face-up in the world, (n, 3)."""


class Evidence(NamedTuple):
    """What one stroke says about skew, scale, pitch and curvature, and what turns them into its path."""

    information: NDArray[np.float64]
    """Inverse covariance, (4, 4)."""
    vector: NDArray[np.float64]
    """The same times the values, (4,)."""
    turn_per_m: float
    """Turn of the handle about its axle per metre of the axle's way, rad/m."""
    chord: NDArray[np.float64]
    """World displacement that each of axle, forward and out, and a change of pitch along the way add, m, (4, 3)."""
    forward: NDArray[np.float64]
    """Rolling direction half way, world, (3,)."""
    out: NDArray[np.float64]
    """Away from the skin, half way, world, (3,)."""
    up: NDArray[np.float64]
    """Face-up half way, world, (3,)."""
    way_m: float
    """The axle's way, m, >= 0."""
    lifted: bool
    """The roller was off the skin before this stroke, or what was before is not known."""
    curvature_per_m: tuple[float, float]
    """What is known beforehand about the skin's curvature along the axle's way, 1/m: mean and standard deviation."""


class Path(NamedTuple):
    """Path of one stroke over the skin."""

    direction_deg: float
    """In the tangent plane from face-up, positive toward the person's left."""
    direction_sigma_deg: float
    """Standard uncertainty from the grip alone."""
    length_m: float
    length_sigma_m: float
    flatness: float
    """Sine of the angle between normal and face-up: near 0 the direction is ill defined."""
    pitch: float
    """Tangent of the handle's pitch against the skin, half way."""
    pitch_per_m: float
    """Its change along the axle's way, 1/m."""
    pitch_variance: float
    """Of the pitch half way: squared standard uncertainty."""


class GripState(NamedTuple):
    """Memory between strokes."""

    mean: NDArray[np.float64] | None = None
    """Order as in ``GripParams.means``, then the curvature of the skin; None at the beginning."""
    covariance: NDArray[np.float64] = np.zeros((6, 6))
    out: NDArray[np.float64] | None = None
    """How the last stroke was held, world; None when that is not known any more."""
    forward: NDArray[np.float64] | None = None


# Skew, scale, pitch and curvature of a stroke from the state.
_OF_STROKE = np.array([[1, 0, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0], [0, 0, 0, 0, 0, 1]], float)
_STEPS = np.diag([1e-3, 1e-3, 1e-3, 1e-1])
_EYE = np.eye(6)
(_posv,) = get_lapack_funcs(("posv",), (_EYE,))
_NEXT, _AFTER = [1, 2, 0], [2, 0, 1]


def gather(
    params: GripParams, passage: Passage, span: tuple[int, int], lever_m: NDArray[np.float64], fs_hz: float
) -> Evidence:
    """Regress the acceleration of one stroke.

    Parameters
    ----------
    params : GripParams
        Tuning.
    passage : Passage
        The stroke, and some samples on either side if there are any.
    span : (int, int)
        First and last row of the stroke, the one below the other.
    lever_m : ndarray, shape (3,)
        From the IMU to the axle, along axle, forward and out.
    fs_hz : float
        Sample rate, Hz.

    Returns
    -------
    Evidence
        Of a stroke that nothing is known about beforehand: ``lifted`` and ``curvature_per_m`` are the caller's to
        replace.
    """
    begin, end = span
    smooth_s = max(params.smooth_ratio * (end - begin) / fs_hz, params.smooth_min_s)
    columns, turn_per_m = _columns(params, passage, begin, end, fs_hz)
    moved = _axle_acceleration(passage, lever_m, fs_hz)
    measured = _smooth(moved, params.presmooth_s * fs_hz)
    both = _smooth(np.concatenate([measured[:, :, np.newaxis], columns], axis=2), smooth_s * fs_hz)
    shaking = (moved - both[:, :, 0])[begin : end + 1]
    weight = 1.0 / (params.noise_m_s2**2 + float(np.mean(shaking**2)))
    n = len(both)
    tau = (np.arange(n) - (begin + end) / 2) / (end - begin)
    biases = np.zeros((n, 3, 6))
    for axis in range(3):
        biases[:, axis, axis], biases[:, axis, 3 + axis] = 1.0, tau
    design = np.concatenate([both[:, :, 1:], biases], axis=2).reshape(3 * n, 10)
    residual = both[:, :, 0].reshape(3 * n)
    normal = weight * np.einsum("ni,nj->ij", design, design)
    right = weight * np.einsum("ni,n->i", design, residual)
    normal[4:, 4:] += np.eye(6) / params.bias_m_s2**2
    # The biases are of no interest: marginalised.
    gain = _solved(normal[4:, 4:], normal[4:, :4]).T
    information = normal[:4, :4] - np.einsum("ik,kj->ij", gain, normal[4:, :4])
    vector = right[:4] - np.einsum("ik,k->i", gain, right[4:])
    # The pitch changes along the way by the handle's turn plus the curvature.
    vector = vector - turn_per_m * information[:, 3]
    return _with_geometry(passage, begin, end, (information, vector, turn_per_m))


def _axle_acceleration(passage: Passage, lever_m: NDArray[np.float64], fs_hz: float) -> NDArray[np.float64]:
    """Acceleration of the axle without gravity: f + alpha x r + w x (w x r) - g."""
    rate = passage.rate_rad_s
    alpha = _slope(rate, fs_hz)
    x, y, z = lever_m.tolist()
    turning = np.empty_like(rate)
    turning[:, 0] = alpha[:, 1] * z - alpha[:, 2] * y
    turning[:, 1] = alpha[:, 2] * x - alpha[:, 0] * z
    turning[:, 2] = alpha[:, 0] * y - alpha[:, 1] * x
    along = np.einsum("ni,i->n", rate, lever_m)[:, np.newaxis] * rate
    across = np.einsum("ni,ni->n", rate, rate)[:, np.newaxis] * lever_m
    # Row 2 of the axes is the world's z in the roller.
    return passage.acc_m_s2 + turning + along - across - GRAVITY_M_S2 * passage.axes[:, 2]


def _slope(values: NDArray[np.float64], fs_hz: float) -> NDArray[np.float64]:
    """Central differences along the first axis, one-sided at the ends, per second."""
    slope = np.empty_like(values)
    slope[1:-1] = (values[2:] - values[:-2]) * (fs_hz / 2)
    slope[0], slope[-1] = (values[1] - values[0]) * fs_hz, (values[-1] - values[-2]) * fs_hz
    return slope


def _columns(
    params: GripParams, passage: Passage, begin: int, end: int, fs_hz: float
) -> tuple[NDArray[np.float64], float]:
    """Acceleration that a unit of each of skew, scale, pitch and change of pitch makes, (n, 3, 4)."""
    path = _smooth(passage.path_m[:, np.newaxis], params.presmooth_s * fs_hz)[:, 0]
    speed = _slope(path, fs_hz)
    # Not the slope of the slope, which spans four samples and flattens quick strokes.
    gain = np.zeros_like(path)
    gain[1:-1] = np.diff(path, 2) * fs_hz**2
    turn_x = passage.rate_rad_s[:, 0]
    way = path - (path[begin] + path[end]) / 2
    columns = np.empty((len(path), 3, 4))
    # d/dt of a vector fixed in the roller times the speed: its change, and the roller's rate x the vector.
    around = passage.rate_rad_s * speed[:, np.newaxis]
    columns[:, 0, 0], columns[:, 1, 0], columns[:, 2, 0] = gain, around[:, 2], -around[:, 1]
    columns[:, 0, 1], columns[:, 1, 1], columns[:, 2, 1] = -around[:, 2], gain, around[:, 0]
    columns[:, 0, 2], columns[:, 1, 2], columns[:, 2, 2] = -around[:, 1], around[:, 0], -gain
    columns[:, :, 3] = columns[:, :, 2] * way[:, np.newaxis]
    columns[:, 2, 3] -= speed * speed
    moved = speed[begin : end + 1]
    turn_per_m = float(np.sum(turn_x[begin : end + 1] * moved) / max(float(np.sum(moved * moved)), 1e-9))
    return columns, turn_per_m


def _smooth(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    return gaussian_filter1d(values, sigma, axis=0, mode="nearest", truncate=3.0)


def _with_geometry(
    passage: Passage, begin: int, end: int, said: tuple[NDArray[np.float64], NDArray[np.float64], float]
) -> Evidence:
    information, vector, turn_per_m = said
    path = passage.path_m[begin : end + 1]
    middle = begin + int(np.argmin(np.abs(path - (path[0] + path[-1]) / 2)))
    steps = np.diff(path)
    axes = passage.axes[begin + 1 : end + 1]
    way = path[1:] - passage.path_m[middle]
    chord = np.empty((4, 3))
    chord[:3] = np.einsum("n,nji->ij", steps, axes)
    chord[3] = np.einsum("n,nj->j", steps * way, axes[:, :, 2])
    return Evidence(
        information,
        vector,
        turn_per_m,
        chord,
        passage.axes[middle, :, 1].copy(),
        passage.axes[middle, :, 2].copy(),
        passage.up[middle].copy(),
        abs(float(path[-1] - path[0])),
        lifted=True,
        curvature_per_m=(0.0, 0.0),
    )


def grip_step(
    params: GripParams, state: GripState, evidence: Evidence
) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], GripState]:
    """Learn from one stroke.

    Parameters
    ----------
    params : GripParams
        Tuning.
    state : GripState
        Memory from the stroke before.
    evidence : Evidence
        Of this stroke.

    Returns
    -------
    grip : (ndarray of shape (4,), ndarray of shape (4, 4))
        Skew, scale, pitch and curvature of this stroke, from it and all before, and their covariance.
    state : GripState
        Memory for the next stroke.
    """
    share = _alike(params, state, evidence)
    mean, covariance = _forecast(params, state, evidence, share)
    mean, covariance = _updated(params, (mean, covariance), evidence, share)
    grip = _of_stroke(params, (mean, covariance), evidence)
    return grip, GripState(mean, covariance, evidence.out, evidence.forward)


def look_back(
    params: GripParams, evidence: Sequence[Evidence]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Skew, scale, pitch and curvature of each stroke of a session from all strokes, those after it included.

    The smoother of Rauch, Tung and Striebel (AIAA Journal 3(8), 1965) over the filter of `grip_step`.

    Parameters
    ----------
    params : GripParams
        Tuning.
    evidence : sequence of Evidence
        Of all strokes, in order.

    Returns
    -------
    list of (ndarray, ndarray)
        As `grip_step`.
    """
    state = GripState()
    passed: list[tuple[float, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]] = []
    for one in evidence:
        share = _alike(params, state, one)
        forecast = _forecast(params, state, one, share)
        mean, covariance = _updated(params, forecast, one, share)
        passed.append((share, *forecast, mean, covariance))
        state = GripState(mean, covariance, one.out, one.forward)
    grips: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []
    later: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    for i in range(len(passed) - 1, -1, -1):
        mean, covariance = passed[i][3:]
        if later is not None:
            share, next_mean, next_covariance = passed[i + 1][:3]
            gain = _solved(next_covariance, _kept(share)[:, np.newaxis] * covariance).T
            mean = mean + gain @ (later[0] - next_mean)
            covariance = covariance + gain @ (later[1] - next_covariance) @ gain.T
        later = mean, covariance
        grips.append(_of_stroke(params, later, evidence[i]))
    return grips[::-1]


def _kept(share: float) -> NDArray[np.float64]:
    return np.array([1.0, 1.0, 1.0, share, share, share])


def _alike(params: GripParams, state: GripState, evidence: Evidence) -> float:
    """Share of the last grip's peculiarities that this stroke has too, 0 to 1."""
    if state.out is None or state.forward is None:
        return 0.0
    steady = math.sqrt(1 - params.wander**2)
    if not evidence.lifted:
        return steady
    cosines = float(state.out @ evidence.out), float(state.forward @ evidence.forward)
    turned_deg = math.degrees(math.sqrt(sum(2 * max(1 - cosine, 0.0) for cosine in cosines) / 2))
    return steady * math.exp(-0.5 * (turned_deg / params.apart_deg) ** 2)


def _forecast(
    params: GripParams, state: GripState, evidence: Evidence, share: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """State before a stroke that shares so much with the last one."""
    curvature, spread = evidence.curvature_per_m
    prior, spreads = np.array([*params.means, curvature]), np.array([*params.spreads, spread])
    if state.mean is None:
        return prior, np.diag(spreads**2)
    kept = _kept(share)
    return prior + kept * (state.mean - prior), kept[:, np.newaxis] * state.covariance * kept + np.diag(
        (1 - kept**2) * spreads**2
    )


def _updated(
    params: GripParams,
    forecast: tuple[NDArray[np.float64], NDArray[np.float64]],
    evidence: Evidence,
    share: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """State after a stroke."""
    mean, covariance = forecast
    # Information about the grip, through the peculiarities of this one stroke.
    own = 1 / np.square(params.stroke_spreads)
    through = own[:, np.newaxis] * _scatter(params, evidence)
    information = np.diag(own) - through * own
    vector = through @ evidence.vector
    # How the wrist rocks is known once for each grip.
    rocking = (1 - share**2) / params.rocking_per_m**2
    information[3, 3] += rocking
    vector[3] -= rocking * evidence.turn_per_m
    before = _solved(covariance, _EYE)
    after = _solved(before + _OF_STROKE.T @ information @ _OF_STROKE, _EYE)
    after = (after + after.T) / 2
    return after @ (before @ mean + _OF_STROKE.T @ vector), after


def _scatter(params: GripParams, evidence: Evidence) -> NDArray[np.float64]:
    """Covariance of a stroke's values, were its grip known."""
    return _solved(np.diag(1 / np.square(params.stroke_spreads)) + evidence.information, _EYE[:4, :4])


def _of_stroke(
    params: GripParams, state: tuple[NDArray[np.float64], NDArray[np.float64]], evidence: Evidence
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values of one stroke, given the state that has learned from it already."""
    mean, covariance = state
    scatter = _scatter(params, evidence)
    gain = scatter / np.square(params.stroke_spreads) @ _OF_STROKE
    return gain @ mean + scatter @ evidence.vector, gain @ covariance @ gain.T + scatter


def _solved(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solution for a symmetric positive definite matrix; numpy's general one takes five times as long when small."""
    return _posv(matrix, right)[1]


def along_rolling_rad(evidence: Evidence) -> float:
    """Direction of a stroke were it straight along the rolling direction, in the tangent plane from face-up."""
    held = np.array([0.0, 1.0, 0.0, -evidence.turn_per_m])
    return float(_angles_and_lengths(evidence, held[np.newaxis], 0.0)[0][0])


def path_of(evidence: Evidence, grip: tuple[NDArray[np.float64], NDArray[np.float64]], radius_m: float) -> Path:
    """Path of a stroke on the skin.

    Parameters
    ----------
    evidence : Evidence
        Of the stroke.
    grip : (ndarray, ndarray)
        From `grip_step` or `look_back`.
    radius_m : float
        Of the roller.
    """
    values, covariance = grip
    around = np.concatenate([values[np.newaxis], values + _STEPS])
    angles, lengths = _angles_and_lengths(evidence, around, radius_m)
    slopes = np.stack([np.remainder(angles[1:] - angles[0] + np.pi, 2 * np.pi) - np.pi, lengths[1:] - lengths[0]])
    slopes /= _STEPS.diagonal()
    variances = np.einsum("ki,ij,kj->k", slopes, covariance, slopes)
    angle_sigma, length_sigma = np.sqrt(np.maximum(variances, 0.0)).tolist()
    normal = _normals(evidence, values[np.newaxis])[0]
    flatness = math.sqrt(max(1.0 - float(normal @ evidence.up) ** 2, 0.0))
    return Path(
        math.degrees(angles[0]),
        math.degrees(angle_sigma),
        float(lengths[0]),
        length_sigma,
        flatness,
        float(values[2]),
        evidence.turn_per_m + float(values[3]),
        float(covariance[2, 2]),
    )


def _normals(evidence: Evidence, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit normals of the skin half way for rows of values, (n, 3)."""
    normals = values[:, 1:2] * evidence.out + values[:, 2:3] * evidence.forward
    return normals / np.sqrt(np.einsum("ni,ni->n", normals, normals))[:, np.newaxis]


def _angles_and_lengths(
    evidence: Evidence, values: NDArray[np.float64], radius_m: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Direction (rad) and length (m) of the path for rows of values, (n, 4)."""
    skew, scale, pitch, curvature = values.T
    weights = np.stack([skew, scale, -pitch, -(evidence.turn_per_m + curvature)], axis=1)
    moved, normals, up = weights @ evidence.chord, _normals(evidence, values), evidence.up
    # Up is the vertical less its share along the normal, left is up x normal.
    left = up[_NEXT] * normals[:, _AFTER] - up[_AFTER] * normals[:, _NEXT]
    along_up = moved @ up - np.einsum("ni,ni->n", moved, normals) * (normals @ up)
    lengths = evidence.way_m * np.sqrt(skew**2 + scale**2 + pitch**2) * (1 - radius_m * curvature)
    return np.arctan2(np.einsum("ni,ni->n", moved, left), along_up), lengths
