"""Certificates for servers on loopback, in files as settings name them."""

from __future__ import annotations

from pathlib import Path

import trustme


def certify(host: str, certificate: Path, key: Path, *, trusted: Path | None = None) -> None:
    """Write a certificate for *host* with its key, and to *trusted* the authority that vouches for it."""
    authority = trustme.CA()
    made = authority.issue_cert(host)
    certificate.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
    key.touch(mode=0o600)
    key.write_bytes(made.private_key_pem.bytes())
    if trusted is not None:
        authority.cert_pem.write_to_path(trusted)
