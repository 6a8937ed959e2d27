import { type ClientBase, DatabaseError } from 'pg'
import { StoreUnavailableError } from '../errors.ts'
import {
  ABANDONED,
  CLAIM_COLUMNS,
  type ClaimValues,
  hasReceipt,
  LEFT_BY_AN_EARLIER_CLAIM,
  number,
  RESPONSE_COLUMNS,
  RESPONSE_HEAD,
  type Row,
  stateOf,
  text,
} from './claim-row.ts'
import { type AskedClaim, STEPS_FROM, type Step } from './claim-rules.ts'
import {
  bodyOf,
  entitledBy,
  type FoundRows,
  foundRows,
  judgeRows,
  knownByRow,
  storedFor,
  withoutResponse,
} from './known-claim.ts'
import { type ClaimId, type ClaimOutcome, claimId, type KnownClaim } from './ledger.ts'
import { LedgerTransitionError } from './ledger-errors.ts'
import { type Bindable, placeholders, query, type Statement } from './postgres-statement.ts'

interface Asked extends AskedClaim {
  readonly key: string
  readonly payer: string
  readonly identifier: string | null
  readonly heldUntil: number
}

/**
 * How often a row may change between being read and being taken. Each change is another caller's
 * success, after which there is nothing left to take, so that twice is already unheard of.
 */
const LOOKS_MAX = 20

/**
 * The state in a form that no index has. A statement that names a row must find it by its id: a
 * plan made while few claims are open would walk through all of them when they are many.
 */
const STATE = "(state || '')"

/** PostgreSQL's documentation, appendix A, "unique_violation". */
const UNIQUE_VIOLATION = '23505'

/** Of RESPONSE_COLUMNS: a parameter that is only selected has no type of its own. */
const RESPONSE_TYPES = ['bigint', 'integer', 'text', 'text', 'text', 'bytea']

const NEXT_ID = "nextval('farebox_claim_ids')"
const LAST = CLAIM_COLUMNS.length

const INSERT: Statement = {
  name: 'farebox_insert',
  text: `INSERT INTO farebox_claims (${CLAIM_COLUMNS}) VALUES (${placeholders(LAST)})
    ON CONFLICT DO NOTHING RETURNING id`,
}

const FIND: Statement = {
  name: 'farebox_find',
  text: 'SELECT * FROM farebox_claims WHERE payment_key = $1',
}

const FIND_WITH_NAMESAKE: Statement = {
  name: 'farebox_find_with_namesake',
  text: `SELECT * FROM farebox_claims WHERE payment_key = $1
    UNION ALL
    SELECT * FROM farebox_claims
    WHERE payer = $2 AND identifier = $3 AND state <> 'released' AND payment_key <> $1`,
}

const FIND_RESPONSE: Statement = {
  name: 'farebox_find_response',
  text: `SELECT ${RESPONSE_HEAD} FROM farebox_responses WHERE payment_key = $1 AND until > $2`,
}

const READ_BODY: Statement = {
  name: 'farebox_read_body',
  text: 'SELECT body FROM farebox_responses WHERE payment_key = $1 AND until > $2',
}

/** As it was judged: a claim that nobody finishes must not come back to life. */
const ABANDON_NAMESAKE: Statement = {
  name: 'farebox_abandon_namesake',
  text: `UPDATE farebox_claims SET state = 'released', detail = $1, updated_at = $2
    WHERE id = $3 AND ${STATE} = $4 AND held_until = $5 RETURNING id`,
}

/** Takes the row only as it was judged: of many who judged it alike, one finds it so. */
const TAKE_OVER: Statement = {
  name: 'farebox_take_over',
  text: `UPDATE farebox_claims SET id = ${NEXT_ID},
      ${CLAIM_COLUMNS.map((column, index) => `${column} = $${index + 1}`)},
      ${LEFT_BY_AN_EARLIER_CLAIM.map(column => `${column} = NULL`)}
    WHERE id = $${LAST + 1} AND ${STATE} = $${LAST + 2} AND held_until = $${LAST + 3}
    RETURNING id`,
}

const ENTITLE: Statement = {
  name: 'farebox_entitle',
  text: `UPDATE farebox_claims
    SET id = ${NEXT_ID}, held_until = $1, redeemable_ms = $2, updated_at = $3
    WHERE id = $4 AND ${STATE} = $5 AND held_until = $6
    RETURNING id`,
}

const FIND_BY_ID: Statement = {
  name: 'farebox_find_by_id',
  text: 'SELECT * FROM farebox_claims WHERE id = $1',
}

const STEP: Readonly<Record<Step, Statement>> = {
  settling: step('settling', "state = 'settling'"),
  settled: step(
    'settled',
    `state = 'settled', settled_at = $1, transaction_hash = $3, receipt_network = $4,
     receipt_payer = $5, receipt_amount = $6`,
  ),
  unknown: step(
    'unknown',
    "state = 'unknown', held_until = $1, detail = $3, transaction_hash = $4",
  ),
  'response kept': keep('response kept'),
  delivered: step('delivered', "state = 'delivered', delivered_at = $1"),
  'hold ended': step('hold ended', 'held_until = 0'),
  released: step('released', "state = 'released', detail = $3"),
}

/** A new payment is claimed by one statement; only one that is known already takes more. */
export async function claimPayment(
  client: ClientBase,
  now: number,
  values: ClaimValues,
): Promise<ClaimOutcome> {
  const [key, fingerprint, , payer] = values
  const [heldUntil, redeemableMs, identifier] = [values[12], values[13], values[14]]
  const asked = { key, fingerprint, payer, identifier, now, heldUntil, redeemableMs }
  const written = [...values, now, now]
  for (let looks = 1; looks <= LOOKS_MAX; looks += 1) {
    const [inserted] = await query(client, INSERT, written)
    if (inserted !== undefined) return claimedAs(inserted)
    const known = await look(client, asked)
    if (known.kind === 'free') {
      const taken = await takeFree(client, known.rows, { now, written })
      if (taken !== null) return claimedAs(taken)
    } else if (known.kind !== 'changed') return known
  }
  throw changesTooOften()
}

