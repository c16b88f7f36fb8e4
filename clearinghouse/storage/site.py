"""Where a store is kept: how messages name it, and what its driver's errors mean to whoever runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from sqlalchemy.exc import SQLAlchemyError

from clearinghouse.errors import StoreUnavailable


class Site(ABC):
    """A file, or a database of a server."""

    raised: ClassVar[tuple[type[Exception], ...]]
    """What the driver raises."""

    ours: ClassVar[tuple[type[Exception], ...]]
    """Those of them that are about what was to be written, not about the place."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call it; it tells no secret."""

    @abstractmethod
    def mend(self, error: BaseException) -> str:
        """Return what to do about what the driver raised."""

    @abstractmethod
    def replayed(self, error: BaseException | None) -> bool:
        """Say whether the driver refused an envelope that is there already."""

    @asynccontextmanager
    async def errors(self) -> AsyncIterator[None]:
        """Turn what the driver raises into `StoreUnavailable` with its mend."""
        try:
            yield
        except SQLAlchemyError as error:
            raise self.unavailable(getattr(error, "orig", None) or error) from error
        except self.raised as error:
            raise self.unavailable(error) from error

    def unavailable(self, error: BaseException) -> StoreUnavailable:
        """Return what an operator must know about *error*."""
        told = " ".join(str(error).split())
        return StoreUnavailable(f"the store `{self.name}` cannot be used ({told})", mend=self.mend(error))

    def damaged(self) -> StoreUnavailable:
        """Return what an operator must know about a log whose edge is not that of its last entries."""
        return StoreUnavailable(f"the log in the store `{self.name}` is damaged at its end", mend="restore the store from a backup")

    def taken(self) -> StoreUnavailable:
        """Return what an operator must know who starts a second service."""
        mend = "end that one, or name another one in [store]"
        return StoreUnavailable(f"another service works with the store `{self.name}`", mend=mend)
