"""A house in which ann and bob decide about others."""

from __future__ import annotations

from tests.unit.doors.client import ANN, Client, Counter
from tests.unit.doors.paper import PaperOffice, PaperReception

ASKER = "analyst@csirt.example"


class House:
    def __init__(self, office: PaperOffice | None = None) -> None:
        self.office = office or PaperOffice()
        self.reception = PaperReception(self.office, {ANN: "ann", "bob@example.net": "bob"})
        self.counter = Counter(self.reception)
        self.ann = Client(self.counter)
        self.bob = Client(self.counter, "bob@example.net/desk")
