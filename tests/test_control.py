# SPDX-License-Identifier: MIT
"""Control requests as calls: scripted dialogues, and every request against the simulated firmware."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from firmware_protocol import codec, layout, reference
from roller_host.link.control import ASKED_ONCE, Control
from roller_host.link.refusals import BadRecordError, RequestError
from roller_host.link.states import LinkLostError
from simulator.firmware.device import Device

TIMEOUT_S = 0.02
NAMES = [name for _, name, _, _ in layout.REQUESTS]
EXAMPLES = {
    "PING": (b"",), "STREAM_INFO": (1,), "CONFIG": (1, 7, 0), "START": (2, 60, 0), "BACKFILL": (0, 1),
    "SET_WALL": (1, 0), "TARE": (0,), "CAL_READ": (0,), "CAL_WRITE": (0, bytes(16)), "CAL_COMMIT": (0,),
    "HAPTIC_RULE": (0,) * 8, "HAPTIC_PLAY": (1, 2, 3), "LED": (1, 2, 3, 1), "IDENTIFY": (1,), "LOG_READ": (0, 1),
    "LOG_ADVANCE": (0,), "REBOOT": (0,), "GEOMETRY_READ": (0, 0), "LOG_SESSION": (0,),
}  # fmt: skip
"""Arguments that fit; requests that are not here have none."""


def response(request, status="OK", *reply):
    """An indication; without ``reply`` that of a request without one."""
    op, tag = request[:2]
    if reply:
        return codec.encode_response(op, tag, codec.STATUS_CODE[status], *reply)
    return bytes((layout.RESPONSE_MARKER, op, tag, codec.STATUS_CODE[status]))


def busy(request):
    return [response(request, "BUSY")]


def echoing(request):
    return [response(request, "OK", request[2:])]


def silent(_request):
    return []


def zeros(request):
    """A reply of the right length to any request."""
    return [response(request) + bytes(codec.size_of(codec.REPLIES[request[0]][0]))]


class Dialogue:
    """The roller's side: each write must be the next one of the script, and gets what the script says."""

    def __init__(self, *script):
        self.script = list(script)
        self.sent = []
        self.control = Control(self.write, TIMEOUT_S)

    async def write(self, request):
        self.sent.append(request)
        assert self.script, f"nobody expected {request.hex()}"
        for indication in self.script.pop(0)(request):
            self.control.on_indication(indication)


@asynccontextmanager
async def dialogue(*script, n_strays=0):
    roller = Dialogue(*script)
    yield roller
    assert roller.script == [], "the script went further"
    assert roller.control.n_strays == n_strays
    tags = [request[1] for request in roller.sent]
    assert len(set(tags)) == len(tags)


def run(main):
    async def limited():
        async with asyncio.timeout(10):
            await main()

    asyncio.run(limited())


async def turns():
    """Let every task go as far as it can without time passing."""
    for _ in range(5):
        await asyncio.sleep(0)


# --- Silence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_an_unanswered_request_is_repeated_only_when_that_is_safe(name):
    async def main():
        async with dialogue(*[silent] * (1 if name in ASKED_ONCE else 2)) as roller:
            with pytest.raises(LinkLostError, match=f"did not answer {name} within") as error:
                await roller.control.request(name, *EXAMPLES.get(name, ()))
            assert ("asked again" in error.value.reason) == (name not in ASKED_ONCE)
            assert error.value.action.endswith("try again.")

    run(main)


@pytest.mark.parametrize(
    "name",
    [
        "START", "STOP", "BACKFILL", "LOG_READ", "CAL_COMMIT", "HAPTIC_PLAY", "REBOOT", "SLEEP", "FACTORY_RESET",
        "TARE", "SET_WALL",
    ],
)  # fmt: skip
def test_requests_with_a_lasting_effect_are_asked_once(name):
    assert name in ASKED_ONCE


def test_an_answer_to_the_second_sending_will_do():
    async def main():
        async with dialogue(silent, echoing) as roller:
            assert await roller.control.ping(b"hello") == b"hello"

    run(main)


def test_a_late_answer_to_the_first_sending_will_do():
    async def main():
        async with dialogue(silent, lambda _: [response(roller.sent[0], "OK", b"late")]) as roller:
            assert await roller.control.ping(b"late") == b"late"

    run(main)


def test_an_answer_to_an_earlier_call_is_a_stray():
    async def main():
        late = [lambda _: [response(roller.sent[0], "OK", b"old")], silent]
        async with dialogue(silent, silent, *late, n_strays=1) as roller:
            for _ in range(2):
                with pytest.raises(LinkLostError):
                    await roller.control.ping()

    run(main)


