"""History: what was said, kept where it can be queried. SQL needs the extra ``storage``; importing this does not."""

from actors.storage.history import HistoryWriter, WriterStatistics
from actors.storage.location import StorageExtraError, open_store
from actors.storage.memory import MemoryHistoryStore
from actors.storage.session import restore

__all__ = ["HistoryWriter", "MemoryHistoryStore", "StorageExtraError", "WriterStatistics", "open_store", "restore"]
