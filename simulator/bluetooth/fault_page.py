# SPDX-License-Identifier: MIT
"""The page about faults, docs/faults.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.bluetooth.faults import Fault

_HEAD: Final = """\
# Faults

What the simulated roller can suffer. A running `roller-sim run` takes one fault a line on its standard input, with the
arguments in order or by name:

```
out_of_range 5
lost_notifications share=0.2 seconds=30
```

With several rollers, a number in front names one: `2 reboot`. Beside the faults it takes `press 3`, which holds the
button for 3 s, `help` and `quit`.

A scenario names the moment as well:

```toml
[[faults]]
at_s = 12.0
fault = "link_loss"
seconds = 3
```

In Python: `simulator.bluetooth.faults.inject(peripheral, Fault.LINK_LOSS, seconds=3)`. Faults that last end by
themselves; one on top of another of its kind takes its place, and the later one says when it ends. Each one is proven
by a test in `tests/test_faults.py`, through bleak and nothing else. This page is printed by
`python -m simulator.bluetooth.faults`.

| Fault, with its defaults | Units | What happens | What a bleak client sees | Test |
|---|---|---|---|---|
"""


def page(faults: Iterable[Fault]) -> str:
    """Text of docs/faults.md."""
    rows = [
        (
            f"`{fault.usage}`",
            ", ".join(f"{each.name}: {each.unit}" for each in fault.value.arguments) or "-",
            fault.value.happens,
            fault.value.seen,
            f"`{fault.test}`",
        )
        for fault in faults
    ]
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)
