"""Where hooks may send to: the table of what a server must not be talked into reaching."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rheostat.errors import Invalid
from rheostat.server.hooks.targets import (
    Networks,
    is_public,
    parse,
    require_reachable,
)

NOWHERE = Networks()

REFUSED_ADDRESSES = {
    "127.0.0.1": "this machine",
    "127.8.8.8": "this machine",
    "0.0.0.0": "this machine",  # noqa: S104 - nothing listens there
    "10.0.0.1": "a private network",
    "172.16.0.1": "a private network",
    "172.31.255.255": "a private network",
    "192.168.1.1": "a private network",
    "100.64.0.1": "a carrier's network",
    "100.100.100.200": "metadata of Alibaba",
    "169.254.169.254": "metadata of most clouds",
    "169.254.170.2": "metadata of containers",
    "168.63.129.16": "Azure's host",
    "192.0.0.192": "metadata of Oracle",
    "198.18.0.1": "benchmarks",
    "192.0.2.1": "documentation",
    "224.0.0.1": "a group",
    "239.255.255.250": "a group",
    "255.255.255.255": "everybody",
    "240.0.0.1": "reserved",
    "::": "this machine",
    "::1": "this machine",
    "::ffff:127.0.0.1": "this machine, as IPv6",
    "::ffff:169.254.169.254": "metadata, as IPv6",
    "::ffff:a00:1": "a private network, as IPv6",
    "::127.0.0.1": "this machine, in a form of old",
    "64:ff9b::7f00:1": "this machine, by NAT64",
    "64:ff9b::a9fe:a9fe": "metadata, by NAT64",
    "64:ff9b:1::1": "a local NAT64",
    "2002:7f00:1::": "this machine, by 6to4",
    "2001::1": "Teredo",
    "2001:db8::1": "documentation",
    "3fff::1": "documentation",
    "fc00::1": "a private network",
    "fd00:ec2::254": "metadata of Amazon",
    "fe80::1": "the link",
    "fec0::1": "a site, in a form of old",
    "ff02::1": "a group",
    "100::1": "discarded",
}
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808"]


@pytest.mark.parametrize("text", REFUSED_ADDRESSES, ids=REFUSED_ADDRESSES.get)
def test_what_is_not_public_is_not_reached(text: str) -> None:
    """P10: no hook reaches an address that only some can reach, however it is written."""
    address = ip_address(text)
    assert not NOWHERE.allow(address)
    host = f"[{text}]" if address.version == 6 else text
    with pytest.raises(Invalid, match="RHEOSTAT_HOOK_NETWORKS") as refusal:
        require_reachable(parse(f"https://{host}/x"), NOWHERE)
    assert refusal.value.errors[0].field == "url"


@pytest.mark.parametrize("text", PUBLIC)
def test_what_is_public_is_reached(text: str) -> None:
    """An address that anybody can reach needs no setting."""
    assert NOWHERE.allow(ip_address(text))


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
@example(IPv4Address("168.63.129.16"))
@example(IPv6Address("2001:20::1"))
def test_nothing_is_taken_for_public_that_the_registry_does_not(
    address: IPv4Address | IPv6Address,
) -> None:
    """P10: whatever Python's own copy of the registries does not call global is not public."""
    if is_public(address):
        meant = address
        if isinstance(address, IPv6Address) and int(address) >> 32 == 0x64FF9B << 64:
            meant = IPv4Address(int(address) & 0xFFFF_FFFF)
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            meant = address.ipv4_mapped
        assert meant.is_global
        assert not any((meant.is_multicast, meant.is_reserved, meant.is_link_local))


def test_what_a_setting_lists_is_reached() -> None:
    """A network of the operator's own, and nothing beside it."""
    networks = Networks.parse(["10.1.0.0/16", "::1", "fd00::/64"])
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "::1", "fd00::5"):
        assert networks.allow(ip_address(text))
    for text in ("10.2.0.1", "127.0.0.1", "fd01::5", "64:ff9b::a01:203"):
        assert not networks.allow(ip_address(text))


