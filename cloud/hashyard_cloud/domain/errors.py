"""What a rule of the business says no to.

DomainError
├── CurrencyMismatchError    two amounts of different currencies
├── AmountError              an amount, quantity or duration cannot be read or used
├── LedgerError              an entry cannot be reversed
├── InvoiceStateError        the invoice is not in a state that allows this
└── CaseStateError           the default case is not in a state that allows this
"""

from hashyard_cloud.errors import CloudError
from hashyard_shared.errors import ErrorCode


class DomainError(CloudError):
    """A rule of the business does not allow this."""

    code = ErrorCode.CONFLICT
    status = 409


class CurrencyMismatchError(DomainError):
    """Amounts of different currencies cannot be added or compared."""


class AmountError(DomainError):
    """An amount, quantity or duration cannot be read or used."""

    code = ErrorCode.MALFORMED
    status = 422


class LedgerError(DomainError):
    """A ledger entry can be reversed once, and a reversal not at all."""


class InvoiceStateError(DomainError):
    """The invoice is not in a state that allows this."""


class CaseStateError(DomainError):
    """The default case is not in a state that allows this."""
