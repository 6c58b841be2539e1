"""Pages of long lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

# Counting a whole log, for the sake of a number, would cost more than showing a page of it.
COUNTED = 5_000


if TYPE_CHECKING:
    PaginatorBase = Paginator[Any]
else:
    PaginatorBase = Paginator


class NewestPaginator(PaginatorBase):
    """Counts, and leads to, the first COUNTED rows; what is older is found by a filter."""

    @cached_property
    def is_cut(self) -> bool:
        """There are more rows than it leads to."""
        return self._found > COUNTED

    @cached_property
    def count(self) -> int:
        return min(self._found, COUNTED)

    @cached_property
    def _found(self) -> int:
        rows = cast("QuerySet[Any]", self.object_list)
        return rows[: COUNTED + 1].count()
