import { createHash } from 'node:crypto'
import type { RateLimiterPostgres } from 'rate-limiter-flexible'
import type { StoreConfig } from '../config/gateway-config.ts'
import type { SharedCounters, SharedKey, Tally } from '../flow/rate-counters.ts'
import type { Queries } from '../ledger/open-queries.ts'

export interface OpenSharedCounters extends SharedCounters {
  close(): Promise<void>
}

/** Made by migration 004. */
const TABLE = 'farebox_rate_counters'
/** How often counters are deleted whose windows have ended. */
const PRUNE_MS = 60_000

/**
 * Counters in the store, for all gateways that have it. Null where nobody else can see the store.
 *
 * Nothing is connected to before something is counted: most gateways count nothing.
 *
 * @param openQueries Opens the store's database.
 */
export function openSharedCounters(
  store: StoreConfig,
  openQueries: (store: StoreConfig) => Promise<Queries | null>,
): OpenSharedCounters | null {
  if (store.kind !== 'postgres') return null
  let opening: Promise<Opened> | null = null
  return {
    async add(key, count): Promise<Tally> {
      opening ??= open(store, openQueries)
      const { limiter } = await opening
      const customDuration = key.perMs / 1000
      const { consumedPoints, msBeforeNext } = await limiter.penalty(hashOf(key), count, {
        customDuration,
      })
      return { count: consumedPoints, resetMs: msBeforeNext }
    },
    async close() {
      await opening?.then(
        opened => opened.close(),
        () => undefined,
      )
    },
  }
}

interface Opened {
  readonly limiter: RateLimiterPostgres
  close(): Promise<void>
}

async function open(
  store: StoreConfig,
  openQueries: (store: StoreConfig) => Promise<Queries | null>,
): Promise<Opened> {
  const queries = await openQueries(store)
  if (queries === null) throw new Error('The store is no database.')
  // Loaded here: it brings a limiter for every store that there is.
  const library = await import('rate-limiter-flexible')
  const limiter = new library.RateLimiterPostgres({
    storeClient: queries,
    storeType: 'pool',
    tableName: TABLE,
    tableCreated: true,
    // Its timer cannot be stopped.
    clearExpiredByTimeout: false,
    keyPrefix: '',
    // Never used: it is told what to add, and the limit is looked at here.
    points: 1,
    duration: 60,
  })
  const timer = setInterval(() => void prune(queries), PRUNE_MS).unref()
  return {
    limiter,
    close() {
      clearInterval(timer)
      return queries.close()
    },
  }
}

/** What fails is done a minute later. */
async function prune(queries: Queries): Promise<void> {
  const text = `DELETE FROM ${TABLE} WHERE expire < $1`
  await queries.query({ text, values: [Date.now()] }).catch(() => undefined)
}

/** Of one length, and nobody's address or wallet. */
function hashOf({ id, subject }: SharedKey): string {
  return createHash('sha256').update(`${id}\n${subject}`).digest('base64url')
}
