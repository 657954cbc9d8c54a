-- Which ingest workers are there, so that they share the groups among themselves. Transport: wall time.
CREATE TABLE ingest_workers (
  worker text PRIMARY KEY,           -- name, machine and process, as in ingest_leases
  seen_at timestamptz NOT NULL
);