def test_an_answer_after_giving_up_is_a_stray():
    async def main():
        async with dialogue(silent, n_strays=1) as roller:
            with pytest.raises(LinkLostError):
                await roller.control.stop()
            roller.control.on_indication(response(roller.sent[0], "OK", 1, 0))

    run(main)


def test_an_answer_of_another_request_is_a_stray():
    async def main():
        def of_another(request):
            return [codec.encode_response(codec.OP["SLEEP"], request[1], 0)]

        async with dialogue(of_another, silent, n_strays=1) as roller:
            with pytest.raises(LinkLostError):
                await roller.control.ping()

    run(main)


def test_a_second_answer_to_the_same_sending_is_a_stray():
    async def main():
        async with dialogue(lambda request: 2 * echoing(request), n_strays=1) as roller:
            assert await roller.control.ping(b"x") == b"x"

    run(main)


def test_a_tare_is_given_the_time_for_its_readings():
    async def main():
        async with dialogue(silent) as roller:
            taring = asyncio.ensure_future(roller.control.tare(8))
            await asyncio.sleep(4 * TIMEOUT_S)
            roller.control.on_indication(response(roller.sent[0], "OK", -5, 3))
            assert await taring == (-5, 3)

    run(main)


def test_garbage_is_not_called_silence():
    async def main():
        async with dialogue(lambda _: [b"\xf1\x02\x03\x04"], silent, n_strays=1) as roller:
            with pytest.raises(LinkLostError, match=r"answered PING with garbage .*0xf1") as error:
                await roller.control.ping()
            assert "update its firmware" in error.value.action

    run(main)


def test_a_reply_that_is_too_short_is_garbage():
    async def main():
        async with dialogue(lambda request: [response(request)], n_strays=1) as roller:
            with pytest.raises(LinkLostError, match="answered START with garbage"):
                await roller.control.start(2)

    run(main)


def test_an_answer_after_garbage_counts():
    async def main():
        async with dialogue(lambda request: [b"?", *echoing(request)], n_strays=1) as roller:
            assert await roller.control.ping(b"x") == b"x"

    run(main)


def test_garbage_of_an_earlier_request_is_not_held_against_the_next():
    async def main():
        async with dialogue(lambda request: [b"?", *echoing(request)], silent, silent, n_strays=1) as roller:
            await roller.control.ping()
            with pytest.raises(LinkLostError, match="did not answer"):
                await roller.control.ping()

    run(main)


def test_a_write_that_fails_is_told_as_it_is():
    async def main():
        def fail(_request):
            raise OSError("the radio is gone")

        async with dialogue(fail, echoing) as roller:
            with pytest.raises(OSError, match="radio is gone"):
                await roller.control.ping()
            assert await roller.control.ping(b"x") == b"x"

    run(main)


def test_a_write_that_hangs_is_silence():
    async def main():
        async def hang(_request):
            await asyncio.Event().wait()

        with pytest.raises(LinkLostError, match="did not answer STOP"):
            await Control(hang, TIMEOUT_S).stop()

    run(main)


def test_calls_that_overlap_take_turns():
    async def main():
        async with dialogue(silent, silent) as roller:
            calls = [asyncio.ensure_future(roller.control.backfill(*span)) for span in ((0, 1), (2, 2))]
            for n_sent in (1, 2):
                await turns()
                assert len(roller.sent) == n_sent
                roller.control.on_indication(response(roller.sent[-1], "OK", n_sent, 0))
            assert [reply.count for reply in await asyncio.gather(*calls)] == [1, 2]

    run(main)


def test_a_call_that_is_given_up_makes_room_for_the_next():
    async def main():
        async with dialogue(
            silent, lambda request: [response(roller.sent[0], "OK", b""), *echoing(request)], n_strays=1
        ) as roller:
            asking = asyncio.ensure_future(roller.control.ping())
            await turns()
            asking.cancel()
            assert await roller.control.ping(b"x") == b"x"

    run(main)


# --- Refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_busy_is_waited_for_whatever_the_request(name):
    async def main():
        async with dialogue(busy, busy, zeros) as roller:
            reply = await roller.control.request(name, *EXAMPLES.get(name, ()))
            assert len(reply) == len(codec.REPLIES[codec.OP[name]][0])
            assert len({request[2:] for request in roller.sent}) == 1

    run(main)


