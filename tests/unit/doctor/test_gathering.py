"""Facts are fetched from real files: modules, certificates, modes, and what an agent has written down."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from clearinghouse.agent.following import FOLDER
from clearinghouse.agent.home.keeping import StateDirectory
from clearinghouse.clearing.wire import stamp
from clearinghouse.demo.certificates import Authority
from clearinghouse.doctor.catalogue import findings
from clearinghouse.doctor.certificates import read_certificates
from clearinghouse.doctor.checks import ALL
from clearinghouse.doctor.facts import Facts
from clearinghouse.doctor.gathering import Asked, gathered
from clearinghouse.enforcers import prosody
from clearinghouse.errors import BadSettings, ClearinghouseError
from clearinghouse.federation.published.documents import digest
from clearinghouse.federation.published.members import Endpoint, Member, listed, seal_member, written
from clearinghouse.federation.published.roots import Root, seal_root
from clearinghouse.federation.published.tables import Head, content_of, seal_head
from clearinghouse.federation.published.tables import written as written_head
from clearinghouse.federation.trust.keeping import HEAD_FILE, MEMBERS_FILE
from clearinghouse.keynote.keys import from_seed
from tests.docs.pages import ROOT, blocks
from tests.unit.doctor.test_checks import AGENT

NOW = datetime.now(UTC)
KEY = from_seed(b"registrar" + bytes(23))
MEMBER = Member("b.example", "net", endpoints=(Endpoint("127.0.0.1"),), serial=1, issued=NOW)


def ids(known: Facts) -> set[str]:
    return {finding.check.id for finding in findings(known, ALL.values())}


def where(known: Facts, id_: str) -> list[str]:
    return [f"{finding.where}: {finding.what}" for finding in findings(known, [ALL[id_]])]


def private(path: Path, text: str | bytes = "") -> Path:
    path.touch(mode=0o600)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# -- a Prosody ----------------------------------------------------------------------------------------

SAFE_PROSODY = """
plugin_paths = { "modules" }
modules_enabled = { "clearinghouse", "tls" }
s2s_secure_auth = true
ssl = { cafile = "authority.pem" }
network_settings = { nagle = false }
clearinghouse_agent = "agent.a.example"
VirtualHost "a.example"
Component "rooms.a.example" "muc"
Component "agent.a.example"
  component_secret = "secret"
