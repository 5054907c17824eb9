"""Lists: search, sort and page live in the address."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlencode

from multidict import MultiMapping

PAGE_SIZES: Final = (25, 50, 100)
MAX_PAGE: Final = 10_000
MAX_SEARCH_CHARS: Final = 100


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list as the address asks for it."""

    path: str
    query: dict[str, str]
    search: str
    sort: str
    descending: bool
    number: int
    size: int
    total: int = 0

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.number - 1) * self.size

    @property
    def first(self) -> int:
        """The number of the first row shown."""
        return min(self.offset + 1, self.total)

    @property
    def last(self) -> int:
        """The number of the last row shown."""
        return min(self.offset + self.size, self.total)

    @property
    def has_next(self) -> bool:
        """Whether there are more."""
        return self.last < self.total

    def of(self, total: int) -> "Page":
        """The page of a list with this many rows."""
        return Page(self.path, self.query, self.search, self.sort, self.descending, self.number, self.size, total)

    def url(self, **changes: str | int | None) -> str:
        """The address with these changes, None taking a part out; anything but another page begins at page 1."""
        values: dict[str, str] = dict(self.query)
        if "page" not in changes:
            values.pop("page", None)
        for name, value in changes.items():
            if value is None or value == "":
                values.pop(name, None)
            else:
                values[name] = str(value)
        return f"{self.path}?{urlencode(values)}" if values else self.path

    def sort_url(self, name: str) -> str:
        """Sort by this column, or turn its order round."""
        turned = self.sort == name and not self.descending
        return self.url(sort=name, dir="desc" if turned else None)

    def aria(self, name: str) -> str:
        """The column's `aria-sort`, empty where the list is not sorted by it."""
        if self.sort != name:
            return ""
        return "descending" if self.descending else "ascending"


def one_of(kind: type[StrEnum], text: str | None) -> str | None:
    """The address's word where it is one of these, else None: what cannot be understood filters nothing."""
    return text if text in {item.value for item in kind} else None


def page_of(path: str, query: MultiMapping[str], *, sorts: tuple[str, ...], size: int = 25) -> Page:
    """What the address asks for; what cannot be understood is the default."""
    number = query.get("page", "1")
    chosen = query.get("size", "")
    sort = query.get("sort", sorts[0])
    return Page(
        path=path,
        query={name: value[:MAX_SEARCH_CHARS] for name, value in query.items()},
        search=query.get("q", "").strip()[:MAX_SEARCH_CHARS],
        sort=sort if sort in sorts else sorts[0],
        descending=query.get("dir") == "desc",
        number=min(int(number), MAX_PAGE) if number.isascii() and number.isdigit() and int(number) else 1,
        size=int(chosen) if chosen in {str(each) for each in PAGE_SIZES} else size,
    )
