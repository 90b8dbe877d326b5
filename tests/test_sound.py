# SPDX-License-Identifier: MIT
"""Sound: what the cues sound like, told from the samples themselves; devices that come and go."""

import time
from functools import partial

import numpy as np
import pytest

from roller_host.cues import speaker
from roller_host.cues.sound import FS_HZ, Heard, Signal, SoundParams, SoundState, sound_step, tone_of
from roller_host.cues.speaker import NoSoundError, Speaker, open_stream
from roller_host.signal.comfort import STARTING_BANDS, Band, Comfort

PARAMS = SoundParams()
CHEEK = STARTING_BANDS["cheek"]
BLOCK = 480


def play(*script, block=BLOCK, state=None):
    """Samples while the news of ``script``, (seconds, Heard), hold; news come anew in every block, as from a roller."""
    samples = []
    state = state or SoundState()
    for seconds, heard in script:
        n_left = round(seconds * FS_HZ)
        while n_left:
            news = heard and heard._replace(force_n=heard.force_n)
            part, state = sound_step(PARAMS, state, news, min(block, n_left))
            samples.append(part)
            n_left -= len(part)
    return np.concatenate(samples)


def felt(comfort, force_n=0.0, **more):
    return Heard(comfort, force_n, CHEEK, **more)


def rms(samples):
    return float(np.sqrt(np.mean(np.square(samples))))


