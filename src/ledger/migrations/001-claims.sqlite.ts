/**
 * Amounts are text, because SQLite's integers end at 2^63 and a uint256 does not. `held_until` and
 * what ends in `_at` are unix milliseconds; `valid_before` is unix seconds, as the chain has it.
 *
 * `claims.id` names a hold and moves on at a takeover (see ClaimId), always to the greatest id plus
 * one. A later clean-up must therefore keep the row with the greatest id.
 *
 * `claim_counts` exists so that a scrape of the metrics never scans millions of rows while
 * requests wait. Triggers keep it, so that it stays true whoever writes.
 */
export const CLAIMS = `
CREATE TABLE claims (
  id               INTEGER PRIMARY KEY,
  payment_key      TEXT    NOT NULL UNIQUE,
  fingerprint      TEXT    NOT NULL,
  route            TEXT    NOT NULL,
  payer            TEXT    NOT NULL,
  network          TEXT    NOT NULL,
  asset            TEXT    NOT NULL,
  pay_to           TEXT    NOT NULL,
  amount           TEXT    NOT NULL
    CHECK (length(amount) BETWEEN 1 AND 78 AND amount NOT GLOB '*[^0-9]*'),
  valid_before     INTEGER NOT NULL,
  state            TEXT    NOT NULL
    CHECK (state IN ('forwarded', 'settling', 'settled', 'delivered', 'released', 'unknown')),
  held_until       INTEGER NOT NULL,
  transaction_hash TEXT,
  receipt_network  TEXT,
  receipt_payer    TEXT,
  receipt_amount   TEXT,
  detail           TEXT,
  created_at       INTEGER NOT NULL,
  updated_at       INTEGER NOT NULL,
  settled_at       INTEGER,
  delivered_at     INTEGER,
  payload          TEXT    NOT NULL,
  requirements     TEXT    NOT NULL,
  CHECK (state NOT IN ('settled', 'delivered') OR (
    transaction_hash IS NOT NULL AND receipt_network IS NOT NULL AND
    receipt_payer IS NOT NULL AND receipt_amount IS NOT NULL AND settled_at IS NOT NULL
  )),
  CHECK (state <> 'delivered' OR delivered_at IS NOT NULL)
) STRICT;

CREATE INDEX claims_unfinished ON claims (state)
  WHERE state NOT IN ('delivered', 'released');

CREATE INDEX claims_created_at ON claims (created_at);

CREATE TABLE claim_counts (
  state  TEXT    PRIMARY KEY,
  claims INTEGER NOT NULL CHECK (claims >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO claim_counts (state, claims) VALUES
  ('forwarded', 0), ('settling', 0), ('settled', 0), ('delivered', 0), ('released', 0),
  ('unknown', 0);

CREATE TRIGGER claims_count_insert AFTER INSERT ON claims BEGIN
  UPDATE claim_counts SET claims = claims + 1 WHERE state = NEW.state;
END;

CREATE TRIGGER claims_count_update AFTER UPDATE OF state ON claims
WHEN OLD.state <> NEW.state BEGIN
  UPDATE claim_counts SET claims = claims - 1 WHERE state = OLD.state;
  UPDATE claim_counts SET claims = claims + 1 WHERE state = NEW.state;
END;

CREATE TRIGGER claims_count_delete AFTER DELETE ON claims BEGIN
  UPDATE claim_counts SET claims = claims - 1 WHERE state = OLD.state;
END;
`
