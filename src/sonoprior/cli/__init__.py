"""Commands: thin, one file each; the work is done in the folders below."""