/** What a claim of this payment would get, without claiming it. `entitled` holds it. */
export async function recallPayment(
  client: ClientBase,
  asked: Asked,
): Promise<KnownClaim | { readonly kind: 'unclaimed' }> {
  for (let looks = 1; looks <= LOOKS_MAX; looks += 1) {
    const known = await look(client, asked)
    if (known.kind === 'free') return { kind: 'unclaimed' }
    if (known.kind !== 'changed') return known
  }
  throw changesTooOften()
}

export async function readBody(
  client: ClientBase,
  now: number,
  key: string,
): Promise<Uint8Array | null> {
  const [response] = await query(client, READ_BODY, [key, now])
  return response === undefined ? null : bodyOf(response)
}

/** @param values What the step writes beside the time and the state. */
export async function takeStep(
  client: ClientBase,
  now: number,
  taken: { readonly step: Step; readonly id: ClaimId; readonly values: readonly Bindable[] },
): Promise<void> {
  const { step, id, values } = taken
  const changed = await query(client, STEP[step], [now, id, ...values])
  if (changed.length === 1) return
  const [row] = await query(client, FIND_BY_ID, [id])
  if (step === 'settled' && row !== undefined && hasReceipt(row, values)) return
  throw new LedgerTransitionError(step, id, row === undefined ? null : stateOf(row))
}

type Looked =
  | KnownClaim
  | { readonly kind: 'free'; readonly rows: FoundRows }
  /** Somebody else redeemed it after we read it. */
  | { readonly kind: 'changed' }

async function look(client: ClientBase, asked: Asked): Promise<Looked> {
  const { key, payer, identifier } = asked
  const rows =
    identifier === null
      ? await query(client, FIND, [key])
      : await query(client, FIND_WITH_NAMESAKE, [key, payer, identifier])
  return lookAt(client, foundRows(rows, key), asked)
}

async function lookAt(client: ClientBase, rows: FoundRows, asked: Asked): Promise<Looked> {
  const { heldUntil, redeemableMs, now } = asked
  const judged = judgeRows(rows, asked)
  if (judged.kind === 'free') return { kind: 'free', rows }
  const { kind, row } = judged
  if (kind === 'entitled') {
    const values = [heldUntil, redeemableMs, now, ...asJudged(row)]
    const [held] = await query(client, ENTITLE, values)
    return held === undefined ? { kind: 'changed' } : entitledBy(row, held)
  }
  if (kind !== 'stored') return knownByRow(kind, row)
  const [response] = await query(client, FIND_RESPONSE, [text(row, 'payment_key'), now])
  // Another gateway's clock is ahead of ours, and it has forgotten the response already.
  if (response === undefined) return lookAt(client, withoutResponse(rows), asked)
  return storedFor(row, response, now)
}

/** Takes what was found free. Null: somebody else was faster. */
async function takeFree(
  client: ClientBase,
  { own, namesake }: FoundRows,
  { now, written }: { readonly now: number; readonly written: readonly Bindable[] },
): Promise<Row | null> {
  if (namesake !== null) {
    await query(client, ABANDON_NAMESAKE, [ABANDONED, now, ...asJudged(namesake)])
  }
  // The next look inserts it.
  if (own === null) return null
  try {
    const [taken] = await query(client, TAKE_OVER, [...written, ...asJudged(own)])
    return taken ?? null
  } catch (error) {
    // Another payment got the identifier after we looked.
    if (error instanceof DatabaseError && error.code === UNIQUE_VIOLATION) return null
    throw error
  }
}

function asJudged(row: Row): readonly Bindable[] {
  return [number(row, 'id'), stateOf(row), number(row, 'held_until')]
}

function claimedAs(row: Row): ClaimOutcome {
  return { kind: 'claimed', id: claimId(number(row, 'id')) }
}

/** `$1` is now and `$2` the claim's id in every step; what follows is the step's own. */
function step(name: Step, assignments: string): Statement {
  const from = STEPS_FROM[name].map(state => `'${state}'`)
  return {
    name: `farebox_${name.replace(' ', '_')}`,
    text: `UPDATE farebox_claims SET updated_at = $1, ${assignments}
      WHERE id = $2 AND ${STATE} IN (${from}) RETURNING id`,
  }
}

/** The claim and its response in one statement: neither is there without the other. */
function keep(name: Step): Statement {
  const from = STEPS_FROM[name].map(state => `'${state}'`)
  const values = RESPONSE_TYPES.map((type, index) => `$${index + 3}::${type}`)
  return {
    name: 'farebox_keep_response',
    text: `WITH kept AS (
        UPDATE farebox_claims SET updated_at = $1, response_until = $3
        WHERE id = $2 AND ${STATE} IN (${from}) RETURNING id, payment_key
      ), stored AS (
        INSERT INTO farebox_responses (payment_key, ${RESPONSE_COLUMNS})
        SELECT payment_key, ${values} FROM kept
        ON CONFLICT (payment_key) DO UPDATE
        SET ${RESPONSE_COLUMNS.map(column => `${column} = excluded.${column}`)}
      )
      SELECT id FROM kept`,
  }
}

function changesTooOften(): StoreUnavailableError {
  return new StoreUnavailableError('A payment changed whenever the ledger looked at it.', {
    fix: 'See who sends one payment that often: it gets its answer when they pause.',
  })
}
