/** As in SQLite (004-free-requests.sqlite.ts). Rows are written again in place: they have room. */
export const FREE_REQUESTS = `
CREATE TABLE farebox_free_requests (
  name  TEXT   NOT NULL,
  until BIGINT NOT NULL,
  used  BIGINT NOT NULL CHECK (used > 0),
  PRIMARY KEY (name, until)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX farebox_free_requests_until ON farebox_free_requests (until);
`