def test_busy_for_ever_is_an_error_after_growing_pauses():
    async def main():
        times = []

        def still_busy(request):
            times.append(asyncio.get_running_loop().time())
            return busy(request)

        async with dialogue(*[still_busy] * 5) as roller:
            with pytest.raises(RequestError, match="BUSY") as error:
                await roller.control.backfill(0, 1)
            assert (error.value.name, error.value.status) == ("BACKFILL", "BUSY")
            assert error.value.action == "Wait a moment, then try again."
        assert times[-1] - times[0] >= 0.7 * TIMEOUT_S

    run(main)


def test_a_roller_busy_with_the_first_sending_may_still_answer_it():
    async def main():
        def busy_then_done(request):
            asyncio.get_running_loop().call_soon(roller.control.on_indication, response(roller.sent[0], "OK", b"x"))
            return busy(request)

        async with dialogue(silent, busy_then_done) as roller:
            assert await roller.control.ping(b"x") == b"x"

    run(main)


@pytest.mark.parametrize("status", [s for _, s, _ in layout.RESPONSE_STATUS if s not in ("OK", "BUSY")])
def test_a_refusal_says_why_and_is_not_repeated(status):
    async def main():
        async with dialogue(lambda request: [response(request, status)]) as roller:
            with pytest.raises(RequestError, match=f"refused LED: {status}") as error:
                await roller.control.led(1, 2, 3)
            assert str(error.value) == f"{error.value.reason} {error.value.action}".rstrip()

    run(main)


def test_what_the_roller_does_not_know_is_asked_once():
    async def main():
        async with dialogue(lambda request: [response(request, "UNKNOWN_OP")]) as roller:
            for seconds in (1, 2):
                with pytest.raises(RequestError, match="IDENTIFY: UNKNOWN_OP"):
                    await roller.control.identify(seconds)

    run(main)


def test_what_the_roller_lacks_is_asked_once_but_other_arguments_are_tried():
    async def main():
        def lacking(request):
            return [response(request, "NOT_SUPPORTED")]

        async with dialogue(lacking, zeros) as roller:
            for _ in range(2):
                with pytest.raises(RequestError, match="STREAM_INFO: NOT_SUPPORTED"):
                    await roller.control.stream_info(5)
            assert (await roller.control.stream_info(1)).rates_hz == ()

    run(main)


def test_a_refusal_of_the_moment_is_not_remembered():
    async def main():
        async with dialogue(lambda request: [response(request, "BAD_STATE")], zeros) as roller:
            with pytest.raises(RequestError, match="BAD_STATE"):
                await roller.control.stop()
            assert await roller.control.stop() == (0, 0)

    run(main)


def test_arguments_that_do_not_fit_are_not_sent():
    async def main():
        async with dialogue() as roller:
            with pytest.raises(codec.ProtocolError, match="seconds"):
                await roller.control.identify(300)

    run(main)


def test_a_roller_that_offers_rates_of_a_newer_protocol_is_understood():
    async def main():
        reply = 9, 1, 2, 4, 1.0, 0.0, 1 << 31 | 0b110
        async with dialogue(lambda request: [response(request, "OK", *reply)]) as roller:
            assert (await roller.control.stream_info(9)).rates_hz == (10, 20)

    run(main)


@pytest.mark.parametrize("read", ["calibration", "geometry"])
def test_a_damaged_record_is_told(read):
    async def main():
        async with dialogue(zeros, lambda request: [response(request, "OK", b"\xff" * 16)]) as roller:
            with pytest.raises(BadRecordError, match=r"cannot be used.*CRC") as error:
                await getattr(roller.control, read)()
            assert error.value.action

    run(main)


# --- Against the firmware ---------------------------------------------------------------------------------------------


class Firmware:
    """A simulated device behind a `Control`, on a clock that stands unless it is told to go on."""

    def __init__(self):
        self.device = Device(seed=1)
        self.now_us = 0
        self.sent = []
        self.packets = []
        self.control = Control(self.write, TIMEOUT_S)
        self.connect()

    def connect(self):
        self.device.connected(247, self.now_us)
        self.device.subscribed(True, self.now_us)

    async def write(self, request):
        self.sent.append(request)
        self.control.on_indication(self.device.request(request, self.now_us))

    def go_on(self, seconds):
        until_us = self.now_us + round(seconds * 1e6)
        while self.now_us < until_us:
            self.now_us += 30_000
            self.packets += [codec.decode_packet(payload) for payload in self.device.advance(self.now_us)]


