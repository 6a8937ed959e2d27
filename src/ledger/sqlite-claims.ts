import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'
import { atomicAmount } from '../core/amount.ts'
import type { NetworkId, Receipt } from '../core/payment.ts'
import { judgeClaim, STEPS_FROM, type Step } from './claim-rules.ts'
import { type ClaimOutcome, type ClaimState, claimId, type KnownClaim } from './ledger.ts'
import type {
  ClaimCall,
  RecallCall,
  SettledCall,
  SqliteAnswer,
  SqliteCall,
  SqliteFailure,
  StepCall,
} from './sqlite-protocol.ts'

/** One call asked for something that its row does not allow. The rest of its batch goes on. */
export class CallRefused extends Error {
  readonly failure: SqliteFailure

  constructor(failure: SqliteFailure) {
    super(failure.kind)
    this.failure = failure
  }
}

type Row = Record<string, SQLOutputValue>
type Bindable = string | number | null

/** Which columns a claim writes, in the order in which `claimValues` gives them. */
const CLAIM_COLUMNS = [
  ...['payment_key', 'fingerprint', 'route', 'payer', 'network', 'asset', 'pay_to', 'amount'],
  ...['valid_before', 'payload', 'requirements', 'state', 'held_until', 'created_at', 'updated_at'],
]
const LEFT_BY_AN_EARLIER_CLAIM = [
  ...['transaction_hash', 'receipt_network', 'receipt_payer', 'receipt_amount', 'detail'],
  ...['settled_at', 'delivered_at'],
]
const NEXT_ID = '(SELECT max(id) + 1 FROM claims)'

/**
 * The claims of one connection. Every call writes with at most one statement, so that a statement
 * that fails undoes itself and a batch needs no savepoints.
 */
