import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { z } from 'zod'
import type { NetworkId } from '../../core/payment.ts'
import { StoreUnavailableError } from '../../errors.ts'

/** One signed version of a transaction. Later ones offer more for the same nonce. */
export interface Attempt {
  readonly hash: string
  /** What is sent, byte for byte, as often as it takes. */
  readonly raw: string
  /** Wei per unit of gas. */
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
}

/** A nonce that was given out, and what was signed for it. */
export interface SentTransaction {
  readonly network: NetworkId
  /** Of the key, in lower case. */
  readonly address: string
  readonly nonce: number
  /** What it is for: a payment's key, or a purpose of ours. Unique per network. */
  readonly purpose: string
  readonly to: string
  readonly data: string
  readonly gas: bigint
  /** Never empty; the newest last. */
  readonly attempts: readonly Attempt[]
}

/**
 * What was signed and may still be under way. Written before it is sent, so that a process that
 * starts again neither gives a nonce out twice nor sends a payment twice.
 */
export interface Outbox {
  /** By nonce, lowest first. */
  load(network: NetworkId, address: string): SentTransaction[]
  /** Adds it, or replaces what stands for the same nonce. Throws `StoreUnavailableError`. */
  put(sent: SentTransaction): void
  remove(sent: SentTransaction): void
  close(): void
}

const attempts = z.array(
  z.object({
    hash: z.string(),
    raw: z.string(),
    maxFeePerGas: z.string().transform(BigInt),
    maxPriorityFeePerGas: z.string().transform(BigInt),
  }),
)

const SCHEMA = `
CREATE TABLE IF NOT EXISTS sent (
  network TEXT NOT NULL,
  address TEXT NOT NULL,
  nonce INTEGER NOT NULL,
  purpose TEXT NOT NULL,
  target TEXT NOT NULL,
  data TEXT NOT NULL,
  gas TEXT NOT NULL,
  attempts TEXT NOT NULL,
  PRIMARY KEY (network, address, nonce)
) STRICT, WITHOUT ROWID`

/**
 * Opens the file and keeps others out of it: two processes that give out the nonces of one key
 * would replace each other's transactions.
 *
 * A process that is killed loses nothing. A machine that loses power may lose the last rows: then a
 * payment can be sent a second time, which reverts and costs its gas, and moves no money.
 *
 * @throws StoreUnavailableError when it cannot be opened, or another process has it.
 */
export function openOutbox(path: string): Outbox {
  const db = openAlone(path)
  const select = db.prepare('SELECT * FROM sent WHERE network = ? AND address = ? ORDER BY nonce')
  const insert = db.prepare('INSERT OR REPLACE INTO sent VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
  const remove = db.prepare('DELETE FROM sent WHERE network = ? AND address = ? AND nonce = ?')
  const written = (write: () => unknown): void => {
    try {
      write()
    } catch (cause) {
      throw unusable(path, 'cannot be written', cause)
    }
  }
  return {
    load: (network, address) => select.all(network, address).map(row => readRow(row, network)),
    put(sent) {
      const { network, address, nonce, purpose, to, data, gas } = sent
      const versions = JSON.stringify(sent.attempts, asText)
      written(() => insert.run(network, address, nonce, purpose, to, data, String(gas), versions))
    },
    remove: ({ network, address, nonce }) => written(() => remove.run(network, address, nonce)),
    close: () => db.close(),
  }
}

function openAlone(path: string): DatabaseSync {
  try {
    mkdirSync(dirname(path), { recursive: true })
    const db = new DatabaseSync(path, { timeout: 1_000 })
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    db.exec('PRAGMA journal_mode = WAL')
    db.exec('PRAGMA synchronous = NORMAL')
    // Takes the lock, which is kept until the file is closed or the process ends.
    db.exec(`BEGIN IMMEDIATE; ${SCHEMA}; COMMIT`)
    return db
  } catch (cause) {
    throw unusable(path, 'cannot be opened, or another process has it', cause)
  }
}

function readRow(row: Record<string, unknown>, network: NetworkId): SentTransaction {
  return {
    network,
    address: String(row['address']),
    nonce: Number(row['nonce']),
    purpose: String(row['purpose']),
    to: String(row['target']),
    data: String(row['data']),
    gas: BigInt(String(row['gas'])),
    attempts: attempts.parse(JSON.parse(String(row['attempts']))),
  }
}

function asText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

function unusable(path: string, what: string, cause: unknown): StoreUnavailableError {
  return new StoreUnavailableError(`The local facilitator's journal ${path} ${what}.`, {
    fix: 'Check its directory, and give each farebox process a journal and keys of its own.',
    cause,
  })
}
