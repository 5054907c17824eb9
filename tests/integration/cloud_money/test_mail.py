"""Mail over a real SMTP server: acceptance becomes the notice's delivery, refusals and outages do not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import SMTP, Envelope, Session

from hashyard_cloud.adapters.smtp import SmtpTransport
from hashyard_cloud.services.emails import MAX_ATTEMPTS, Postman
from hashyard_cloud.services.ports.emails import EmailRow, EmailState
from hashyard_cloud.settings import SmtpSettings
from hashyard_support.money import Host, S


class Server:
    """Answers what the test says and keeps what it accepted."""

    def __init__(self) -> None:
        self.recipient_answer = "250 OK"
        self.messages: list[Envelope] = []

    async def handle_RCPT(  # noqa: N802 - the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(  # noqa: N802 - as above
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        self.messages.append(envelope)
        return "250 queued as 4711"


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, int]]:
    handler = Server()
    controller = UnthreadedController(handler, hostname="127.0.0.1", port=0, loop=asyncio.get_running_loop())
    made = await asyncio.get_running_loop().create_server(controller._factory_invoker, "127.0.0.1", 0)
    async with made:
        yield handler, made.sockets[0].getsockname()[1]


def postman(host: Host, port: int) -> Postman:
    settings = SmtpSettings(
        host="127.0.0.1", port=port, starttls=False, sender="host@caprock.example", timeout_s=5
    )
    return Postman(host.database, host.clock, SmtpTransport(settings, "127.0.0.1"))


async def mails(host: Host) -> list[EmailRow]:
    async with host.database.reading() as tx:
        return await tx.emails.all(host.org, 100)


async def test_acceptance_is_recorded_at_mail_and_notice(host: Host, server: tuple[Server, int]) -> None:
    handler, port = server
    invoice = await host.invoice()
    assert await postman(host, port).run() == 1
    assert await postman(host, port).run() == 0
    sent = handler.messages[0]
    assert sent.rcpt_tos == ["ops@llanoridge.example"]
    assert isinstance(sent.content, bytes)
    assert invoice.number.encode() in sent.content
    (row,) = await mails(host)
    assert (row.state, row.accepted_us) == (EmailState.ACCEPTED, host.clock.now_us())
    assert "queued as 4711" in row.reply
    async with host.database.reading() as tx:
        (notice,) = await tx.notices.all(host.org)
    assert notice.accepted_us == host.clock.now_us()
    assert "queued as 4711" in notice.reply


async def test_a_refused_address_fails_for_good(host: Host, server: tuple[Server, int]) -> None:
    handler, port = server
    handler.recipient_answer = "550 no such user"
    await host.invoice()
    await postman(host, port).run()
    (row,) = await mails(host)
    assert row.state is EmailState.FAILED
    assert "550 no such user" in row.reply
    async with host.database.reading() as tx:
        assert (await tx.notices.all(host.org))[0].accepted_us is None


@pytest.mark.parametrize("outage", ["later", "down"])
async def test_an_outage_is_tried_again_later_and_not_for_ever(
    host: Host, server: tuple[Server, int], outage: str
) -> None:
    handler, port = server
    handler.recipient_answer = "451 try later"
    if outage == "down":
        port = 1
    await host.invoice()
    man = postman(host, port)
    await man.run()
    (row,) = await mails(host)
    assert (row.state, row.attempts) == (EmailState.QUEUED, 1)
    assert row.due_us > host.clock.now_us()
    assert await man.run() == 0
    for _ in range(MAX_ATTEMPTS):
        host.clock.pass_s(3_601)
        await man.run()
    (row,) = await mails(host)
    assert (row.state, row.attempts) == (EmailState.FAILED, MAX_ATTEMPTS)


async def test_without_a_server_mails_land_in_the_mailbox_and_prove_nothing(host: Host) -> None:
    await host.invoice()
    await Postman(host.database, host.clock, None).run()
    (row,) = await mails(host)
    assert row.state is EmailState.MAILBOX
    async with host.database.reading() as tx:
        notice = (await tx.notices.all(host.org))[0]
    assert notice.delivery.delivered_at_us(0, host.clock.now_us() + S) is None


async def test_a_mail_that_is_being_sent_is_not_sent_by_another_process(
    host: Host, server: tuple[Server, int]
) -> None:
    handler, port = server
    await host.invoice()
    done: list[Any] = await asyncio.gather(*(postman(host, port).run() for _ in range(4)))
    assert sum(done) == 1
    assert len(handler.messages) == 1