CALLS = {
    "PING": lambda control: control.ping(b"echo"),
    "STREAM_LIST": lambda control: control.stream_ids(),
    "STREAM_INFO": lambda control: control.stream_info(1),
    "CONFIG": lambda control: control.configure(1, 8, 2),
    "START": lambda control: control.start(1 << 1, 60, 5),
    "STOP": lambda control: control.stop(),
    "BACKFILL": lambda control: control.backfill(3, 7),
    "TIME_SYNC": lambda control: control.time_sync(),
    "SET_WALL": lambda control: control.set_wall(1_800_000_000_000_000, 120),
    "TARE": lambda control: control.tare(80),
    "CAL_READ": lambda control: control.calibration(),
    "CAL_WRITE": lambda control: control.write_calibration(reference.CALIBRATION),
    "CAL_COMMIT": lambda control: control.write_calibration(reference.CALIBRATION),
    "HAPTIC_RULE": lambda control: control.haptic_rule(1, 0, 1, 4000, 800, hold_ms=100, pattern=3, cooldown_ms=500),
    "HAPTIC_PLAY": lambda control: control.haptic_play(2, 60, 3),
    "LED": lambda control: control.led(1, 2, 3, 2),
    "IDENTIFY": lambda control: control.identify(4),
    "LOG_INFO": lambda control: control.log_info(),
    "LOG_READ": lambda control: control.log_read(2, 9),
    "LOG_ADVANCE": lambda control: control.log_advance(0),
    "SLEEP": lambda control: control.sleep(),
    "REBOOT": lambda control: control.reboot(bootloader=True),
    "FACTORY_RESET": lambda control: control.factory_reset(),
    "SELF_TEST": lambda control: control.self_test(),
    "SESSION": lambda control: control.session(),
    "GEOMETRY_READ": lambda control: control.geometry(),
    "LOG_SESSION": lambda control: control.log_session(0),
}
SENT = {
    "PING": [(b"echo",)], "STREAM_INFO": [(1,)], "CONFIG": [(1, 8, 2)], "START": [(2, 60, 5)], "BACKFILL": [(3, 7)],
    "SET_WALL": [(1_800_000_000_000_000, 120)], "TARE": [(80,)], "CAL_READ": [(0,), (1,)],
    "HAPTIC_RULE": [(1, 0, 1, 4000, 800, 100, 3, 500)], "HAPTIC_PLAY": [(2, 60, 3)], "LED": [(1, 2, 3, 2)],
    "IDENTIFY": [(4,)], "LOG_READ": [(2, 9)], "LOG_ADVANCE": [(0,)], "REBOOT": [(1,)],
    "GEOMETRY_READ": [(0, 0), (0, 1)], "LOG_SESSION": [(0,)],
}  # fmt: skip
"""What the calls above put on the wire; nothing where it is not here."""


@pytest.mark.parametrize("name", NAMES)
def test_every_request_has_a_call_that_sends_it_as_the_firmware_wants_it(name):
    firmware = Firmware()
    firmware.device.press(0.2, 0)

    async def main():
        with suppress(RequestError):  # some refuse: there is no session, no log, no bootloader
            await CALLS[name](firmware.control)

    run(main)
    sent = [codec.decode_request(request) for request in firmware.sent]
    ours = [tuple(request.args) for request in sent if codec.OP_NAME[request.op] == name]
    if name in ("CAL_WRITE", "CAL_COMMIT"):
        payload = codec.encode_record("CALIBRATION", reference.CALIBRATION)
        pages, crc = [(0, payload[:16]), (1, payload[16:])], [(int.from_bytes(payload[30:], "little"),)]
        assert [codec.OP_NAME[request.op] for request in sent] == ["CAL_WRITE", "CAL_WRITE", "CAL_COMMIT"]
        assert ours == (pages if name == "CAL_WRITE" else crc)
    else:
        assert {request.op for request in sent} == {codec.OP[name]}
        assert ours == SENT.get(name, [()])


def test_streams_are_described():
    firmware = Firmware()

    async def main():
        ids = await firmware.control.stream_ids()
        assert ids == firmware.device.streams
        imu = await firmware.control.stream_info(codec.STREAM_ID["IMU6"])
        assert (imu.stream_id, imu.channels, imu.sample_size_b, imu.rates_hz) == (1, 6, 12, (52, 104, 208))
        assert (imu.scale_a, imu.scale_b) == pytest.approx(reference.imu_scales(0))
        with pytest.raises(RequestError, match="NOT_SUPPORTED"):
            await firmware.control.stream_info(codec.STREAM_ID["QUAT"])
        assert await firmware.control.configure(1, layout.RATES_HZ.index(208)) == pytest.approx(208, rel=0.05)

    run(main)