def pitch_hz(samples):
    """Strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / FS_HZ)[spectrum.argmax()])


def pitches(samples, every_s=0.05):
    """Pitch of each stretch that is not silent."""
    n = round(every_s * FS_HZ)
    parts = [samples[i : i + n] for i in range(0, len(samples) - n + 1, n)]
    return [round(pitch_hz(part)) for part in parts if rms(part) > 0.02]


SIGNALS = {
    Signal.EASE_OFF: play((0.9, felt(Comfort.TOO_HARD, 4.5))),
    Signal.STOP: play((0.9, felt(Comfort.STOP, 9.0))),
    Signal.MOVE_ON: play((0.9, felt(Comfort.NO_CONTACT, n_moves=1))),
    Signal.NO_DATA: play((0.1, felt(Comfort.NO_CONTACT)), (0.9, felt(Comfort.STALE))),
}


def test_the_tone_rises_and_grows_with_the_force():
    heard = [play((0.6, felt(Comfort.COMFORTABLE, force_n)))[FS_HZ // 4 :] for force_n in (0.8, 1.2, 1.8, 2.5)]
    assert [pitch_hz(one) for one in heard] == sorted({pitch_hz(one) for one in heard})
    assert pitch_hz(heard[0]) == pytest.approx(PARAMS.low_hz, abs=4)
    assert pitch_hz(heard[-1]) == pytest.approx(2 * PARAMS.low_hz, abs=4)
    assert [rms(one) for one in heard] == sorted({rms(one) for one in heard})


def test_the_tone_is_soft_and_the_signals_are_louder_but_far_from_full_scale():
    firmest = play((1.0, felt(Comfort.FIRM, 3.99)))
    assert 0.05 < np.abs(firmest).max() <= PARAMS.soft
    for samples in SIGNALS.values():
        assert 0.2 < np.abs(samples).max() <= PARAMS.signal


def test_the_tone_means_the_same_on_every_place():
    cheek, eye = (
        tone_of(PARAMS, CHEEK.firm_n, CHEEK),
        tone_of(PARAMS, STARTING_BANDS["eye"].firm_n, STARTING_BANDS["eye"]),
    )
    assert cheek == eye


def test_no_contact_is_silent_and_so_is_the_time_before_the_first_news():
    assert not play((0.5, None), (0.5, felt(Comfort.NO_CONTACT))).any()


def test_ease_off_falls_stop_hammers_move_on_rises_no_data_falls_lowest():
    ease_off, stop, move_on, no_data = (pitches(SIGNALS[one]) for one in Signal)
    assert ease_off == sorted(ease_off, reverse=True)
    assert ease_off[0] > 1.3 * ease_off[-1]
    assert len(set(stop)) == 1
    assert move_on == sorted(move_on)
    assert move_on[-1] > 1.4 * move_on[0]
    assert max(no_data) < min(*ease_off, *stop, *move_on)


def test_stop_beats_three_times_as_fast_as_ease_off():
    def onsets(samples):
        loud = np.array([rms(part) > 0.02 for part in samples.reshape(-1, FS_HZ // 200)])
        return int(np.count_nonzero(loud[1:] & ~loud[:-1]) + loud[0])

    assert onsets(SIGNALS[Signal.STOP]) == 6
    assert onsets(SIGNALS[Signal.EASE_OFF]) == 2


def test_signals_of_the_force_last_as_long_as_it_does_and_others_sound_once():
    for comfort in (Comfort.TOO_HARD, Comfort.STOP):
        assert rms(play((5.0, felt(comfort, 9.0)))[-FS_HZ:]) > 0.03
    assert not play((5.0, felt(Comfort.NO_CONTACT, n_moves=1)))[-FS_HZ:].any()
    assert not play((0.1, felt(Comfort.FIRM, 3.0)), (5.0, felt(Comfort.STALE)))[-FS_HZ:].any()


def test_a_signal_begins_with_the_news():
    samples = play((0.5, felt(Comfort.FIRM, 3.0)), (0.1, felt(Comfort.STOP, 9.0)))
    assert rms(samples[FS_HZ // 2 : FS_HZ // 2 + FS_HZ // 50]) > 2 * rms(samples[FS_HZ // 4 : FS_HZ // 2])


def test_nothing_clicks():
    """Whatever follows whatever, there is nothing of a click: next to no power where no harmonic is, and no jump."""
    rng = np.random.default_rng(100)
    states = [felt(comfort, force_n, n_moves=n) for n, comfort in enumerate(Comfort) for force_n in (0.3, 2.0, 5.0)]
    script = [(float(rng.uniform(0.01, 0.4)), states[i]) for i in rng.integers(0, len(states), 200)]
    samples = play(*script)
    # The highest note's third harmonic at 0.06 of the amplitude, the first at 0.75 and so on, two signals overlapping.
    assert np.abs(np.diff(samples)).max() < 2 * PARAMS.signal * 2 * np.pi * 1318 / FS_HZ * (0.75 + 2 * 0.19 + 3 * 0.06)
    spectrum = np.square(np.abs(np.fft.rfft(samples)))
    above = np.fft.rfftfreq(len(samples), 1 / FS_HZ) > 8000
    assert spectrum[above].sum() < 1e-6 * spectrum.sum()
    # The same measure finds a click: one dropped block.
    samples[samples.size // 2 : samples.size // 2 + BLOCK] = 0.3
    assert np.square(np.abs(np.fft.rfft(samples)))[above].sum() > 1e-6 * spectrum.sum()


def test_other_blocks_make_the_same_sound():
    script = ((0.3, felt(Comfort.FIRM, 3.0)), (0.5, felt(Comfort.TOO_HARD, 4.5)), (0.3, felt(Comfort.COMFORTABLE, 2.0)))
    assert play(*script, block=97) == pytest.approx(play(*script, block=960), abs=1e-4)


def test_after_half_a_second_without_news_the_sound_says_so_once():
    heard = felt(Comfort.COMFORTABLE, 2.0)
    state, samples, signals = SoundState(), [], []
    for _ in range(300):
        part, state = sound_step(PARAMS, state, heard, BLOCK)
        samples.append(part)
        signals.append(state.signal)
    assert signals.index(Signal.NO_DATA) == pytest.approx(0.5 * FS_HZ / BLOCK, abs=1)
    assert not np.concatenate(samples)[-FS_HZ:].any()


def test_move_on_waits_while_the_force_is_too_high():
    state = SoundState()
    for heard, signal in (
        (felt(Comfort.TOO_HARD, 4.5, n_moves=1), Signal.EASE_OFF),
        (felt(Comfort.COMFORTABLE, 2.0, n_moves=1), Signal.MOVE_ON),
    ):
        _, state = sound_step(PARAMS, state, heard, BLOCK)
        assert state.signal is signal


def test_mute_leaves_only_the_stop():
    muted = [felt(comfort, 3.0, muted=True, n_moves=1) for comfort in Comfort if comfort is not Comfort.STOP]
    assert not play(*((0.5, heard) for heard in muted)).any()
    assert rms(play((0.5, felt(Comfort.STOP, 9.0, muted=True)))) == pytest.approx(
        rms(play((0.5, felt(Comfort.STOP, 9.0))))
    )


def test_muting_fades_and_forgets_what_was_to_be_said():
    samples = play(
        (0.3, felt(Comfort.FIRM, 3.0)),
        (0.5, felt(Comfort.FIRM, 3.0, muted=True, n_moves=1)),
        (0.5, felt(Comfort.NO_CONTACT, n_moves=1)),
    )
    assert not samples[-FS_HZ // 2 :].any()


def test_a_band_of_equal_thresholds_still_sounds():
    assert np.isfinite(play((0.1, Heard(Comfort.COMFORTABLE, 1.0, Band(0.5, 0.5, 0.5, 0.5))))).all()


# --- Devices --------------------------------------------------------------------------------------------------------


class Fake:
    """A device that asks when it is told to."""

    def __init__(self, render):
        self.render, self.closed = render, False

    def close(self):
        self.closed = True


class Devices:
    """Opens fakes, unless there is none."""

    def __init__(self):
        self.opened, self.absent = [], False

    def __call__(self, render):
        if self.absent:
            raise NoSoundError("No sound: none here.")
        self.opened.append(Fake(render))
        return self.opened[-1]


@pytest.fixture
def hasty(monkeypatch):
    """Devices are missed and looked for at once."""
    for name, seconds in (("LOST_S", 0.05), ("RETRY_S", 0.01), ("_WATCH_S", 0.01)):
        monkeypatch.setattr(speaker, name, seconds)


def until(happened):
    end_s = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_the_speaker_plays_what_it_is_told(monkeypatch):
    devices, notes = Devices(), []
    loud = Speaker(notes.append, devices)
    until(lambda: devices.opened)
    loud.heard = felt(Comfort.STOP, 9.0)
    assert rms(devices.opened[0].render(4800)) > 0.05
    assert loud.state.signal is Signal.STOP
    loud.close()
    assert devices.opened[0].closed
    assert notes == []


def test_no_device_is_one_line_and_one_that_comes_is_used(hasty):
    devices, notes = Devices(), []
    devices.absent = True
    loud = Speaker(notes.append, devices)
    until(lambda: notes)
    time.sleep(0.05)
    assert notes == ["No sound: none here."]
    assert loud.problem == notes[0]
    devices.absent = False
    until(lambda: devices.opened and not loud.problem)
    loud.close()
    assert notes == ["No sound: none here.", "Sound is back."]


def test_a_device_that_falls_silent_is_given_up_and_looked_for(hasty):
    devices, notes = Devices(), []
    loud = Speaker(notes.append, devices)
    until(lambda: len(devices.opened) > 1)
    loud.close()
    assert notes[0] == "No sound: the sound device is gone; it is looked for."
    assert all(one.closed for one in devices.opened)


def test_a_device_that_takes_two_seconds_to_begin_is_waited_for():
    """As PulseAudio does."""
    devices, notes = Devices(), []
    loud = Speaker(notes.append, devices)
    time.sleep(2.2)
    loud.close()
    assert len(devices.opened) == 1
    assert notes == []


def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    def absent(_name):
        raise ModuleNotFoundError

    monkeypatch.setattr(speaker.importlib, "import_module", absent)
    notes = []
    loud = Speaker(notes.append)
    loud._thread.join(5)
    assert not loud._thread.is_alive()
    assert notes == ["No sound: the audio library is not installed. pip install '.[audio]' in the project's folder."]


def test_the_library_plays_in_real_time():
    pytest.importorskip("miniaudio")
    notes = []
    loud = Speaker(notes.append, partial(open_stream, null=True))
    until(lambda: loud.state.waited)
    for _ in range(10):
        loud.heard = felt(Comfort.STOP, 9.0)
        time.sleep(0.02)
    assert loud.state.signal is Signal.STOP
    until(lambda: loud.state.signal is Signal.NO_DATA)
    loud.close()
    assert notes == []


def test_a_computer_without_a_sound_device_is_no_error(capfd):
    miniaudio = pytest.importorskip("miniaudio")
    try:
        miniaudio.PlaybackDevice().close()
    except miniaudio.MiniaudioError:
        pass
    else:
        pytest.skip("there is a sound device here")
    capfd.readouterr()
    notes = []
    loud = Speaker(notes.append)
    until(lambda: notes)
    loud.close()
    assert notes == ["No sound: no sound device opens on this computer."]
    assert capfd.readouterr() == ("", "")
