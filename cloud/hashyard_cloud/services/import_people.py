"""Whom a line of a file is about: a customer by e-mail address, or by a name that only one has."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from hashyard_cloud.errors import MalformedError
from hashyard_cloud.services.ports.customers import CustomerRow


@dataclass(frozen=True, slots=True)
class People:
    """The customers of a host, to be found by what stands in a cell."""

    by_email: dict[str, CustomerRow]
    by_name: dict[str, list[CustomerRow]]

    @classmethod
    def of(cls, rows: Sequence[CustomerRow]) -> "People":
        """Index them."""
        names: defaultdict[str, list[CustomerRow]] = defaultdict(list)
        for row in rows:
            names[row.name.casefold()].append(row)
        return cls({row.email.casefold(): row for row in rows}, dict(names))

    def find(self, text: str) -> CustomerRow:
        """The customer; raises `MalformedError` with field `customer`."""
        key = text.casefold()
        named = self.by_name.get(key, [])
        if key in self.by_email:
            return self.by_email[key]
        if len(named) == 1:
            return named[0]
        if named:
            raise MalformedError(f"Several customers are called {text[:60]!r}; give the e-mail.", field="customer")
        raise MalformedError(f"There is no customer {text[:60]!r}.", field="customer")


def day(text: str, field: str) -> date:
    """`2026-03-18`; raises `MalformedError` that names the field."""
    try:
        found = date.fromisoformat(text) if len(text) == len("2026-03-18") else None
    except ValueError:
        found = None
    if found is None or not 2000 <= found.year < 2100:
        raise MalformedError("Write the day as 2026-03-18.", field=field)
    return found
