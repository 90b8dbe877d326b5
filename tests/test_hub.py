# SPDX-License-Identifier: MIT
"""Host and simulator as two processes over TCP: what each says and does when the other goes."""

import asyncio
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from bare import Heard
from bumble import data_types
from bumble.core import UUID, AdvertisingData

from firmware_protocol import codec
from roller_host.link.client import LinkSession
from roller_host.link.dongle import Dongle
from roller_host.link.radio import open_radio
from roller_host.link.states import LinkLostError
from roller_host.link.times import LinkTimes
from simulator import cli
from simulator.bluetooth.air import Air
from simulator.bluetooth.faults import Fault, inject
from simulator.bluetooth.hub import open_hub
from simulator.bluetooth.peripheral import open_peripheral
from simulator.firmware.device import Device

PATIENCE_S = 20.0
"""For a process to start and import its libraries on a loaded machine."""
PROMPT_S = 3.0
"""Within this time each side has to notice that the other one is gone."""


class Simulator:
    """`roller-sim run` in a process of its own; its lines arrive in a queue."""

    def __init__(self, process):
        self.process = process
        self.lines = queue.Queue()
        self.seen = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def line_with(self, text, timeout_s=PATIENCE_S):
        end_s = time.monotonic() + timeout_s
        while True:
            try:
                self.seen.append(self.lines.get(timeout=max(0.0, end_s - time.monotonic())))
            except queue.Empty:
                pytest.fail(f"no line with {text!r} within {timeout_s} s, but {self.seen}")
            if text in self.seen[-1]:
                return self.seen[-1]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()
        return self.process.stderr.read()


