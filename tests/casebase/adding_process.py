"""A process that adds cases to a store, to be killed: PATH SET COUNT; says "ready", then waits for a line."""

import sys
from pathlib import Path

from casebase.made_records import made_records, made_vectors
from sonoprior.casebase.sqlite import SqliteStore

path, set_name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
store = SqliteStore(path)
records, vectors = made_records(count, set_name=set_name), made_vectors(count)
sys.stdout.write("ready\n")
sys.stdout.flush()
sys.stdin.readline()
with store.adding() as adding:
    for start in range(0, count, 50):
        adding.put(records[start : start + 50], vectors[start : start + 50])
sys.stdout.write("done\n")
