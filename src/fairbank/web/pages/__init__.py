"""The hub's pages, one module each: what a page shows (a frozen dataclass) and how it is put together."""
