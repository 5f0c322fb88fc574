"""Values that are made by the thousand: to whoever only reads them as the frozen ones."""

from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from daemon.value import value


@value
class Fast:
    name: str
    units: int = 0
    parts: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    units: int = 0
    parts: tuple[str, ...] = field(default=())


def test_it_is_equal_hashed_and_copied_as_a_frozen_one_is() -> None:
    one, same, other = Fast("a", 1), Fast("a", units=1), replace(Fast("a", 1), units=2)
    assert one == same != other
    assert len({one, same, other}) == 2
    assert hash(one) == hash(Frozen("a", 1))
    assert other.units == 2


def test_it_has_no_room_for_anything_but_its_fields() -> None:
    assert not hasattr(Fast("a"), "__dict__")
    assert Fast.__slots__ == Frozen.__slots__  # type: ignore[attr-defined]


def test_what_it_leaves_out_is_the_guard_at_run_time_alone() -> None:
    with pytest.raises(FrozenInstanceError):
        Frozen("a").name = "b"  # type: ignore[misc]
    one = Fast("a")
    one.name = "b"  # type: ignore[misc]  # mypy refuses it, which is what keeps it from being done
    assert one.name == "b"
