import type { DatabaseSync, StatementSync } from 'node:sqlite'
import {
  CLAIM_COLUMNS,
  existingClaim,
  hasReceipt,
  LEFT_BY_AN_EARLIER_CLAIM,
  number,
  type Row,
  receiptOf,
  stateOf,
} from './claim-row.ts'
import { type AskedClaim, judgeClaim, STEPS_FROM, type Step } from './claim-rules.ts'
import { type ClaimOutcome, claimId, type KnownClaim } from './ledger.ts'
import type {
  ClaimCall,
  RecallCall,
  SqliteAnswer,
  SqliteCall,
  SqliteFailure,
  StepCall,
} from './sqlite-protocol.ts'
import { SqliteUpkeep } from './sqlite-upkeep.ts'

/** One call asked for something that its row does not allow. The rest of its batch goes on. */
export class CallRefused extends Error {
  readonly failure: SqliteFailure

  constructor(failure: SqliteFailure) {
    super(failure.kind)
    this.failure = failure
  }
}

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
  readonly #upkeep: SqliteUpkeep

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
      `UPDATE claims SET id = ${NEXT_ID}, held_until = ?, redeemable_ms = ?, updated_at = ?
       WHERE id = ? RETURNING id`,
    )
    this.#step = {
      settling: step(db, 'settling', "state = 'settling'"),
      settled: step(
        db,
        'settled',
        `state = 'settled', settled_at = ?1, transaction_hash = ?3, receipt_network = ?4,
         receipt_payer = ?5, receipt_amount = ?6`,
      ),
      unknown: step(
        db,
        'unknown',
        `state = 'unknown', held_until = ?1, detail = ?3, transaction_hash = ?4`,
      ),
      delivered: step(db, 'delivered', "state = 'delivered', delivered_at = ?1"),
      'hold ended': step(db, 'hold ended', 'held_until = 0'),
      released: step(db, 'released', "state = 'released', detail = ?3"),
    }
    this.#stateOf = db.prepare('SELECT * FROM claims WHERE id = ?')
    this.#upkeep = new SqliteUpkeep(db)
  }

  /** Must run inside a write transaction. Throws `CallRefused`, or what node:sqlite throws. */
  perform(call: SqliteCall): SqliteAnswer {
    switch (call[0]) {
      case 'claim':
        return this.#claim(call)
      case 'recall':
        return this.#recall(call)
      case 'take':
      case 'abandon':
      case 'prune':
      case 'list':
      case 'count':
        return this.#upkeep.perform(call)
      default:
        return this.#takeStep(call)
    }
  }

  #claim(call: ClaimCall): ClaimOutcome {
    const [, now, ...values] = call
    const inserted = this.#insert.run(...values, now, now)
    if (inserted.changes === 1) {
      return { kind: 'claimed', id: claimId(Number(inserted.lastInsertRowid)) }
    }
    const [key, fingerprint] = values
    const row = found(this.#find.get(key))
    const known = this.#known(row, {
      now,
      fingerprint,
      heldUntil: call[14],
      redeemableMs: call[15],
    })
    if (known !== null) return known
    const taken = found(this.#takeOver.get(...values, now, now, number(row, 'id')))
    return { kind: 'claimed', id: claimId(number(taken, 'id')) }
  }

  #recall(call: RecallCall): KnownClaim | { readonly kind: 'unclaimed' } {
    const [, now, key, fingerprint, heldUntil, redeemableMs] = call
    const row = this.#find.get(key)
    const asked = { now, fingerprint, heldUntil, redeemableMs }
    const known = row === undefined ? null : this.#known(row, asked)
    return known ?? { kind: 'unclaimed' }
  }

  /** Null when the payment is free. An `entitled` request holds it from now on. */
  #known(row: Row, asked: AskedClaim & { readonly heldUntil: number }): KnownClaim | null {
    const kind = judgeClaim(existingClaim(row), asked)
    switch (kind) {
      case 'take-over':
        return null
      case 'entitled': {
        const { heldUntil, redeemableMs, now } = asked
        const held = found(this.#entitle.get(heldUntil, redeemableMs, now, number(row, 'id')))
        return { kind, id: claimId(number(held, 'id')), receipt: receiptOf(row) }
      }
      case 'used':
        return { kind, receipt: receiptOf(row) }
      default:
        return { kind }
    }
  }

  #takeStep(call: StepCall): null {
    const [kind, ...values] = call
    if (this.#step[kind].run(...values).changes === 1) return null
    const id = call[2]
    const row = this.#stateOf.get(id)
    if (kind === 'settled' && row !== undefined && hasReceipt(row, values.slice(2))) return null
    const state = row === undefined ? null : stateOf(row)
    throw new CallRefused({ kind: 'transition', step: kind, id, state })
  }
}

/** `?1` is now and `?2` the claim's id in every step; what follows is the step's own. */
function step(db: DatabaseSync, name: Step, assignments: string): StatementSync {
  const from = STEPS_FROM[name].map(state => `'${state}'`)
  return db.prepare(
    `UPDATE claims SET updated_at = ?1, ${assignments} WHERE id = ?2 AND state IN (${from})`,
  )
}

function found(row: Row | undefined): Row {
  if (row === undefined) throw new Error('A row that this transaction holds is gone.')
  return row
}