"""


@pytest.fixture
def server(tmp_path: Path) -> Path:
    for name, content in prosody.files(prosody.FEDERATION):
        (tmp_path / "modules" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "modules" / name).write_bytes(content)
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs/a.example.crt").write_bytes(Authority().identity(["a.example", "rooms.a.example"]).certificate)
    return private(tmp_path / "prosody.cfg.lua", SAFE_PROSODY)


def test_a_safe_prosody_has_no_findings_but_its_certificates_end(server: Path) -> None:
    known = gathered(Asked(prosody=server), NOW)
    assert set(known.certificates) == {"a.example", "rooms.a.example"}
    assert ids(known) == {"D502"}  # the authority of a demonstration gives a day


def test_a_module_of_another_version_or_none_is_found(server: Path) -> None:
    folder = server.parent / "modules/mod_clearinghouse"
    first, second, *_ = sorted(folder.iterdir())
    first.write_text("-- older")
    second.unlink()
    assert where(gathered(Asked(prosody=server), NOW), "D112") == [
        f"{second}: is not there",
        f"{first}: is another file than the one of this package",
    ]


def test_a_certificate_that_lacks_a_component_is_found(server: Path) -> None:
    (server.parent / "certs/a.example.crt").write_bytes(Authority().identity(["a.example"]).certificate)
    assert where(gathered(Asked(prosody=server), NOW), "D501") == ["rooms.a.example: is named by no certificate; they name a.example"]


def test_the_certificate_that_a_host_names_is_the_one_that_counts(server: Path) -> None:
    (server.parent / "own.pem").write_bytes(Authority().identity(["other.example"]).certificate)
    server.write_text(SAFE_PROSODY.replace('"muc"\n', '"muc"\n  ssl = { certificate = "own.pem" }\n'))
    assert [row.split(":")[0] for row in where(gathered(Asked(prosody=server), NOW), "D501")] == ["rooms.a.example"]


def test_a_configuration_with_a_secret_that_others_read_is_found(server: Path) -> None:
    server.chmod(0o644)
    assert where(gathered(Asked(prosody=server), NOW), "D401") == [f"{server}: this configuration can be reached by others (mode 0644)"]
    server.write_text(SAFE_PROSODY.replace("component_secret", "name"))
    assert where(gathered(Asked(prosody=server), NOW), "D401") == []


def test_certificates_of_ejabberd_are_found_by_their_pattern(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(Authority().identity(["a.example"]).certificate)
    listener = "listen:\n  - {module: ejabberd_service, ip: 127.0.0.1, hosts: {agent.a.example: {password: secret}}}\n"
    config = tmp_path / "ejabberd.yml"
    config.write_text(f'hosts: [a.example, b.example]\ncertfiles: ["{tmp_path}/*.pem"]\n{listener}')
    config.chmod(0o644)
    known = gathered(Asked(ejabberd=config), NOW)
    assert [row.split(":")[0] for row in where(known, "D501")] == ["b.example"]
    assert where(known, "D401") == [f"{config}: this configuration can be reached by others (mode 0644)"]


def test_names_of_certificates_are_those_that_xmpp_knows(tmp_path: Path) -> None:
    def text(kind: int, value: str) -> bytes:
        return bytes([kind, len(value)]) + value.encode()

    names = [
        x509.DNSName("A.example"),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5"), text(12, "addr.example")),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7"), text(22, "_xmpp-server.service.example")),
        x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7"), text(22, "_xmpp-client.client.example")),
        x509.RFC822Name("mail@example"),
    ]
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + timedelta(days=1))
    made = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(key, hashes.SHA256())
    (tmp_path / "a.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (found,) = read_certificates(tmp_path / "a.pem")
    assert found.names == ("a.example", "addr.example", "service.example")
    bare = builder.sign(key, hashes.SHA256())
    (tmp_path / "b.pem").write_bytes(bare.public_bytes(Encoding.PEM))
    assert [each.names for each in read_certificates(tmp_path / "b.pem")] == [()]
    assert list(read_certificates(private(tmp_path / "c.pem", "no certificate"))) == []
    assert list(read_certificates(tmp_path / "none.pem")) == []


CONFIGURATIONS = [("federate-with-prosody.md", "lua", "prosody"), ("federate-with-ejabberd.md", "yaml", "ejabberd")]


@pytest.mark.parametrize("page, language, kind", CONFIGURATIONS)
def test_the_complete_configurations_of_our_pages_are_safe(page: str, language: str, kind: str, tmp_path: Path) -> None:
    first = next(blocks(ROOT / "docs/how-to" / page, language))
    path = private(tmp_path / kind, first.text)
    elsewhere = {"D112", "D501"}  # the module and certificates are on the reader's machine
    assert ids(gathered(Asked(**{kind: path}), NOW)) - elsewhere == set()  # type: ignore[arg-type]


# -- an agent -----------------------------------------------------------------------------------------


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    private(tmp_path / "secret", "secret")
    private(tmp_path / "agent.key")
    content = content_of({"b.example": "level-1"}, ("deny", "level-1"))
    head = Head(
        "net", "*", 1, 3, NOW - timedelta(days=6), NOW + timedelta(hours=12), "", ("deny", "level-1"), 1, len(content), digest(content), ""
    )
    state = StateDirectory.made(tmp_path / "state")
    state.keep(FOLDER, {HEAD_FILE: seal_head(written_head(head), [KEY]), MEMBERS_FILE: listed([seal_member(MEMBER, [KEY])])})
    image = {
        "image": "a.example",
        "serial": 7,
        "mode": "enforce",
        "default": "deny",
        "default_reason": "",
        "expires": 0,
        "hosts": ["a.example"],
    }
    state.write_json("images/a.example.json", {**image, "classes": {}, "rows": {}, "grants": []})
    stream = {"local": "a.example", "remote": "b.example", "secure": True}
    told = {"module": "0", "server": "prosody", "streams": [stream], "images": {}, "facts": {"hosts": ["a.example"]}}
    state.write_json("module-status.json", {**told, "at": stamp(NOW - timedelta(minutes=20))})
    long_ago = (NOW - timedelta(hours=1)).timestamp()
    os.utime(tmp_path / "state/images/a.example.json", (long_ago, long_ago))
    return private(tmp_path / "agent.toml", AGENT)


def test_what_an_agent_has_written_down_is_judged(agent: Path) -> None:
    known = gathered(Asked(agent=agent), NOW)
    assert [member.domain for member in known.members] == ["b.example"]
    assert [each.name for each in known.lifetimes] == ["table 1.3"]
    assert ids(known) == {"D301", "D302", "D303", "D308", "D406", "D602", "D701"}


def test_of_an_image_that_is_newer_than_what_the_module_said_nothing_follows(agent: Path) -> None:
    (agent.parent / "state/images/a.example.json").touch()
    assert not {"D303", "D308"} & ids(gathered(Asked(agent=agent), NOW))


def test_a_state_that_others_reach_is_a_finding(agent: Path) -> None:
    (agent.parent / "state").chmod(0o755)
    assert where(gathered(Asked(agent=agent), NOW), "D402") == [f"{agent.parent}/state: can be reached by others (mode 0755)"]


def test_what_is_no_file_in_the_state_is_not_read(agent: Path) -> None:
    image = agent.parent / "state/images/a.example.json"
    image.rename(agent.parent / "elsewhere.json")
    image.symlink_to(agent.parent / "elsewhere.json")
    os.mkfifo(agent.parent / "state/images/b.example.json")
    assert gathered(Asked(agent=agent), NOW).images == ()


def test_root_metadata_of_a_clearinghouse_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    policy = (f'Authorizer: "POLICY"\nLicensees: "{KEY.principal}"\nConditions: operation == "publish-root" -> "allow";\n',)
    for generation, days in ((1, 300), (2, 20)):
        root = Root("net", generation, 1, NOW - timedelta(days=345), NOW + timedelta(days=days), policy)
        (tmp_path / f"root/{generation}.json").write_bytes(seal_root(root, [KEY]) + b"\n")
    signers = '[timestamp_signer]\nkey_file = "stamp.key"\n[[table_signer]]\nkey_file = "table.key"\n'
    settings = private(tmp_path / "clearinghouse.toml", f'community = "net"\n{signers}[federation]\nroot_directory = "root"\n')
    assert where(gathered(Asked(clearinghouse=settings), NOW), "D701") == ["root metadata 2: ends in 20 days"]


def test_spoilt_images_are_left_out(agent: Path) -> None:
    private(agent.parent / "state/images/b.example.json", '{"image": 7}')
    private(agent.parent / "state/images/c.example.json", "[]")
    assert [image.name for image in gathered(Asked(agent=agent), NOW).images] == ["a.example"]


def test_policies_that_admit_count(agent: Path) -> None:
    (agent.parent / "policies/admit").mkdir(parents=True)
    (agent.parent / "policies/admit/own.kn").write_text('Authorizer: "POLICY"\n')
    assert "D406" not in ids(gathered(Asked(agent=agent), NOW))


# -- what is handed in --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["drafts", "records", "list"])
def test_members_may_be_handed_in(form: str, tmp_path: Path) -> None:
    record = seal_member(MEMBER, [KEY])
    texts = {"drafts": written(MEMBER) + b"\n\n", "records": record + b"\n", "list": listed([record])}
    (tmp_path / "members").write_bytes(texts[form])
    assert [member.domain for member in gathered(Asked(members=tmp_path / "members"), NOW).members] == ["b.example"]


@pytest.mark.parametrize("text", ["{}", "[7]", "no member", "x" * 20_000])
def test_members_that_are_none_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "members").write_text(text)
    with pytest.raises(ClearinghouseError):
        gathered(Asked(members=tmp_path / "members"), NOW)


def test_a_certificate_that_the_server_tells_is_judged(tmp_path: Path) -> None:
    certificates = {"a.example": {"names": ["b.example"], "until": 0}, "odd": 7, "c.example": {"names": ["c.example"], "until": 0}}
    status = {"module": "1", "server": "ejabberd", "facts": {"certificates": certificates}}
    (tmp_path / "status.json").write_text(json.dumps(status))
    known = gathered(Asked(status=tmp_path / "status.json"), NOW)
    assert where(known, "D501") == ["a.example: is named by no certificate; they name b.example"]
    assert where(known, "D502")[0].startswith("the running server: the certificate of `c.example` ended")


def test_files_that_are_named_must_be_there(tmp_path: Path) -> None:
    for name in ("prosody", "ejabberd", "agent", "clearinghouse", "status", "dns", "members"):
        with pytest.raises(BadSettings):
            gathered(Asked(**{name: tmp_path / "none"}), NOW)  # type: ignore[arg-type]
