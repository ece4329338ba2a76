"""Who lies where only the whole has a checksum: places compared, the many against the few."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

import pytest

from thunderdl.core.hunting import (
    CHUNK_BYTES,
    MOST_VOTES,
    PLACE_BYTES,
    PLACES_EACH,
    Hunt,
    Place,
    everything,
    samples,
)

KIB, MIB = 1024, 1024 * 1024
Says = Callable[[int, Place], bytes | None]


def shared_out(size: int, sources: int, *, seed: int = 1, lease: int = 512 * KIB) -> dict[int, list[tuple[int, int]]]:
    """A file that so many sources brought, in leases."""
    chosen = random.Random(seed)
    parts: dict[int, list[tuple[int, int]]] = {source: [] for source in range(1, sources + 1)}
    for start in range(0, size, lease):
        parts[chosen.randint(1, sources)].append((start, min(start + lease, size)))
    return {source: part for source, part in parts.items() if part}


def played(places: Iterable[Place], sources: Iterable[int], says: Says) -> tuple[Hunt, int]:
    """The hunt to its end, each source asked in turn; and how many bytes were asked for."""
    hunt = Hunt([(place, says(place.owner, place) or b"") for place in places])
    return hunt, played_on(hunt, sources, says)


def played_on(hunt: Hunt, sources: Iterable[int], says: Says) -> int:
    asked, going = 0, True
    while going:
        going = False
        for source in sources:
            if (place := hunt.next_for(source)) is not None:
                hunt.answer(source, place, says(source, place))
                asked, going = asked + place.end - place.start, True
    hunt.end()
    return asked


def lying(liars: Iterable[int], *, alike: bool = False) -> Says:
    """Liars say something of their own, or all of them the same, at each place."""
    them = set(liars)
    return lambda source, place: (b"wrong" if alike else b"wrong %d" % source) if source in them else b"right"


@pytest.mark.parametrize("alike", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_five_wrong_of_forty_are_found_for_a_few_places(seed: int, alike: bool) -> None:
    parts = shared_out(100 * MIB, 40, seed=seed)
    liars = random.Random(seed).sample(sorted(parts), 5)
    hunt, asked = played(samples(parts), sorted(parts), lying(liars, alike=alike))
    found = hunt.suspects & set(liars)
    # Two of one mind may believe each other at a place, or outvote one: then others bring what was right already.
    assert len(found) >= (3 if alike else 5)
    assert len(hunt.suspects) <= (8 if alike else 5)
    assert asked < 10 * MIB


def test_of_those_who_agree_nobody_is_suspected() -> None:
    parts = shared_out(20 * MIB, 10)
    hunt, asked = played(everything(parts), sorted(parts), lying([]))
    assert not hunt.suspects
    assert hunt.all_agree
    assert asked == 20 * MIB, "the file once more, and no byte twice"


def test_one_wrong_place_is_found_where_everything_is_compared() -> None:
    parts = shared_out(20 * MIB, 10)
    start, end = parts[3][-1]

    def says(source: int, place: Place) -> bytes:
        return b"wrong" if source == 3 and place.start <= (start + end) // 2 < place.end else b"right"

    hunt, asked = played(everything(parts), sorted(parts), says)
    assert hunt.suspects == {3}
    assert asked == 20 * MIB + 2 * CHUNK_BYTES, "one place was asked of two more"
    assert not hunt.all_agree


def test_who_is_asked_may_be_the_one_who_lies() -> None:
    place = Place(0, KIB, owner=1)
    hunt, _ = played([place], [2, 3, 4], lying([2]))
    assert hunt.suspects == {2}
    assert [(each.source, each.place, each.digest) for each in hunt.lost] == [(2, place, b"wrong 2")]
    assert hunt.all_agree, "what is there is right"


def test_two_who_lie_alike_and_were_asked_about_each_other_are_found_by_asking_further() -> None:
    places = [Place(at * KIB, (at + 1) * KIB, owner=1 + at % 6) for at in range(12)]

    def says(source: int, place: Place) -> bytes:
        return b"wrong" if source in (1, 2) and place.start == 0 else b"right"

    sources = [2, 1, 3, 4, 5, 6]
    hunt, asked = played(places, sources, says)
    assert hunt.all_agree
    assert asked == 12 * KIB
    hunt.ask_further()
    asked = played_on(hunt, sources, says)
    assert hunt.suspects == {1, 2}
    assert asked == (12 + 2) * KIB, "one more of each place, and three of the one that two disagree about"


def test_where_all_agree_asking_further_ends_with_three_of_one_mind() -> None:
    parts = shared_out(20 * MIB, 10)
    hunt, _ = played(everything(parts), sorted(parts), lying([]))
    hunt.ask_further()
    assert played_on(hunt, sorted(parts), lying([])) == 20 * MIB
    assert hunt.all_agree
    assert not hunt.suspects


@pytest.mark.parametrize("seed", range(20))
def test_two_who_lie_alike_do_not_outvote_the_others_of_five(seed: int) -> None:
    chosen = random.Random(seed)
    sources = chosen.sample(range(1, 6), 5)
    parts = shared_out(20 * MIB, 5, seed=seed)
    hunt, _ = played(samples(parts), sources, lying([1, 2], alike=True))
    assert hunt.suspects <= {1, 2}
    hunt, _ = played(everything(parts), sources, lying([1, 2], alike=True))
    assert hunt.suspects == {1, 2}


def test_what_two_alone_agree_about_is_not_agreed_by_three() -> None:
    """The others did not answer: nobody is suspected, and the checksum is not called wrong."""
    hunt, _ = played([Place(0, KIB, owner=1)], [2, 3], lambda source, place: None if source == 3 else b"right")
    assert hunt.all_agree
    hunt.ask_further()
    played_on(hunt, [2, 3], lambda source, place: None)
    assert not hunt.suspects
    assert not hunt.all_agree


def test_of_three_two_decide_once_nobody_is_left_to_ask() -> None:
    hunt, asked = played([Place(0, KIB, owner=1)], [2, 3], lying([1]))
    assert (hunt.suspects, asked) == ({1}, 2 * KIB)


def test_who_is_suspected_is_asked_no_more() -> None:
    hunt = Hunt([(Place(at * KIB, (at + 1) * KIB, owner=1), b"right") for at in range(4)])
    for source, said in ((2, b"wrong"), (3, b"right"), (5, b"right")):
        place = hunt.next_for(source)
        assert place is not None
        hunt.answer(source, place, said)
        if source == 2:
            # The place is asked of the third, behind those that nobody was asked for.
            for _ in range(3):
                other = hunt.next_for(4)
                assert other is not None
                hunt.answer(4, other, b"right")
    assert hunt.suspects == {2}
    assert hunt.next_for(2) is None


def test_a_place_is_asked_of_one_at_a_time_and_of_nobody_twice() -> None:
    hunt = Hunt([(place := Place(0, KIB, owner=1), b"right")])
    assert hunt.next_for(1) is None, "its owner has said it"
    assert hunt.next_for(2) == place
    asking = hunt.is_asking
    assert hunt.next_for(3) is None, "it is being asked"
    hunt.answer(2, place, b"wrong")
    assert (asking, hunt.is_asking) == (True, False)
    assert hunt.next_for(2) is None, "it has said it"
    assert hunt.next_for(3) == place


def test_one_against_one_is_no_proof_and_silence_is_none_either() -> None:
    hunt, _ = played([Place(0, KIB, owner=1)], [2], lying([2]))
    assert not hunt.suspects
    assert not hunt.all_agree
    hunt, _ = played([Place(0, KIB, owner=1)], [2, 3], lambda source, place: b"right" if source == 1 else None)
    assert not hunt.suspects
    assert not hunt.all_agree


def test_where_everybody_says_something_else_it_ends() -> None:
    said: list[int] = []

    def says(source: int, place: Place) -> bytes:
        said.append(source)
        return b"%d" % source

    hunt, _ = played([Place(0, KIB, owner=1)], range(2, 20), says)
    assert len(set(said)) == MOST_VOTES
    assert not hunt.suspects


def test_samples_lie_in_what_their_owners_brought() -> None:
    for seed in range(20):
        parts = shared_out(9 * MIB + 12345, 7, seed=seed, lease=100 * KIB + 7)
        places = samples(parts)
        for place in places:
            assert any(start <= place.start < place.end <= end for start, end in parts[place.owner])
            assert place.end - place.start <= PLACE_BYTES
        assert {place.owner for place in places} == set(parts)
        assert len(places) <= PLACES_EACH * len(parts)
    assert samples({1: [(0, 100)]}) == [Place(0, 100, 1)], "not the same place twice"


def test_everything_is_every_byte_once() -> None:
    parts = shared_out(5 * MIB + 77, 3, lease=300 * KIB)
    at = 0
    for place in everything(parts):
        assert place.start == at
        assert 0 < place.end - place.start <= CHUNK_BYTES
        at = place.end
    assert at == 5 * MIB + 77
