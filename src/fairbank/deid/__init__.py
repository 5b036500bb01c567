"""De-identification: profiles, pseudonyms, the research store, quarantine. It knows no archive and no hub."""
