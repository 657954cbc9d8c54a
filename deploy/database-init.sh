#!/usr/bin/env bash
# Run once by the database's image on an empty volume: the services' role and database, owned by no superuser.
set -euo pipefail

export KAIMEN_DATABASE_PASSWORD_FILE=${KAIMEN_DATABASE_PASSWORD_FILE:-/run/secrets/database_password}

psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
    --set=name="${KAIMEN_DATABASE_NAME:-kaimen}" <<'SQL'
\set password `cat "$KAIMEN_DATABASE_PASSWORD_FILE"`
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
\connect :"name"
-- Only a superuser may install it; the migrations find it there. A server without it is used without it.
SELECT count(*) > 0 AS has_timescale FROM pg_available_extensions WHERE name = 'timescaledb' \gset
\if :has_timescale
CREATE EXTENSION IF NOT EXISTS timescaledb;
\endif
SQL
