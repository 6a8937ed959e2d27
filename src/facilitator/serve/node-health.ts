import { setTimeout as delay } from 'node:timers/promises'
import type { Chains } from '../../networks/chains.ts'
import type { Network } from '../../networks/registry.ts'
import { RpcRefusal } from '../../networks/rpc-pool.ts'

/** Whether the chains can be asked. */
export interface NodeHealth {
  /** One sentence for each network none of whose nodes answers. Tells no URL. Never rejects. */
  reasons(): Promise<readonly string[]>
}

export interface NodeHealthParts {
  /** Each has a node. */
  readonly networks: readonly Network[]
  readonly chains: Pick<Chains, 'pool'>
  /** Milliseconds on a clock that only goes forward; default: the process's. */
  readonly now?: () => number
}

/** However many ask, a network's nodes are asked once in so long. */
const KEPT_MS = 2_000
/** A probe waits no longer: those who send it give up soon themselves. */
const WAIT_MS_MAX = 4_000

/** Asks nothing by itself, only when somebody wants to know. */
export function createNodeHealth({
  networks,
  chains,
  now = () => performance.now(),
}: NodeHealthParts): NodeHealth {
  const looks = networks.map(network => ({
    network,
    look: keepFor(() => answers(network, chains), now),
  }))
  return {
    async reasons() {
      const found = await Promise.all(
        looks.map(async ({ network, look }) =>
          (await look()) ? [] : [`no node of ${network.name} answers: nothing is settled there`],
        ),
      )
      return found.flat()
    },
  }
}

/** One look at a time, and what it found for a while. One that takes too long has found nothing. */
function keepFor(look: () => Promise<boolean>, now: () => number): () => Promise<boolean> {
  let known = { found: false, until: Number.NEGATIVE_INFINITY }
  let running: Promise<boolean> | null = null
  const keep = (found: boolean): boolean => {
    known = { found, until: now() + KEPT_MS }
    return found
  }
  return async () => {
    if (now() < known.until) return known.found
    running ??= look()
      .then(keep)
      .finally(() => {
        running = null
      })
    const late = new AbortController()
    const { signal } = late
    const tooLate = delay(WAIT_MS_MAX, null, { ref: false, signal }).catch(() => null)
    const found = await Promise.race([running, tooLate])
    late.abort()
    return found ?? keep(false)
  }
}

async function answers(network: Network, chains: Pick<Chains, 'pool'>): Promise<boolean> {
  try {
    const pool = await chains.pool(network)
    await pool.request('eth_blockNumber', [])
    return true
  } catch (error) {
    // It does not tell its height, and is there.
    return error instanceof RpcRefusal
  }
}
