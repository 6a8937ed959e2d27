import type { GatewayConfig } from '../config/gateway-config.ts'
import type { Clock } from '../core/time.ts'
import { unixMs } from '../core/time.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { LOOK_MS_PER_NODE_MAX } from '../networks/chain-reader.ts'
import type { GatewayObserver } from '../observe/events.ts'
import { type AlarmOptions, startAlarm } from './alarm.ts'
import { createResolver, type ResolverOptions } from './resolver.ts'
import { settleMsMax } from './settle-time.ts'

export interface RecoveryOptions extends ResolverOptions, AlarmOptions {
  readonly ledger: Ledger
  /** How long rows that are final are kept. */
  retentionMs(): number
}

/** Puts the ledger in order while the gateway runs. */
export interface Recovery {
  /** A claim has just been left open: see at once what became of it. */
  wake(): void
  /** Waits for what runs. */
  close(): Promise<void>
}

/** Starts with a look at everything that an earlier process left behind. */
export function startRecovery(options: RecoveryOptions): Recovery {
  const resolver = createResolver(options)
  const sweeping = startAlarm(() => resolver.sweep(), options)
  const upkeep = startAlarm(() => keepUp(options), options)
  return {
    wake() {
      resolver.wake()
      sweeping.ring()
    },
    async close() {
      await Promise.all([sweeping.close(), upkeep.close()])
      await resolver.close()
    },
  }
}

/** For what is written down around an attempt. */
const WRITES_MS = 10_000

/** How long one attempt to finish a claim may take: two looks and the settle between them. */
export function attemptMsMax(config: Pick<GatewayConfig, 'facilitators' | 'networks'>): number {
  const nodes = Math.max(0, ...config.networks.map(({ rpc }) => rpc.length))
  return settleMsMax(config) + 2 * nodes * LOOK_MS_PER_NODE_MAX + WRITES_MS
}

const UPKEEP_MS = 60_000
/** Rows that one call removes: a claim waits no longer than that takes. */
const PRUNE_ROWS_MAX = 500
/** They are longer than rows. */
const PRUNE_RESPONSES_MAX = 50
const PRUNE_AGAIN_MS = 1_000

interface UpkeepParts {
  readonly ledger: Pick<
    Ledger,
    'releaseAbandoned' | 'prune' | 'pruneResponses' | 'pruneFreeRequests'
  >
  readonly clock: Clock
  readonly observer: Pick<GatewayObserver, 'errorReported'>
  retentionMs(): number
}

/** @returns Milliseconds until the next time. Never rejects. */
export async function keepUp(parts: UpkeepParts): Promise<number> {
  const { ledger, clock, observer } = parts
  try {
    await ledger.releaseAbandoned()
    const olderThan = unixMs(clock() - parts.retentionMs())
    const removed = await ledger.prune({ olderThan, limit: PRUNE_ROWS_MAX })
    const forgotten = await ledger.pruneResponses({ limit: PRUNE_RESPONSES_MAX })
    const ended = await ledger.pruneFreeRequests({ limit: PRUNE_ROWS_MAX })
    const isDone = Math.max(removed, ended) < PRUNE_ROWS_MAX && forgotten < PRUNE_RESPONSES_MAX
    return isDone ? UPKEEP_MS : PRUNE_AGAIN_MS
  } catch (error) {
    observer.errorReported({ error, requestId: null })
    return UPKEEP_MS
  }
}
