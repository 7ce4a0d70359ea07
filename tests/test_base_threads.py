"""Threads: every part is done once, in whatever thread, and errors reach the caller."""

import threading

import pytest

from simulator.base import threads


@pytest.fixture(autouse=True)
def _restored():
    before = threads.get_threads()
    yield
    threads.set_threads(before)


def cut(start: int, stop: int) -> tuple[int, int]:
    return start, stop


@pytest.mark.parametrize("count", [1, 2, 3])
def test_slabs_cover_the_range_in_order(count):
    threads.set_threads(count)
    assert threads.over_slabs(cut, 10, slab=4) == [(0, 4), (4, 8), (8, 10)]
    found = threads.over_slabs(cut, 7)
    assert found[0][0] == 0 and found[-1][1] == 7
    assert all(one[1] == other[0] for one, other in zip(found, found[1:], strict=False))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_items_are_done_once_each_and_may_use_slabs_themselves(count):
    """More items than threads, each of which asks for threads: nobody waits for a thread that waits."""
    threads.set_threads(count)
    done = {}
    threads.over_items(lambda item: done.__setitem__(item, threads.over_slabs(cut, 10, slab=4)), range(8))
    assert done == dict.fromkeys(range(8), [(0, 4), (4, 8), (8, 10)])


def test_items_are_done_at_once():
    threads.set_threads(2)
    both = threading.Barrier(2, timeout=30)
    threads.over_items(lambda _: both.wait(), range(2))


@pytest.mark.parametrize("count", [1, 2])
def test_what_goes_wrong_with_an_item_reaches_the_caller(count):
    threads.set_threads(count)

    def refuse(item: int) -> None:
        if item == 1:
            raise ZeroDivisionError("item 1")

    with pytest.raises(ZeroDivisionError, match="item 1"):
        threads.over_items(refuse, range(4))
