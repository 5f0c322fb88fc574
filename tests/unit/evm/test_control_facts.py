"""Who controls an account, out of its code and storage alone."""

from __future__ import annotations

import itertools

import pytest

from connectors.base import Address, Control
from connectors.evm import control_facts as facts
from connectors.evm.control_facts import Question, control_of

ACCOUNT = Address("0x" + "5a" * 20)
ALICE, BOB, CAROL, FOREIGN = (f"0x{letter * 20}" for letter in ("a1", "b2", "c3", "d4"))
CODE = "0x6001"


class Storage:
    """An account with this code; `asked` is what it took to tell."""

    def __init__(self, code: str = CODE, **slots: str | int) -> None:
        self.code = code
        self.words: dict[int, int] = {}
        self.calls: dict[str, str] = {}
        self.rounds = 0

    def put(self, slot: int, value: str | int) -> Storage:
        self.words[slot] = int(value, 16) if isinstance(value, str) else value
        return self

    def linked(self, slot: int, *members: str) -> Storage:
        around = [facts.SENTINEL, *(int(one, 16) for one in members), facts.SENTINEL]
        for here, there in itertools.pairwise(around):
            self.put(facts._entry(slot, here), there)
        return self

    def safe(self, *owners: str, threshold: int = 1, count: int | None = None) -> Storage:
        self.put(facts.SINGLETON, FOREIGN).put(facts.THRESHOLD, threshold)
        return self.put(facts.COUNT, len(owners) if count is None else count).linked(facts.OWNERS, *owners)

    def control(self) -> Control:
        told: dict[Question, str] = {}
        while not isinstance(found := control_of(ACCOUNT, told), Control):
            assert found
            self.rounds += 1
            told |= {one: self._answer(one) for one in found}
        return found

    def told(self) -> tuple[str, dict[str, list[str]]]:
        control, named = self.control(), dict[str, list[str]]()
        for name, value in control.facts:
            named.setdefault(name, []).append(value)
        return control.kind, named

    def _answer(self, question: Question) -> str:
        if question.method == "eth_getCode":
            return self.code
        if question.method == "eth_call":
            return self.calls.get(question.address, "0x")
        return f"0x{self.words.get(question.slot, 0):064x}"


def test_an_account_without_code_takes_one_question() -> None:
    storage = Storage("0x")
    assert (storage.control(), storage.rounds) == (Control(ACCOUNT, "single", ()), 1)


def test_a_delegate_is_the_address_behind_the_mark() -> None:
    assert Storage("0xef0100" + FOREIGN[2:]).told() == ("delegated", {"delegate": [FOREIGN]})


def test_a_contract_of_which_no_more_is_known_has_the_hash_of_its_code() -> None:
    kind, found = Storage().told()
    assert (kind, list(found)) == ("contract", ["code"])
    assert Storage("0x6002").told()[1] != found


@pytest.mark.parametrize(
    ("slot", "published"),
    [
        (facts.PROXY_SLOTS["implementation"][0], "360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"),
        (facts.PROXY_SLOTS["implementation"][1], "c5f16f0fcc639fa48a6947836d9850f504798523bf8c9a3a87d5876cf622bcf7"),
        (facts.PROXY_SLOTS["implementation"][2], "7050c9e0f4ca769c69bd3a8ef740bc37934f8e2c036e5a723fd8ee048ed3f8c3"),
        (facts.PROXY_SLOTS["admin"][0], "b53127684a568b3173ae13b9f8a6016e243e63b6e8ee1178d6a717850b5d6103"),
        (facts.BEACON, "a3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6cb3582b35133d50"),
        (facts.GUARD, "4a204f620c8c5ccdca3fd54d003badd85ba500436a431f0cbda4f558c93c34c8"),
        (facts.MODULE_GUARD, "b104e0b93118902c651344349b610029d694cfdec91c589c91ebafbcd0289947"),
        (facts.FALLBACK_HANDLER, "6c9a6c4a39284e37ed1cf53d337577d14212a4870fb976a4366c693b939918d5"),
    ],
)
def test_slots_are_those_that_are_published(slot: int, published: str) -> None:
    """EIP-1967, EIP-1822, zos-lib's UpgradeabilityProxy.sol, Safe's libraries/StorageSlots.sol."""
    assert f"{slot:064x}" == published


@pytest.mark.parametrize(
    ("name", "slot"), [(name, slot) for name, slots in facts.PROXY_SLOTS.items() for slot in slots]
)
def test_each_slot_of_a_proxy_is_told(name: str, slot: int) -> None:
    kind, found = Storage().put(slot, FOREIGN).told()
    assert (kind, found[name]) == ("proxy", [FOREIGN])


def test_a_beacon_is_asked_for_what_the_proxy_runs() -> None:
    storage = Storage().put(facts.BEACON, FOREIGN)
    storage.calls[FOREIGN] = f"0x{int(ALICE, 16):064x}"
    assert storage.told()[1]["beacon_implementation"] == [ALICE]
    del storage.calls[FOREIGN]
    assert storage.told()[1]["beacon_implementation"] == [""]


def test_a_safe_is_told_with_its_lists_in_the_order_of_addresses() -> None:
    storage = Storage().safe(CAROL, ALICE, BOB, threshold=2).linked(facts.MODULES, FOREIGN).put(facts.NONCE, 7)
    kind, found = storage.put(facts.GUARD, BOB).told()
    found.pop("code")
    assert kind == "safe"
    assert found == {
        "singleton": [FOREIGN],
        "threshold": ["2"],
        "owner": [ALICE, BOB, CAROL],
        "module": [FOREIGN],
        "guard": [BOB],
        "nonce": ["7"],
    }


def test_a_plain_account_that_delegates_to_a_safe_is_one() -> None:
    storage = Storage("0xef0100" + FOREIGN[2:]).safe(ALICE)
    kind, found = storage.told()
    assert (kind, found["delegate"], found["owner"]) == ("safe", [FOREIGN], [ALICE])


@pytest.mark.parametrize(
    "broken",
    [
        Storage().safe(ALICE, threshold=0),
        Storage().safe(ALICE, threshold=2),
        Storage().safe(ALICE, count=2),
        Storage().safe(ALICE, BOB).put(facts._entry(facts.OWNERS, int(BOB, 16)), 0),
        Storage().safe(ALICE).put(facts.SINGLETON, 0),
        Storage().safe(ALICE).put(facts.SINGLETON, 1 << 160),
    ],
    ids=["nobody need sign", "more than can", "an owner too few", "a list cut off", "no singleton", "no address"],
)
def test_what_is_not_laid_out_as_a_safe_is_none(broken: Storage) -> None:
    assert broken.control().kind == "contract"


def test_a_list_that_goes_round_in_circles_comes_to_an_end() -> None:
    storage = Storage().safe(ALICE, BOB).put(facts._entry(facts.OWNERS, int(BOB, 16)), ALICE)
    assert storage.control().kind == "contract"
    assert storage.rounds <= facts.MOST_LINKED + 4


def test_of_a_longer_list_as_many_as_are_read_are_told() -> None:
    owners = [f"0x{0xA000 + number:040x}" for number in range(facts.MOST_LINKED + 20)]
    kind, found = Storage().safe(*owners).told()
    assert (kind, len(found["owner"])) == ("safe", facts.MOST_LINKED)
