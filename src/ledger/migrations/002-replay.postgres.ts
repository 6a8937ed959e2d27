/** As in SQLite (003-replay.sqlite.ts). */
export const REPLAY = `
ALTER TABLE farebox_claims ADD COLUMN identifier TEXT, ADD COLUMN response_until BIGINT;

CREATE UNIQUE INDEX farebox_claims_identifier ON farebox_claims (payer, identifier)
  WHERE identifier IS NOT NULL AND state <> 'released';

CREATE TABLE farebox_responses (
  payment_key TEXT    PRIMARY KEY,
  until       BIGINT  NOT NULL,
  status      INTEGER NOT NULL,
  headers     TEXT    NOT NULL,
  trailers    TEXT    NOT NULL,
  variant     TEXT    NOT NULL,
  body        BYTEA   NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05);

ALTER TABLE farebox_responses ALTER COLUMN body SET STORAGE EXTERNAL;

CREATE INDEX farebox_responses_until ON farebox_responses (until);
`
