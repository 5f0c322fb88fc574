"""The store's contract as tests: held by the real one on SQLite and PostgreSQL, and by the one in memory."""

from dataclasses import replace
from datetime import timedelta

from daemon.store import Outcome, Store, Tally
from tests.delivery_cases import NOON, firing, pending, resolved, told, verdict

HOUR = timedelta(hours=1)


class StoreCases:
    """Inherited by a class of tests in a module with a fixture `store`, which is empty."""

    async def test_an_empty_store_knows_nothing(self, store: Store) -> None:
        assert await store.findings() == ()
        assert await store.undelivered("am") == ()
        assert await store.tallies() == {}
        assert await store.resolved_since(NOON - 1000 * HOUR) == ()
        assert await store.prune(before=NOON) == 0

    async def test_open_findings_come_back_the_oldest_first(self, store: Store) -> None:
        young, old = pending("f1", since=NOON), firing("f2", since=NOON - HOUR)
        await store.record([young, old], [])
        assert await store.findings() == (old, young)

    async def test_a_finding_is_stored_in_its_newest_state(self, store: Store) -> None:
        await store.record([pending("f1")], [])
        newest = replace(firing("f1"), clear_since=NOON + HOUR, verdict=verdict("other"))
        await store.record([newest, firing("f2", since=NOON + HOUR)], [])
        assert await store.findings() == (newest, firing("f2", since=NOON + HOUR))

    async def test_the_last_of_several_states_in_one_record_stays(self, store: Store) -> None:
        await store.record([pending("f1"), firing("f1")], [])
        assert await store.findings() == (firing("f1"),)

    async def test_a_resolved_finding_leaves_for_the_history(self, store: Store) -> None:
        late, early = resolved(firing("f1"), at=NOON + 2 * HOUR), resolved(firing("f2"), at=NOON + HOUR)
        await store.record([firing("f1"), firing("f2")], [])
        await store.record([late, early], [])
        assert await store.findings() == ()
        assert await store.resolved_since(NOON) == (early, late)
        assert await store.resolved_since(NOON + 2 * HOUR) == (late,)

    async def test_a_pending_finding_that_went_away_is_forgotten(self, store: Store) -> None:
        """It never fired, so nobody was told of it and nobody will miss it."""
        await store.record([pending("f1")], [])
        await store.record([resolved(pending("f1"), at=NOON), resolved(pending("f2"), at=NOON)], [])
        assert await store.findings() == ()
        assert await store.resolved_since(NOON - HOUR) == ()

    async def test_recording_twice_is_recording_once(self, store: Store) -> None:
        for _ in range(2):
            await store.record([firing("f1")], [told(firing("f1"))])
        assert await store.findings() == (firing("f1"),)
        assert await store.undelivered("am") == (told(firing("f1")),)

    async def test_notifications_keep_the_order_in_which_they_were_recorded(self, store: Store) -> None:
        """Not that of their times or ids: the order of recording is the order of events."""
        items = [told(firing(f"f{n}"), at=NOON - n * HOUR) for n in (3, 1, 2)]
        await store.record([], items[:2])
        await store.record([], items[2:])
        assert await store.undelivered("am") == tuple(items)

    async def test_the_queue_can_be_read_in_parts(self, store: Store) -> None:
        items = [told(firing(f"f{n:04}")) for n in range(7)]
        await store.record([], items)
        assert await store.undelivered("am", limit=3) == tuple(items[:3])
        assert await store.undelivered("am", skip=3, limit=3) == tuple(items[3:6])
        assert await store.undelivered("am", skip=6, limit=3) == tuple(items[6:])

    async def test_each_sink_has_its_own_queue(self, store: Store) -> None:
        ours, theirs = told(firing("f1"), sink="a"), told(firing("f1"), sink="b")
        await store.record([], [ours, theirs])
        await store.record([], [], outcomes={ours.id: Outcome(NOON)})
        assert await store.undelivered("a") == ()
        assert await store.undelivered("b") == (theirs,)

    async def test_what_is_settled_is_not_handed_out_again(self, store: Store) -> None:
        first, second = told(firing("f1")), told(firing("f2"))
        await store.record([], [first, second])
        await store.record([], [], outcomes={first.id: Outcome(NOON)})
        assert await store.undelivered("am") == (second,)
        await store.record([], [first, second])
        assert await store.undelivered("am") == (second,)

    async def test_a_notification_can_be_stored_with_its_outcome(self, store: Store) -> None:
        """What was sent while the store was down comes to it as sent."""
        item = told(firing("f1"))
        await store.record([firing("f1")], [item], outcomes={item.id: Outcome(NOON)})
        assert await store.undelivered("am") == ()
        assert await store.tallies() == {"am": Tally(delivered=1)}

    async def test_the_first_outcome_stays(self, store: Store) -> None:
        item = told(firing("f1"))
        await store.record([], [item], outcomes={item.id: Outcome(NOON, "HTTP 400")})
        await store.record([], [], outcomes={item.id: Outcome(NOON)})
        assert await store.tallies() == {"am": Tally(refused=1)}

    async def test_an_outcome_of_something_unknown_does_nothing(self, store: Store) -> None:
        await store.record([], [], outcomes={"nobody": Outcome(NOON)})
        assert await store.tallies() == {}

    async def test_tallies_count_by_sink_and_outcome(self, store: Store) -> None:
        items = [told(firing(f"f{n}")) for n in range(4)]
        outcomes = {items[0].id: Outcome(NOON), items[1].id: Outcome(NOON, "HTTP 400")}
        await store.record([], [*items, told(firing("f0"), sink="b")], outcomes=outcomes)
        assert await store.tallies() == {"am": Tally(waiting=2, delivered=1, refused=1), "b": Tally(waiting=1)}

    async def test_pruning_forgets_what_is_over_and_old_and_nothing_else(self, store: Store) -> None:
        old, new = resolved(firing("f1"), at=NOON - HOUR), resolved(firing("f2"), at=NOON)
        sent, waiting = told(firing("f1")), told(firing("f2"))
        await store.record([old, new, firing("f3")], [sent, waiting], outcomes={sent.id: Outcome(NOON - HOUR)})
        assert await store.prune(before=NOON) == 2
        assert await store.resolved_since(NOON - 9 * HOUR) == (new,)
        assert await store.findings() == (firing("f3"),)
        assert await store.undelivered("am") == (waiting,)
        assert await store.tallies() == {"am": Tally(waiting=1)}

    async def test_a_sink_that_is_gone_can_be_dropped_by_name(self, store: Store) -> None:
        await store.record([firing("f1")], [told(firing("f1"), sink="gone"), told(firing("f1"))])
        assert await store.drop_sink("gone") == 1
        assert await store.drop_sink("gone") == 0
        assert set(await store.tallies()) == {"am"}

    async def test_a_thousand_findings_at_once_fit_into_a_statement(self, store: Store) -> None:
        findings = [firing(f"f{n:04}") for n in range(1100)]
        for _ in range(2):
            await store.record(findings, [told(finding) for finding in findings])
        await store.record([resolved(pending(finding.id), at=NOON) for finding in findings[:600]], [])
        assert len(await store.findings()) == 500
        assert len(await store.undelivered("am", limit=2000)) == 1100
