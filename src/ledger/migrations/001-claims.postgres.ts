/**
 * The names begin with `farebox_` because the database may be somebody else's as well. Times are as
 * in SQLite: `held_until` and what ends in `_at` are unix milliseconds, `valid_before` is unix
 * seconds, as the chain has it.
 *
 * `farebox_claims.id` names a hold and moves on at a takeover (see ClaimId).
 *
 * `farebox_claim_counts` exists so that a scrape of the metrics never scans millions of rows. Each
 * connection counts in a row of its own, and their sum is the truth: on one common row, every
 * payment would wait for the commit of the one before.
 */
export const CLAIMS = `
CREATE SEQUENCE farebox_claim_ids AS BIGINT;

CREATE TABLE farebox_claims (
  id               BIGINT PRIMARY KEY DEFAULT nextval('farebox_claim_ids'),
  payment_key      TEXT   NOT NULL UNIQUE,
  fingerprint      TEXT   NOT NULL,
  route            TEXT   NOT NULL,
  payer            TEXT   NOT NULL,
  network          TEXT   NOT NULL,
  asset            TEXT   NOT NULL,
  pay_to           TEXT   NOT NULL,
  amount           NUMERIC(78, 0) NOT NULL CHECK (amount >= 0),
  valid_before     BIGINT NOT NULL,
  state            TEXT   NOT NULL
    CHECK (state IN ('forwarded', 'settling', 'settled', 'delivered', 'released', 'unknown')),
  held_until       BIGINT NOT NULL,
  redeemable_ms    BIGINT NOT NULL,
  transaction_hash TEXT,
  receipt_network  TEXT,
  receipt_payer    TEXT,
  receipt_amount   NUMERIC(78, 0),
  detail           TEXT,
  created_at       BIGINT NOT NULL,
  updated_at       BIGINT NOT NULL,
  settled_at       BIGINT,
  delivered_at     BIGINT,
  payload          TEXT   NOT NULL,
  requirements     TEXT   NOT NULL,
  CHECK (state NOT IN ('settled', 'delivered') OR (
    transaction_hash IS NOT NULL AND receipt_network IS NOT NULL AND
    receipt_payer IS NOT NULL AND receipt_amount IS NOT NULL AND settled_at IS NOT NULL
  )),
  CHECK (state <> 'delivered' OR delivered_at IS NOT NULL)
) WITH (autovacuum_vacuum_scale_factor = 0.05);

ALTER SEQUENCE farebox_claim_ids OWNED BY farebox_claims.id;

CREATE INDEX farebox_claims_open ON farebox_claims (state, held_until)
  WHERE state IN ('forwarded', 'settling', 'unknown');

CREATE INDEX farebox_claims_created_at ON farebox_claims (created_at);

CREATE INDEX farebox_claims_valid_before ON farebox_claims (valid_before);

CREATE TABLE farebox_claim_counts (
  shard     INTEGER PRIMARY KEY,
  forwarded BIGINT NOT NULL DEFAULT 0,
  settling  BIGINT NOT NULL DEFAULT 0,
  settled   BIGINT NOT NULL DEFAULT 0,
  delivered BIGINT NOT NULL DEFAULT 0,
  released  BIGINT NOT NULL DEFAULT 0,
  unknown   BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);

INSERT INTO farebox_claim_counts (shard) SELECT generate_series(0, 255);

CREATE FUNCTION farebox_count_insert() RETURNS trigger LANGUAGE plpgsql
  SET search_path FROM CURRENT AS $body$
BEGIN
  UPDATE farebox_claim_counts SET
    forwarded = forwarded + (NEW.state = 'forwarded')::int,
    settling = settling + (NEW.state = 'settling')::int,
    settled = settled + (NEW.state = 'settled')::int,
    delivered = delivered + (NEW.state = 'delivered')::int,
    released = released + (NEW.state = 'released')::int,
    unknown = unknown + (NEW.state = 'unknown')::int
  WHERE shard = pg_backend_pid() % 256;
  RETURN NULL;
END $body$;

CREATE FUNCTION farebox_count_update() RETURNS trigger LANGUAGE plpgsql
  SET search_path FROM CURRENT AS $body$
BEGIN
  UPDATE farebox_claim_counts SET
    forwarded = forwarded + (NEW.state = 'forwarded')::int - (OLD.state = 'forwarded')::int,
    settling = settling + (NEW.state = 'settling')::int - (OLD.state = 'settling')::int,
    settled = settled + (NEW.state = 'settled')::int - (OLD.state = 'settled')::int,
    delivered = delivered + (NEW.state = 'delivered')::int - (OLD.state = 'delivered')::int,
    released = released + (NEW.state = 'released')::int - (OLD.state = 'released')::int,
    unknown = unknown + (NEW.state = 'unknown')::int - (OLD.state = 'unknown')::int
  WHERE shard = pg_backend_pid() % 256;
  RETURN NULL;
END $body$;

CREATE FUNCTION farebox_count_delete() RETURNS trigger LANGUAGE plpgsql
  SET search_path FROM CURRENT AS $body$
BEGIN
  UPDATE farebox_claim_counts SET
    forwarded = forwarded - (SELECT count(*) FROM gone WHERE state = 'forwarded'),
    settling = settling - (SELECT count(*) FROM gone WHERE state = 'settling'),
    settled = settled - (SELECT count(*) FROM gone WHERE state = 'settled'),
    delivered = delivered - (SELECT count(*) FROM gone WHERE state = 'delivered'),
    released = released - (SELECT count(*) FROM gone WHERE state = 'released'),
    unknown = unknown - (SELECT count(*) FROM gone WHERE state = 'unknown')
  WHERE shard = pg_backend_pid() % 256 AND EXISTS (SELECT FROM gone);
  RETURN NULL;
END $body$;

CREATE TRIGGER farebox_claims_insert AFTER INSERT ON farebox_claims
  FOR EACH ROW EXECUTE FUNCTION farebox_count_insert();

CREATE TRIGGER farebox_claims_update AFTER UPDATE ON farebox_claims
  FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION farebox_count_update();

CREATE TRIGGER farebox_claims_delete AFTER DELETE ON farebox_claims
  REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION farebox_count_delete();
`
