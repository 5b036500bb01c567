"""How a subject's own identifiers are written, and finding them in bytes: spellings, character sets, dates, numbers."""