REFUSED_URLS = {
    "http://example.com/x": "not encrypted",
    "http://10.0.0.1/x": "not encrypted",
    "ftp://example.com/x": "another protocol",
    "file:///etc/passwd": "a file",
    "gopher://127.0.0.1:6379/_x": "another protocol",
    "//example.com/x": "no scheme",
    "example.com": "no scheme",
    "https://": "no host",
    "https:///x": "no host",
    "https://ann:secret@example.com/x": "a password",
    "https://ann@example.com/x": "a name",
    "https://example.com:443@10.0.0.1/x": "a host that looks like another",
    "https://example.com#@10.0.0.1/": "a fragment",
    "https://example.com/x#y": "a fragment",
    "https://example.com\\@10.0.0.1/": "what readers of URLs disagree on",
    "https://example.com /x": "a space",
    "https://example.com/x y": "a space",
    "https://example.com/\r\nHost: 10.0.0.1": "a line",
    "https://exämple.com/x": "a host that is not written in ASCII",
    "http\u017f://127.0.0.1/x": "a letter that is an s in capitals",
    "https://\u212aube.example/x": "a letter that is a k in small ones",
    "https://example.com:\u0664\u0664\u0663/x": "digits of another script",
    "https://example.com/ä": "a path that is not written in ASCII",
    "https://example.com:22/x": "a port of another protocol",
    "https://example.com:0/x": "no port",
    "https://example.com:65536/x": "no port",
    "https://example.com:/x": "no port",
    "https://example.com:+443/x": "no port",
    "https://2130706433/x": "this machine, as one number",
    "https://0x7f000001/x": "this machine, as one number",
    "https://0x7f.0.0.1/x": "this machine, in parts",
    "https://0177.0.0.1/x": "this machine, in octal",
    "https://127.1/x": "this machine, shortened",
    "https://127.0.0.1./x": "a dot at the end",
    "https://example.com./x": "a dot at the end",
    "https://[::1%25lo]/x": "a zone",
    "https://[127.0.0.1/x": "half a bracket",
    "https://[example.com]/x": "a name in brackets",
    "https://a..b/x": "an empty label",
    "https://-a.com/x": "a hyphen first",
    "https://example.com/" + 3000 * "x": "too long",
    "https://" + 60 * "abcde." + "com/x": "a host that is too long",
}


@pytest.mark.parametrize("url", REFUSED_URLS, ids=REFUSED_URLS.get)
def test_a_url_that_could_be_read_in_two_ways_is_refused(url: str) -> None:
    """P10: what is no plain URL is refused, naming the field and the bound, and not a password."""
    with pytest.raises(Invalid) as refusal:
        require_reachable(parse(url), NOWHERE)
    (error,) = refusal.value.errors
    assert error.field == "url"
    assert error.bound
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://Example.com", "https://example.com/"),
        ("HTTPS://example.com:443/x?y=1&z=%20", "https://example.com/x?y=1&z=%20"),
        ("https://example.com:8443/x", "https://example.com:8443/x"),
        ("https://[2606:4700::1111]:8443", "https://[2606:4700::1111]:8443/"),
        ("https://xn--exmple-cua.com/", "https://xn--exmple-cua.com/"),
        ("http://localhost:9000/x", "http://localhost:9000/x"),
        ("http://127.0.0.1/x", "http://127.0.0.1/x"),
        ("http://[::1]:9000/x", "http://[::1]:9000/x"),
        ("https://my_host.internal/x", "https://my_host.internal/x"),
    ],
)
def test_urls_are_read(url: str, same: str) -> None:
    """A URL has one form, in which it is kept; http is for this machine alone."""
    assert parse(url).url == same
    assert parse(same) == parse(url)


def test_this_machine_has_to_be_listed() -> None:
    """P10: not even http to this machine is sent unless a setting says so."""
    for url in ("http://localhost:9000/x", "http://127.0.0.1:9000/x", "http://[::1]:9000/x"):
        with pytest.raises(Invalid):
            require_reachable(parse(url), NOWHERE)
        require_reachable(parse(url), Networks.parse(["127.0.0.0/8", "::1"]))


@given(st.text(max_size=60))
@example("https://" + 300 * "a.")
def test_whatever_is_said_is_read_or_refused(text: str) -> None:
    """P10: no text is a URL that means one thing here and another thing there."""
    for url in (text, f"https://{text}", f"https://example.com/{text}"):
        try:
            target = parse(url)
        except Invalid:
            continue
        assert parse(target.url) == target
