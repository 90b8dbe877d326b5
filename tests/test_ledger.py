# SPDX-License-Identifier: MIT
"""Which packets are missing, against plain sets of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from roller_host.signal.ledger import FARTHEST, Ledger

NUMBERS = st.integers(0, 40)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), NUMBERS, st.just(0)),
        st.tuples(st.just("reach"), NUMBERS, st.just(0)),
        st.tuples(st.just("give_up"), NUMBERS, NUMBERS),
    ),
    max_size=60,
)


@given(ACTS)
def test_what_is_missing_is_what_was_made_and_neither_came_nor_is_given_up(acts):
    ledger = Ledger()
    here, gone, newest, n_duplicates = set(), set(), -1, 0
    for act, a, b in acts:
        if act == "add":
            assert ledger.add(a) == (a not in here)
            n_duplicates += a in here
            here.add(a)
            gone.discard(a)
            newest = max(newest, a)
        elif act == "reach":
            assert ledger.reach(a)
            newest = max(newest, a)
        else:
            ledger.give_up(a, b)
            gone |= set(range(a, min(b, newest) + 1)) - here
        missing = ledger.missing()
        assert {seq for first, last in missing for seq in range(first, last + 1)} == set(
            range(newest + 1)
        ) - here - gone
        assert all(first <= last for first, last in missing)
        assert all(after[0] > before[1] + 1 for before, after in pairwise(missing))
        assert (ledger.n_packets, ledger.n_gone, ledger.newest) == (len(here), len(gone), newest)
        assert ledger.n_duplicates == n_duplicates


def test_a_number_from_nowhere_does_not_make_everything_before_it_missing():
    ledger = Ledger()
    ledger.add(0)
    assert not ledger.add(FARTHEST + 2)
    assert ledger.missing() == []
    assert ledger.add(FARTHEST + 1)
    assert ledger.missing() == [(1, FARTHEST)]
