import type { Clock } from '../core/time.ts'
import {
  ChainUnavailableError,
  type ChainView,
  type SignedTransferOnChain,
} from './chain-reader.ts'
import { mostTelling, settlesIt } from './chain-views.ts'
import { type Ask, describeFailure, ImplausibleAnswer } from './evm-rpc.ts'
import type { RpcPool } from './rpc-pool.ts'

/** Of one look at one node. */
const CALLS_MAX = 120

export interface Hearing {
  /** Of the network, for the error. */
  readonly name: string
  readonly pool: RpcPool
  /** After how long a look asks a node nothing more. */
  readonly lookMs: number
  readonly clock: Clock
}

/**
 * Looks at a payment through one node after the other, until one says what may be believed of it
 * alone; else the view that tells most of all nodes that answered. A node that fails is rested.
 *
 * @throws ChainUnavailableError when no node gave a view.
 */
export async function hearNodes(
  { name, pool, lookMs, clock }: Hearing,
  transfer: SignedTransferOnChain,
  look: (ask: Ask) => Promise<ChainView>,
): Promise<ChainView> {
  const views: ChainView[] = []
  const failures: string[] = []
  for (const node of pool.nodes()) {
    try {
      const view = await look(limited(node.ask, lookMs))
      if (settlesIt(view, transfer, clock())) return view
      views.push(view)
    } catch (error) {
      failures.push(describeFailure(error))
      pool.rest(node)
    }
  }
  const view = mostTelling(views)
  if (view === null) throw new ChainUnavailableError(name, failures.join('; '))
  return view
}

function limited(ask: Ask, lookMs: number): Ask {
  const endsAt = performance.now() + lookMs
  let callsLeft = CALLS_MAX
  return async (method, params, answer) => {
    if (callsLeft-- <= 0) throw new ImplausibleAnswer('more questions than one look may ask')
    if (performance.now() > endsAt) throw new ImplausibleAnswer(`no result in ${lookMs} ms`)
    return ask(method, params, answer)
  }
}
