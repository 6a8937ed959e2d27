/**
 * Counters that gateways share, with the columns that rate-limiter-flexible writes (11.4.0,
 * RateLimiterPostgres): `key` is a hash, `expire` is unix milliseconds. Unlogged, because they are
 * worth nothing after a crash, and cost no sync.
 */
export const RATE_COUNTERS = `
CREATE UNLOGGED TABLE farebox_rate_counters (
  key    VARCHAR(255) PRIMARY KEY,
  points INTEGER NOT NULL DEFAULT 0,
  expire BIGINT
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX farebox_rate_counters_expire ON farebox_rate_counters (expire);
`
