from __future__ import annotations

import pytest

from tier_runtime.addresses import Address


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("0.0.0.0:5000", "http://127.0.0.1:5000"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("[::]:5000", "http://[::1]:5000"),
        ("edge.example:80", "http://edge.example:80"),
    ],
)
def test_a_listen_address_becomes_the_url_by_which_this_machine_reaches_it(
    bind: str, url: str
) -> None:
    assert Address.parse(bind).url("http") == url


@pytest.mark.parametrize(
    "bind",
    ["5000", ":5000", "localhost:", "localhost:65536", "a:b", "a b:1", "a/b:1", "::1:5000", ""],
)
def test_what_is_no_host_and_port_is_refused(bind: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Address.parse(bind)
