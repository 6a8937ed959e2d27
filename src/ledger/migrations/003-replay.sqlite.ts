/**
 * `identifier` is the client's own name for what it buys. The index makes it unique for each payer
 * among the claims that may still be charged; what is released keeps it for the reports only.
 *
 * Responses stand in a table of their own, so that whoever reads rows never reads their bodies.
 * `claims.response_until` tells whether it is worth looking there.
 */
export const REPLAY = `
ALTER TABLE claims ADD COLUMN identifier TEXT;
ALTER TABLE claims ADD COLUMN response_until INTEGER;

CREATE UNIQUE INDEX claims_identifier ON claims (payer, identifier)
  WHERE identifier IS NOT NULL AND state <> 'released';

CREATE TABLE responses (
  payment_key TEXT    PRIMARY KEY,
  until       INTEGER NOT NULL,
  status      INTEGER NOT NULL,
  headers     TEXT    NOT NULL,
  trailers    TEXT    NOT NULL,
  variant     TEXT    NOT NULL,
  body        BLOB    NOT NULL
) STRICT;

CREATE INDEX responses_until ON responses (until);
`
