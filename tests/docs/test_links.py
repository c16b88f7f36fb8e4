from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, name

_LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
EVERYWHERE = [*PAGES, ROOT / "policies/README.md", ROOT / "credentials/README.md"]


@pytest.mark.parametrize("path", EVERYWHERE, ids=name)
def test_links_lead_to_files(path: Path) -> None:
    targets = [target for target in _LINK.findall(path.read_text()) if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_images_say_what_they_show() -> None:
    for image in sorted((ROOT / "docs/images").glob("*.svg")):
        text = image.read_text()
        assert "<title" in text, name(image)
        assert "prefers-color-scheme: dark" in text, name(image)