def test_a_session_from_start_to_backfill():
    firmware = Firmware()
    streaming, idle = (next(code for code, name in layout.STATES if name == state) for state in ("streaming", "idle"))

    async def main():
        control = firmware.control
        started = await control.start(1 << codec.STREAM_ID["FORCE_RAW"], linger_s=5)
        firmware.go_on(1)
        assert (await control.time_sync()).t2_us - started.t_us == pytest.approx(firmware.now_us, rel=1e-3)
        seqs = [packet.seq for packet in firmware.packets]
        assert await control.session() == (started.session_id, 0, len(seqs), streaming)
        assert await control.backfill(2, 4) == (3, 0)
        firmware.go_on(0.5)
        assert [p.seq for p in firmware.packets if p.ptype == layout.PTYPE_BACKFILL] == [2, 3, 4]
        stopped = await control.stop()
        session = await control.session()
        assert stopped == (session.next_seq - 1, 0)
        assert session.state == idle

    run(main)


def test_a_backfill_waits_for_the_one_before():
    firmware = Firmware()

    async def main():
        control = firmware.control
        await control.start(1 << codec.STREAM_ID["FORCE_RAW"])
        firmware.go_on(1)
        await control.backfill(0, 5)
        second = asyncio.ensure_future(control.backfill(6, 7))
        await turns()
        firmware.go_on(1)
        assert (await second).count == 2

    run(main)


def test_zero_calibration_and_geometry():
    firmware = Firmware()

    async def main():
        control = firmware.control
        tared = await control.tare(80)
        assert tared.zero_counts == firmware.device.senses.zero_counts
        assert 0 < tared.noise_counts < 0.02 * 43800
        ours = await control.calibration()
        other = ours._replace(cell_serial=77)
        with pytest.raises(RequestError, match="CAL_COMMIT: NOT_PERMITTED"):
            await control.write_calibration(other)
        firmware.device.press(0.2, firmware.now_us)
        await control.write_calibration(other)
        assert (await control.calibration())[:-1] == other[:-1]
        await control.factory_reset()
        assert (await control.calibration()).cell_serial == reference.CALIBRATION.cell_serial
        assert (await control.geometry()).roller_radius_m == pytest.approx(reference.GEOMETRY.roller_radius_m)
        with pytest.raises(RequestError, match="BAD_PARAM"):
            await control.geometry(1)

    run(main)


def test_the_offline_log_is_read_and_freed():
    firmware = Firmware()
    firmware.device.disconnected(0)

    async def main():
        control = firmware.control
        await control.set_wall(1_800_000_000_000_000, 60)
        firmware.device.press(0.2, firmware.now_us)
        firmware.go_on(2)
        firmware.device.press(0.2, firmware.now_us)
        firmware.connect()
        log = await control.log_info()
        assert (log.first, log.n_sessions) == (0, 1)
        assert log.used_b > 0
        assert await control.log_session(0) == (0, log.last, 1_800_000_000_000_000)
        assert await control.log_read(0, 5) == 5
        firmware.go_on(1)
        assert [(p.ptype, p.seq) for p in firmware.packets] == [(layout.PTYPE_LOG, seq) for seq in range(5)]
        await control.log_advance(log.last + 1)
        assert (await control.log_info()).used_b == 0

    run(main)


def test_parts_and_what_they_do():
    firmware = Firmware()

    async def main():
        control, device = firmware.control, firmware.device
        passed = await control.self_test()
        assert passed == dict.fromkeys([name for _, name, _ in layout.SELF_TEST], True)
        device.fail("HAPTIC", True, firmware.now_us)
        assert [name for name, well in (await control.self_test()).items() if not well] == ["HAPTIC"]
        with pytest.raises(RequestError, match="HAPTIC_PLAY: HW_FAULT"):
            await control.haptic_play(1)
        await control.led(9, 8, 7)
        assert device.led == (9, 8, 7, 1)

    run(main)


@pytest.mark.parametrize("leave", ["sleep", "reboot"])
def test_a_roller_answers_before_it_leaves(leave):
    firmware = Firmware()

    async def main():
        await getattr(firmware.control, leave)()
        assert firmware.device.on_air
        firmware.go_on(0.2)
        assert not firmware.device.on_air

    run(main)
