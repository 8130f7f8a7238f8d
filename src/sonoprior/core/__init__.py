"""The ground floor: errors, checks, the registry, and folders that are written whole."""