export class SqliteClaims {
  readonly #insert: StatementSync
  readonly #find: StatementSync
  readonly #takeOver: StatementSync
  readonly #entitle: StatementSync
  readonly #step: Readonly<Record<Step, StatementSync>>
  readonly #stateOf: StatementSync
  readonly #count: StatementSync

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare(
      `INSERT INTO claims (${CLAIM_COLUMNS}) VALUES (${CLAIM_COLUMNS.map(() => '?')})
       ON CONFLICT (payment_key) DO NOTHING`,
    )
    this.#find = db.prepare('SELECT * FROM claims WHERE payment_key = ?')
    const written = CLAIM_COLUMNS.map(column => `${column} = ?`)
    const emptied = LEFT_BY_AN_EARLIER_CLAIM.map(column => `${column} = NULL`)
    this.#takeOver = db.prepare(
      `UPDATE claims SET id = ${NEXT_ID}, ${written}, ${emptied} WHERE id = ? RETURNING id`,
    )
    this.#entitle = db.prepare(
      `UPDATE claims SET id = ${NEXT_ID}, held_until = ?, updated_at = ? WHERE id = ? RETURNING id`,
    )
    this.#step = {
      settling: step(db, 'settling', "state = 'settling'"),
      settled: step(
        db,
        'settled',
        `state = 'settled', settled_at = ?1, transaction_hash = ?3, receipt_network = ?4,
         receipt_payer = ?5, receipt_amount = ?6`,
      ),
      unknown: step(db, 'unknown', "state = 'unknown', detail = ?3, transaction_hash = ?4"),
      delivered: step(db, 'delivered', "state = 'delivered', delivered_at = ?1"),
      'hold ended': step(db, 'hold ended', 'held_until = 0'),
      released: step(db, 'released', "state = 'released', detail = ?3"),
    }
    this.#stateOf = db.prepare('SELECT * FROM claims WHERE id = ?')
    this.#count = db.prepare('SELECT state, claims FROM claim_counts')
  }

  /** Must run inside a write transaction. Throws `CallRefused`, or what node:sqlite throws. */
  perform(call: SqliteCall): SqliteAnswer {
    switch (call[0]) {
      case 'claim':
        return this.#claim(call)
      case 'recall':
        return this.#recall(call)
      case 'count':
        return this.#countByState()
      default:
        return this.#take(call)
    }
  }

  #claim(call: ClaimCall): ClaimOutcome {
    const [, now, key, fingerprint] = call
    const inserted = this.#insert.run(...claimValues(call))
    if (inserted.changes === 1) {
      return { kind: 'claimed', id: claimId(Number(inserted.lastInsertRowid)) }
    }
    const row = found(this.#find.get(key))
    const known = this.#known(row, { now, fingerprint, heldUntil: call[14] })
    if (known !== null) return known
    const taken = found(this.#takeOver.get(...claimValues(call), number(row, 'id')))
    return { kind: 'claimed', id: claimId(number(taken, 'id')) }
  }

  #recall(call: RecallCall): KnownClaim | { readonly kind: 'unclaimed' } {
    const [, now, key, fingerprint, heldUntil] = call
    const row = this.#find.get(key)
    const known = row === undefined ? null : this.#known(row, { now, fingerprint, heldUntil })
    return known ?? { kind: 'unclaimed' }
  }

  /** Null when the payment is free. An `entitled` request holds it from now on. */
  #known(
    row: Row,
    asked: { readonly now: number; readonly fingerprint: string; readonly heldUntil: number },
  ): KnownClaim | null {
    const fingerprint = text(row, 'fingerprint')
    const existing = { state: stateOf(row), fingerprint, heldUntil: number(row, 'held_until') }
    const kind = judgeClaim(existing, asked)
    switch (kind) {
      case 'take-over':
        return null
      case 'entitled': {
        const held = found(this.#entitle.get(asked.heldUntil, asked.now, number(row, 'id')))
        return { kind, id: claimId(number(held, 'id')), receipt: receiptOf(row) }
      }
      case 'used':
        return { kind, receipt: receiptOf(row) }
      default:
        return { kind }
    }
  }

  #take(call: StepCall): null {
    const [kind, ...values] = call
    if (this.#step[kind].run(...values).changes === 1) return null
    const id = call[2]
    const row = this.#stateOf.get(id)
    if (kind === 'settled' && row !== undefined && hasReceipt(row, call)) return null
    const state = row === undefined ? null : stateOf(row)
    throw new CallRefused({ kind: 'transition', step: kind, id, state })
  }

  #countByState(): Readonly<Record<ClaimState, number>> {
    const counts = { forwarded: 0, settling: 0, settled: 0, delivered: 0, released: 0, unknown: 0 }
    for (const row of this.#count.all()) counts[stateOf(row)] = number(row, 'claims')
    return counts
  }
}

/** `?1` is now and `?2` the claim's id in every step; what follows is the step's own. */
function step(db: DatabaseSync, name: Step, assignments: string): StatementSync {
  const from = STEPS_FROM[name].map(state => `'${state}'`)
  return db.prepare(
    `UPDATE claims SET updated_at = ?1, ${assignments} WHERE id = ?2 AND state IN (${from})`,
  )
}

function claimValues(call: ClaimCall): Bindable[] {
  const [, now, ...values] = call
  return [...values, now, now]
}

function hasReceipt(row: Row, call: SettledCall): boolean {
  const [, , , transaction, network, payer, amount] = call
  if (row['settled_at'] === null) return false
  return (
    row['transaction_hash'] === transaction &&
    row['receipt_network'] === network &&
    row['receipt_payer'] === payer &&
    row['receipt_amount'] === amount
  )
}

function receiptOf(row: Row): Receipt {
  return {
    transaction: text(row, 'transaction_hash'),
    network: text(row, 'receipt_network') as NetworkId, // markSettled wrote it from a NetworkId
    payer: text(row, 'receipt_payer'),
    amount: atomicAmount(BigInt(text(row, 'receipt_amount'))),
  }
}

function stateOf(row: Row): ClaimState {
  return text(row, 'state') as ClaimState // the table's CHECK allows nothing else
}

function found(row: Row | undefined): Row {
  if (row === undefined) throw new Error('A row that this transaction holds is gone.')
  return row
}

function text(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw new Error(`Column "${column}" holds no text.`)
  return value
}

function number(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw new Error(`Column "${column}" holds no number.`)
  return value
}
