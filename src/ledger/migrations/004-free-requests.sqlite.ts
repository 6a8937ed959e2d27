/** `until` is the end of the period in unix milliseconds. Nothing here is money. */
export const FREE_REQUESTS = `
CREATE TABLE free_requests (
  name  TEXT    NOT NULL,
  until INTEGER NOT NULL,
  used  INTEGER NOT NULL CHECK (used > 0),
  PRIMARY KEY (name, until)
) STRICT, WITHOUT ROWID;

CREATE INDEX free_requests_until ON free_requests (until);
`