@contextmanager
def simulator(*arguments, stdin=subprocess.DEVNULL):
    command = [sys.executable, "-m", "simulator.cli", "run", "--listen", "127.0.0.1:0", *arguments]
    pipes = {"stdin": stdin, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # noqa: S603
        running = Simulator(process)
        try:
            running.address = running.line_with("listening on").split()[2].rstrip(";")
            yield running
        finally:
            running.end()


async def session(address, n_packets, on_enough=None, times=None):
    """Stream, and after so many packets do something; return their number."""
    payloads = []
    stop = asyncio.Event()

    def on_record(record):
        if record.source == "STREAM":
            payloads.append(record.payload)
            if len(payloads) == n_packets:
                (on_enough or stop.set)()

    async with asyncio.timeout(PATIENCE_S), open_radio(f"tcp:{address}") as radio:
        await LinkSession(radio, target=None, on_record=on_record, on_state=lambda _: None, times=times).stream(stop)
    return len(payloads)


HOST = """
import asyncio, sys
sys.path.insert(0, {path!r})
from test_hub import session
asyncio.run(session({address!r}, 3, lambda: print("enough", flush=True)))
"""


@contextmanager
def host_process(address):
    """A host in a process of its own that streams until it is killed."""
    script = HOST.format(path=str(Path(__file__).parent), address=address)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            assert process.stdout.readline() == "enough\n"
            yield process
        finally:
            process.kill()


def test_it_says_where_it_listens_and_how_to_connect():
    with simulator("--seed", "7") as running:
        assert running.seen[0].endswith(f"connect with: roller-host stream --radio tcp:{running.address}")
        rate_hz = float(running.line_with("true IMU rate").split()[-2])
        assert 90 < rate_hz < 120


def test_a_killed_simulator_is_a_lost_link_at_once():
    killed_s = []

    def kill():
        killed_s.append(time.monotonic())
        running.process.kill()

    with simulator() as running:
        with pytest.raises(LinkLostError):
            asyncio.run(session(running.address, 3, kill))
        assert time.monotonic() - killed_s[0] < PROMPT_S


def test_a_killed_host_is_noticed_and_the_next_one_served():
    with simulator() as running:
        with host_process(running.address) as host:
            running.line_with("streaming")
            host.send_signal(signal.SIGKILL)
            host.wait()
            running.line_with("host gone (supervision timeout), advertising again", PROMPT_S)
        assert asyncio.run(session(running.address, 3)) >= 3
        running.line_with("host gone (it disconnected), advertising again", PROMPT_S)


def test_a_dead_dongle_is_silent_at_once_and_its_link_ends_after_the_supervision_timeout():
    service = AdvertisingData([data_types.CompleteListOf128BitServiceUUIDs([UUID(codec.uuid_of("SERVICE"))])])

    async def main():
        air, told = Air(), Heard()
        async with open_hub(air) as hub, open_peripheral(air, Device(seed=1), on_event=told.add) as roller:
            dongle = Dongle(f"tcp-client:{hub.host}:{hub.port}")
            stack = await dongle.open()
            await stack.start_advertising(advertising_data=bytes(service), advertising_interval_min=20)
            speaker = stack.random_address.to_string(with_type_qualifier=False)
            await stack.connect(roller.address, timeout=PATIENCE_S)
            async with open_radio(f"tcp:{hub.host}:{hub.port}") as radio:
                assert {found.address for found in await radio.scan(0.5)} == {roller.address, speaker}
                died_s = time.monotonic()
                # As the system does for a program that died.
                dongle._transport.sink.transport.abort()
                await dongle.lost
                assert {found.address for found in await radio.scan(0.3)} == {roller.address}
                assert told == ["host connected"]
            await told.one(lambda text: text == "host gone (supervision timeout), advertising again")
            assert 0.6 < time.monotonic() - died_s < PROMPT_S
            await dongle.close()

    asyncio.run(main())


def test_an_adapter_that_is_pulled_out_is_gone_for_its_host():
    async def main():
        air, told = Air(), Heard()
        async with open_hub(air) as hub, open_peripheral(air, Device(seed=1), on_event=told.add) as roller:
            dongle = Dongle(f"tcp-client:{hub.host}:{hub.port}")
            stack = await dongle.open()
            await stack.connect(roller.address, timeout=PATIENCE_S)
            await told.one(lambda text: text == "host connected")
            inject(roller, Fault.ADAPTER_OFF)
            async with asyncio.timeout(PROMPT_S):
                await dongle.lost
            await told.one(lambda text: text == "host gone (supervision timeout), advertising again")
            await dongle.close()
            assert len(air.controllers) == 1

    asyncio.run(main())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("busy", [False, True])
def test_a_signal_ends_it_cleanly(number, busy):
    with simulator() as running:
        if busy:
            with pytest.raises(LinkLostError):
                asyncio.run(session(running.address, 3, lambda: running.process.send_signal(number)))
        else:
            running.process.send_signal(number)
        assert running.process.wait(PATIENCE_S) == 0
        assert running.end() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
def test_a_frozen_simulator_is_a_stall_and_then_a_lost_link():
    with simulator() as running:

        def freeze():
            running.process.send_signal(signal.SIGSTOP)

        with pytest.raises(LinkLostError, match="did not answer SESSION"):
            asyncio.run(session(running.address, 3, freeze, LinkTimes(ask_s=1.0, request_s=0.5, give_up_s=0)))
        running.process.send_signal(signal.SIGCONT)


FROZEN = """
import asyncio, os, signal
from bumble import gatt_client
from bumble.hci import Address
from firmware_protocol import codec
from roller_host.link.dongle import Dongle

async def main():
    dongle = Dongle("tcp-client:{address}")
    stack = await dongle.open()
    connection = await stack.connect(Address({roller!r}), timeout=10)
    client = connection.gatt_client
    await client.discover_services()
    await client.discover_characteristics([], None)
    (control,) = client.get_characteristics_by_uuid(gatt_client.UUID(codec.uuid_of("CONTROL")))
    await client.discover_descriptors(control)
    await client.subscribe(control, lambda _: os.kill(os.getpid(), signal.SIGSTOP))
    await client.write_value(control, codec.encode_request("PING", 1, b""), with_response=True)
    await asyncio.sleep(100)

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGSTOP")
def test_a_frozen_host_loses_its_link_and_the_next_one_is_served(monkeypatch):
    monkeypatch.setattr("bumble.gatt_server.GATT_REQUEST_TIMEOUT", 1.0)

    async def main():
        air, told = Air(), Heard()
        async with open_hub(air) as hub, open_peripheral(air, Device(seed=1), on_event=told.add) as roller:
            address = f"{hub.host}:{hub.port}"
            script = FROZEN.format(address=address, roller=roller.address)
            frozen = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await told.one(lambda text: text == "host gone (it did not confirm a response), advertising again")
                assert await session(address, 3) >= 3
                assert not roller.serving.done()
            finally:
                frozen.kill()
                await frozen.wait()

    asyncio.run(main())


def test_typed_lines_are_obeyed_and_mistakes_in_them_answered():
    with simulator("--devices", "2", "--scenario", "offline_log", stdin=subprocess.PIPE) as running:
        first, second = (running.line_with(", seed").split(",")[0] for _ in range(2))

        def typed(line, told):
            running.process.stdin.write(line + "\n")
            running.process.stdin.flush()
            return running.line_with(told)

        typed("help", "type a fault")
        typed("weak_signal 20", f"{first}: weak_signal distance_m=20 seconds=10")
        typed("2 press", f"{second}: button pressed for 0.2 s, offline log")
        typed("2 press", f"{second}: button pressed for 0.2 s, idle")
        typed("press hard", "? press takes the seconds")
        typed("3 reboot", "? there is no roller 3; there are 2")
        typed("link_loss", "? no host is connected")
        typed("nonsense", "? 'nonsense' is no fault; known are")
        typed("faults", Fault.RESPONSE_GARBAGE.usage)
        typed("quit", "ended")
        assert running.process.wait(PROMPT_S) == 0


def test_scenario_faults_happen_and_the_end_of_the_input_ends_nothing(tmp_path):
    plan = tmp_path / "plan.toml"
    plan.write_text('[[faults]]\nat_s = 0.3\nfault = "link_loss"\n[[faults]]\nat_s = 0.4\nfault = "bond_lost"\n')
    with simulator("--scenario", str(plan)) as running:
        assert asyncio.run(session(running.address, 30)) >= 30
        running.line_with(": link_loss")
        running.line_with(": bond_lost")
        assert running.process.poll() is None


def test_it_ends_by_itself_after_the_time_asked_for():
    with simulator("--seconds", "0.2") as running:
        assert running.process.wait(PATIENCE_S) == 0


def test_garbage_on_the_port_harms_nobody():
    with simulator() as running:
        host, port = running.address.split(":")
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x01\x03\x0c\x05abcde", b"\x02\xff\xff\x04\x00abcd", b"\x01"):
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(garbage)
        assert asyncio.run(session(running.address, 3)) >= 3
        running.process.terminate()
        running.process.wait(PATIENCE_S)
        assert "Traceback" not in running.end()


def test_a_port_in_use_is_one_line_and_exit_2(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        assert cli.main(["run", "--listen", address]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{address}: address already in use" in error


@pytest.mark.parametrize(
    "arguments",
    ["--listen nonsense", "--listen host:99999", "--seed -1", "--seconds 0", "--seconds nan", "surplus"],
)
def test_bad_input_is_exit_2(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        cli.main(["run", *arguments.split()])
    assert error.value.code == 2
    assert "roller-sim" in capsys.readouterr().err


def test_a_missing_bumble_names_the_extra(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith(("bumble", "simulator."))]:
        monkeypatch.delitem(sys.modules, name)
        if name.startswith("simulator."):
            monkeypatch.delattr(name, raising=False)
    monkeypatch.setitem(sys.modules, "bumble", None)
    assert cli.main(["run"]) == 2
    assert "pip install '.[sim]'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_is_light(arguments):
    script = (
        "import sys\nfrom simulator.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'bumble', 'bleak', 'PySide6'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert "usage: roller-sim" in done.stdout
