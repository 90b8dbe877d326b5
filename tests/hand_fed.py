# SPDX-License-Identifier: MIT
"""A dashboard that a test feeds by hand: a session that remembers what it was asked, and a clock that stands still."""

from collections import deque

from roller_host.dashboard.session import RollerChoice, Standing

SIMULATED = RollerChoice("demo", "Simulated roller", "A whole face.", simulated=True, scenario="practised")
LOSSES = RollerChoice("demo:link_losses", "Simulated roller", "Breaks.", simulated=True, scenario="link_losses")
REAL = RollerChoice("C0:FF", "Roller-3F2A", seen_s=99.0, rssi_dbm=-58)


class Session:
    """A feed that a test fills by hand and that remembers what it was asked."""

    def __init__(self, *choices, offer=None):
        self.mailbox = deque(maxlen=1000)
        self.asked = []
        self._choices, self._offer = choices or (SIMULATED, REAL), offer

    def choices(self):
        return self._choices

    def interrupted(self):
        return self._offer

    def scan(self):
        self.asked.append("scan")

    def connect(self, choice):
        self.asked.append(choice)

    def go_on(self, offer):
        self.asked.append(("go on", offer))

    def leave_it(self, offer):
        self.asked.append(("leave it", offer))

    def identify(self, choice):
        self.asked.append(("identify", choice))

    def rename(self, choice, name):
        self.asked.append(("rename", choice, name))

    def forget(self, choice):
        self.asked.append(("forget", choice))

    def pair_again(self, choice):
        self.asked.append(("pair again", choice))

    def connect_at_start(self, choice):
        self.asked.append(("at start", choice))

    def type_passkey(self, passkey):
        self.asked.append(("passkey", passkey))

    def mute(self, on):
        self.asked.append(("mute", on))

    def warn_of_limits(self, on):
        self.asked.append(("warn of limits", on))

    def standing(self, flow):
        return Standing(f"{flow.value} stands", "good")

    def people(self):
        return ["Ada", "Bo"]

    def person(self):
        return "Ada"

    def set_person(self, name):
        self.asked.append(("person", name))

    def start_guide(self, flow):
        self.asked.append(("guide", flow))

    def act(self, key, value=""):
        self.asked.append(("act", key, value))

    def leave_guide(self):
        self.asked.append("leave guide")

    def ask_feel(self):
        self.asked.append("ask feel")

    def feel(self, answers):
        self.asked.append(("feel", answers))

    def disconnect(self):
        self.asked.append("disconnect")

    def close(self):
        self.asked.append("close")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now_s=100.0):
        self.now_s = now_s

    def __call__(self):
        return self.now_s
