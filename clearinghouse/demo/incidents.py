"""Incident reports (IODEF 2.0, RFC 7970) for the demonstration."""

from __future__ import annotations

from datetime import datetime
from xml.etree.ElementTree import Element, SubElement

from clearinghouse.grid.namespaces import IODEF
from clearinghouse.runtime.chance import utc_now

XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"


def incident(number: str, description: str, *, reporter: str, contact: str, now: datetime) -> Element:
    """Return the smallest document that RFC 7970 accepts, with a *description*.

    *reporter* is the domain that numbers its incidents, *contact* an address for mail.
    """
    document = Element(f"{{{IODEF}}}IODEF-Document", {"version": "2.00", XML_LANG: "en"})
    report = _child(document, "Incident", purpose="reporting", restriction="private")
    _child(report, "IncidentID", number, name=reporter)
    _child(report, "GenerationTime", now.isoformat(timespec="seconds"))
    _child(report, "Description", description)
    person = _child(report, "Contact", type="organization", role="creator")
    _child(_child(person, "Email"), "EmailTo", contact)
    return document


def report_of(number: str, description: str) -> Element:
    """Return an incident that the hub reports now."""
    now = utc_now().replace(microsecond=0)
    return incident(f"2026-{number}", description, reporter="hub.example", contact="desk@hub.example", now=now)


def description_of(document: Element) -> str:
    """Return what the first incident of *document* says about itself."""
    return document.findtext(f"{{{IODEF}}}Incident/{{{IODEF}}}Description", "")


def _child(parent: Element, name: str, text: str | None = None, /, **attributes: str) -> Element:
    child = SubElement(parent, f"{{{IODEF}}}{name}", attributes)
    child.text = text
    return child
