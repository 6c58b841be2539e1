"""If-None-Match: has the client what it asks for?"""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from apps.core.conditions import not_modified


@pytest.mark.parametrize(
    ("header", "etag", "expected"),
    [
        ('"3"', '"3"', True),
        ('"2"', '"3"', False),
        ('"1", "3" , "5"', '"3"', True),
        ('"1","2"', '"3"', False),
        ('W/"3"', '"3"', True),
        ('"3"', 'W/"3"', True),
        ('W/"2", W/"3"', '"3"', True),
        ('"a,b"', '"a,b"', True),
        ("*", '"3"', True),
        ("3", '"3"', False),
        ("", '"3"', False),
        ('w/"3', '"3"', False),
    ],
)
def test_it_compares_weakly_with_any_of_a_list(header: str, etag: str, expected: bool) -> None:
    request = RequestFactory().get("/", headers={"if-none-match": header})
    assert not_modified(request, etag) is expected


def test_without_the_header_everything_is_news() -> None:
    assert not not_modified(RequestFactory().get("/"), '"3"')


@pytest.mark.parametrize(("method", "expected"), [("HEAD", True), ("PUT", False), ("POST", False)])
def test_only_reads_are_spared(method: str, expected: bool) -> None:
    request = RequestFactory().generic(method, "/", headers={"if-none-match": '"3"'})
    assert not_modified(request, '"3"') is expected
