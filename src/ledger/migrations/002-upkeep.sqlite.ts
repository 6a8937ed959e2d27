/**
 * `redeemable_ms` is what the claim was promised: how long after `settled_at` it may be redeemed.
 * A clean-up must know it, because by then nobody asks. What older rows had was never written down;
 * only the retention protects them.
 *
 * A clean-up finds what to forget by `valid_before`, which a row never changes, so that the steps
 * of a payment do not have to keep this index.
 */
export const UPKEEP = `
ALTER TABLE claims ADD COLUMN redeemable_ms INTEGER NOT NULL DEFAULT 0;

CREATE INDEX claims_valid_before ON claims (valid_before);
`
