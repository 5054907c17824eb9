"""The cloud's copy of the journal: whole, or known to be broken; its head in the customer's hands."""

import pytest

from hashyard_cloud.domain.dunning import NoticeKind
from hashyard_cloud.services.journal import verify
from hashyard_cloud.services.journal_heads import JournalHeads
from hashyard_cloud.services.ports.journal import JournalHeadRow
from hashyard_shared.events import JournalAppended
from hashyard_shared.journal import GENESIS, JournalLine, next_line
from hashyard_support.money import Host


def chain(count: int, first: int = 0, previous: str = GENESIS) -> list[JournalLine]:
    lines = []
    for index in range(first, first + count):
        line = next_line(index, previous, index, "read-back", {"unit_id": "unit-1"})
        previous = line.hash
        lines.append(line)
    return lines


async def append(host: Host, lines: list[JournalLine]) -> None:
    await host.event(JournalAppended(at_us=host.clock.now_us(), lines=lines))


async def head(host: Host) -> JournalHeadRow:
    async with host.database.reading() as tx:
        found = await tx.journal.head(host.org, "agent-1")
        assert found is not None
        assert await verify(tx, host.org, "agent-1") is None
    return found


async def test_lines_are_appended_in_pieces_and_again(host: Host) -> None:
    lines = chain(10)
    await append(host, lines[:4])
    await append(host, lines[2:7])
    await append(host, lines[:7])
    await append(host, lines[7:])
    found = await head(host)
    assert (found.lines, found.hash, found.broken_at) == (10, lines[-1].hash, None)


@pytest.mark.parametrize("what", ["missing", "edited", "rewritten"])
async def test_a_line_that_does_not_follow_is_seen_and_kept_in_view(host: Host, what: str) -> None:
    lines = chain(6)
    await append(host, lines[:3])
    if what == "missing":
        await append(host, lines[4:])
        broken_at = 3
    elif what == "edited":
        changed = lines[4].model_copy(update={"text": lines[4].text.replace("unit-1", "unit-2")})
        await append(host, [lines[3], changed, lines[5]])
        broken_at = 4
    else:
        other = next_line(2, lines[1].hash, 99, "read-back", {"unit_id": "unit-2"})
        await append(host, [other])
        broken_at = 2
    found = await head(host)
    assert found.broken_at == broken_at
    assert found.lines == (4 if what == "edited" else 3)
    assert "journal.broken" in await host.activity()
    await append(host, lines[3:])
    assert (await head(host)).broken_at == broken_at


async def test_the_head_is_published_once_a_day_and_mailed_to_customers_with_a_case(host: Host) -> None:
    heads = JournalHeads(host.database, host.clock)
    assert await heads.run() == 0
    lines = chain(5)
    await append(host, lines[:3])
    assert await heads.run() == 1
    assert await heads.run() == 0
    await host.to_case()
    host.clock.pass_s(86_400)
    await append(host, lines[3:])
    assert await heads.run() == 1
    async with host.database.reading() as tx:
        newest, first = await tx.journal.publications(host.org, host.customer)
        mails = [row for row in await tx.notices.all(host.org) if row.kind is NoticeKind.JOURNAL_HEAD]
    assert (first.lines, first.hash, first.notice_id) == (3, lines[2].hash, None)
    assert (newest.lines, newest.hash) == (5, lines[4].hash)
    assert [mail.notice_id for mail in mails] == [newest.notice_id]
    assert lines[4].hash in mails[0].body
