import type { DatabaseSync, StatementSync } from 'node:sqlite'
import {
  ABANDONED,
  CLAIM_COLUMNS,
  hasReceipt,
  LEFT_BY_AN_EARLIER_CLAIM,
  number,
  RESPONSE_COLUMNS,
  RESPONSE_HEAD,
  type Row,
  stateOf,
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
import { type ClaimOutcome, claimId, type KnownClaim } from './ledger.ts'
import { SqliteFreeRequests } from './sqlite-free-requests.ts'
import type {
  ClaimCall,
  KeepCall,
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

/** What is asked of a payment, and how to find whatever is known of it. */
interface Asked extends AskedClaim {
  readonly key: string
  readonly payer: string
  readonly identifier: string | null
  readonly heldUntil: number
}

/**
 * The claims of one connection. A batch needs no savepoints: a statement that fails undoes itself,
 * and where a call writes with two, the first does no harm without the second.
 */
export class SqliteClaims {
  readonly #insert: StatementSync
  readonly #find: StatementSync
  readonly #findNamesake: StatementSync
  readonly #takeOver: StatementSync
  readonly #abandon: StatementSync
  readonly #entitle: StatementSync
  readonly #findResponse: StatementSync
  readonly #readBody: StatementSync
  readonly #keep: StatementSync
  readonly #step: Readonly<Record<Step, StatementSync>>
  readonly #stateOf: StatementSync
  readonly #upkeep: SqliteUpkeep
  readonly #free: SqliteFreeRequests

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare(
      `INSERT INTO claims (${CLAIM_COLUMNS}) VALUES (${CLAIM_COLUMNS.map(() => '?')})
       ON CONFLICT DO NOTHING`,
    )
    this.#find = db.prepare('SELECT * FROM claims WHERE payment_key = ?')
    this.#findNamesake = db.prepare(
      `SELECT * FROM claims
       WHERE payer = ? AND identifier = ? AND state <> 'released' AND payment_key <> ?`,
    )
    const written = CLAIM_COLUMNS.map(column => `${column} = ?`)
    const emptied = LEFT_BY_AN_EARLIER_CLAIM.map(column => `${column} = NULL`)
    this.#takeOver = db.prepare(
      `UPDATE claims SET id = ${NEXT_ID}, ${written}, ${emptied} WHERE id = ? RETURNING id`,
    )
    this.#entitle = db.prepare(
      `UPDATE claims SET id = ${NEXT_ID}, held_until = ?, redeemable_ms = ?, updated_at = ?
       WHERE id = ? RETURNING id`,
    )
    this.#abandon = db.prepare(
      "UPDATE claims SET state = 'released', detail = ?, updated_at = ? WHERE id = ?",
    )
    const responses = 'FROM responses WHERE payment_key = ? AND until > ?'
    this.#findResponse = db.prepare(`SELECT ${RESPONSE_HEAD} ${responses}`)
    this.#readBody = db.prepare(`SELECT body ${responses}`)
    this.#keep = db.prepare(
      `INSERT INTO responses (payment_key, ${RESPONSE_COLUMNS})
       SELECT payment_key, ${RESPONSE_COLUMNS.map(() => '?')} FROM claims
       WHERE id = ? AND state IN (${STEPS_FROM['response kept'].map(state => `'${state}'`)})
       ON CONFLICT (payment_key) DO UPDATE
       SET ${RESPONSE_COLUMNS.map(column => `${column} = excluded.${column}`)}`,
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
      'response kept': step(db, 'response kept', 'response_until = ?3'),
      delivered: step(db, 'delivered', "state = 'delivered', delivered_at = ?1"),
      'hold ended': step(db, 'hold ended', 'held_until = 0'),
      released: step(db, 'released', "state = 'released', detail = ?3"),
    }
    this.#stateOf = db.prepare('SELECT * FROM claims WHERE id = ?')
    this.#upkeep = new SqliteUpkeep(db)
    this.#free = new SqliteFreeRequests(db)
  }

  /** Must run inside a write transaction. Throws `CallRefused`, or what node:sqlite throws. */
  perform(call: SqliteCall): SqliteAnswer {
    switch (call[0]) {
      case 'claim':
        return this.#claim(call)
      case 'recall':
        return this.#recall(call)
      case 'read body': {
        const response = this.#readBody.get(call[2], call[1])
        return response === undefined ? null : bodyOf(response)
      }
      case 'keep response':
        return this.#keepResponse(call)
      case 'take':
      case 'extend':
      case 'abandon':
      case 'prune':
      case 'prune responses':
      case 'list':
      case 'count':
        return this.#upkeep.perform(call)
      case 'take free':
      case 'prune free':
        return this.#free.perform(call)
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
    const [key, fingerprint, , payer] = values
    const [heldUntil, redeemableMs, identifier] = [call[14], call[15], call[16]]
    const asked = { now, key, fingerprint, payer, identifier, heldUntil, redeemableMs }
    const rows = this.#rows(asked)
    const known = this.#known(rows, asked)
    if (known !== null) return known
    const { own, namesake } = rows
    if (namesake !== null) this.#abandon.run(ABANDONED, now, number(namesake, 'id'))
    if (own === null) {
      const { lastInsertRowid } = this.#insert.run(...values, now, now)
      return { kind: 'claimed', id: claimId(Number(lastInsertRowid)) }
    }
    const taken = found(this.#takeOver.get(...values, now, now, number(own, 'id')))
    return { kind: 'claimed', id: claimId(number(taken, 'id')) }
  }

  #recall(call: RecallCall): KnownClaim | { readonly kind: 'unclaimed' } {
    const [, now, key, fingerprint, heldUntil, redeemableMs, payer, identifier] = call
    const asked = { now, key, fingerprint, payer, identifier, heldUntil, redeemableMs }
    return this.#known(this.#rows(asked), asked) ?? { kind: 'unclaimed' }
  }

  #rows({ key, payer, identifier }: Asked): FoundRows {
    const own = this.#find.all(key)
    const others = identifier === null ? [] : this.#findNamesake.all(payer, identifier, key)
    return foundRows([...own, ...others], key)
  }

  /** Null when the payment is free. An `entitled` request holds it from now on. */
  #known(rows: FoundRows, asked: Asked): KnownClaim | null {
    const { now, heldUntil, redeemableMs } = asked
    const judged = judgeRows(rows, asked)
    if (judged.kind === 'free') return null
    const { kind, row } = judged
    if (kind === 'entitled') {
      const held = this.#entitle.get(heldUntil, redeemableMs, now, number(row, 'id'))
      return entitledBy(row, found(held))
    }
    if (kind !== 'stored') return knownByRow(kind, row)
    const response = this.#findResponse.get(row['payment_key'] as string, now) // a text column
    if (response === undefined) return this.#known(withoutResponse(rows), asked)
    return storedFor(row, response, now)
  }

  #keepResponse([, now, id, ...values]: KeepCall): null {
    this.#keep.run(...values, id)
    const [until] = values
    return this.#takeStep(['response kept', now, id, until])
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
