"""How workers share groups: whoever comes and goes, every group finds one worker, and nothing moves that need not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.groups.sharing import Plan, plan_for, share_of

NAMES = ("a@one:1", "b@two:2", "c@three:3", "d@four:4", "e@five:5")
GROUPS = st.sampled_from([1, 2, 4, 8, 16])


@given(st.dictionaries(st.sampled_from(NAMES), st.integers(0, 16), min_size=1), GROUPS)
def test_shares_add_up_to_all_groups_and_differ_by_one_at_most(held: dict[str, int], groups: int) -> None:
    shares = [share_of(name, held, groups) for name in held]
    assert sum(shares) == groups
    assert max(shares) - min(shares) <= 1


def settle(workers: list[str], holders: dict[int, str | None], *, looks_max: int = 200) -> int:
    """Let the workers look in turn until none takes or gives; return how many groups changed hands."""
    moved = 0
    for _ in range(looks_max):
        still = True
        for worker in workers:
            plan = plan_for(worker, workers, holders, frozenset())
            for group_no in plan.give_back:
                holders[group_no] = None
                still = False
            for group_no in plan.may_take:
                assert holders[group_no] is None
                holders[group_no] = worker
                moved += 1
                still = False
        if still:
            return moved
    raise AssertionError(f"they never come to rest: {holders}")


@given(GROUPS, st.lists(st.sampled_from(NAMES), min_size=1, max_size=12), st.data())
def test_workers_that_come_and_go_come_to_rest_with_equal_shares(
    groups: int, comings: list[str], data: st.DataObject
) -> None:
    holders: dict[int, str | None] = dict.fromkeys(range(groups))
    there: list[str] = []
    for name in comings:
        if name in there and len(there) > 1:
            there.remove(name)
            holders = {no: None if holder == name else holder for no, holder in holders.items()}
        elif name not in there:
            there.append(name)
        settle(data.draw(st.permutations(there)), holders)
        counts = [sum(holder == worker for holder in holders.values()) for worker in there]
        assert sum(counts) == groups
        assert max(counts) - min(counts) <= 1


@given(GROUPS)
def test_one_that_comes_moves_no_more_than_its_share(groups: int) -> None:
    holders: dict[int, str | None] = dict.fromkeys(range(groups), NAMES[1])
    assert settle([NAMES[1], NAMES[0]], holders) == groups // 2


def test_what_nobody_takes_is_taken_against_the_shares() -> None:
    # The other one is there, and does not take what it should: it hangs.
    holders: dict[int, str | None] = {0: NAMES[0], 1: None}
    assert plan_for(NAMES[0], [NAMES[0], NAMES[1]], holders, frozenset()) == Plan()
    assert plan_for(NAMES[0], [NAMES[0], NAMES[1]], holders, frozenset({1})).may_take == {1}
