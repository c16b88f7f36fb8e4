from __future__ import annotations

import os
from pathlib import Path

import pytest

from clearinghouse.errors import BadSettings, UnsafeFile
from clearinghouse.settings import read_secret
from clearinghouse.settings.secrets import MAX_SECRET_BYTES


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.touch(mode=0o600)
    path.write_text("  word \n")
    return path


def test_a_secret_is_read_without_the_blanks_around_it(secret: Path) -> None:
    assert read_secret(secret) == "word"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o611, 0o644, 0o666])
def test_a_secret_that_others_can_reach_is_refused(secret: Path, mode: int) -> None:
    secret.chmod(mode)
    with pytest.raises(UnsafeFile, match=f"can be reached by others .mode {mode:04o}.: chmod 600") as caught:
        read_secret(secret)
    assert "word" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_secret_of_somebody_else_is_refused(secret: Path) -> None:
    os.chown(secret, 12345, -1)
    with pytest.raises(UnsafeFile, match="belongs to user 12345"):
        read_secret(secret)


def test_a_link_is_refused_and_a_pipe_does_not_stop_us(secret: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(secret)
    with pytest.raises(UnsafeFile, match="not a link"):
        read_secret(tmp_path / "link")
    os.mkfifo(tmp_path / "pipe", mode=0o600)
    with pytest.raises(UnsafeFile, match="not a regular file"):
        read_secret(tmp_path / "pipe")


@pytest.mark.parametrize("content", [b"", b" \n", b"a\nb", b"\xff", b"a\x1b[31m"])
def test_what_is_no_secret_is_refused_and_not_shown(secret: Path, content: bytes) -> None:
    secret.write_bytes(content)
    with pytest.raises(BadSettings, match="holds no secret") as caught:
        read_secret(secret)
    assert str(caught.value).isprintable()


def test_more_than_a_secret_is_refused(secret: Path) -> None:
    secret.write_bytes(b"x" * (MAX_SECRET_BYTES + 1))
    with pytest.raises(BadSettings, match="a secret file has at most"):
        read_secret(secret)


def test_no_file_is_told_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="there is no secret file"):
        read_secret(tmp_path / "none")
