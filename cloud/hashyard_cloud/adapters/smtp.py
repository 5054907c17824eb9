"""Mail by SMTP."""

from email.message import EmailMessage
from email.policy import SMTP
from typing import Final

import aiosmtplib

from hashyard_cloud.services.emails import MailRefusedError, MailUnreachableError
from hashyard_cloud.services.ports.emails import EmailRow
from hashyard_cloud.settings import SmtpSettings

_TRANSIENT: Final = range(400, 500)


class SmtpTransport:
    """One connection a mail; implements `services.ports.emails.MailTransport`."""

    def __init__(self, settings: SmtpSettings, host: str) -> None:
        self._settings = settings
        self._host = host

    async def send(self, row: EmailRow) -> str:
        settings = self._settings
        try:
            _, reply = await aiosmtplib.send(
                _message(row, settings.sender),
                hostname=self._host,
                port=settings.port,
                username=settings.username,
                password=settings.password,
                start_tls=settings.starttls,
                timeout=settings.timeout_s,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            first = error.recipients[0]
            raise _failure(first.code, first.message) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _failure(error.code, error.message) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise MailUnreachableError(f"{self._host}:{settings.port}: {error}") from error
        return f"{self._host}: {reply}"


def _failure(code: int, message: str) -> MailRefusedError | MailUnreachableError:
    kind = MailUnreachableError if code in _TRANSIENT else MailRefusedError
    return kind(f"{code} {message}")


def _message(row: EmailRow, sender: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = row.to_address
    message["Subject"] = row.subject
    message["Message-ID"] = row.message_id
    message.set_content(row.body)
    return message
