import { BUYER_PRIVATE_KEY, buyer, seller } from '../test/support/accounts.ts'
import { type Chain, startChain } from '../test/support/chain.ts'
import { startFacilitator } from '../test/support/facilitator.ts'
import { startWeatherApi } from '../test/support/weather-api.ts'
import { writeGatewayFile } from './gateway-file.ts'
import type { Show, Told } from './print.ts'

/** What the buyer starts with: ten dollars, enough for an afternoon of trying things. */
const BUYER_BALANCE = 10_000_000n
const CLOSE_TIMEOUT_MS = 3_000

/** The part of the gateway's embedding API that the demo uses. */
export interface RunningGateway {
  readonly url: string
  readonly adminUrl: string | null
  close(): Promise<void>
}

export type StartGateway = (options: {
  configFile: string
  watch: boolean
}) => Promise<RunningGateway>

/** Everything that has been started, in the order in which it was. */
export interface Stack {
  push(close: () => Promise<void>): void
  /** Last started, first closed. A part that hangs is given up after three seconds. */
  closeAll(): Promise<void>
}

export interface World {
  readonly chain: Chain
  readonly gateway: RunningGateway
  readonly configFile: string
  readonly buyer: typeof buyer
  readonly buyerPrivateKey: string
  readonly seller: typeof seller
}

export function createStack(): Stack {
  const parts: (() => Promise<void>)[] = []
  let closed = false
  return {
    push(close) {
      // It was still starting when everything was stopped: it must not stay behind.
      if (closed) void closeWithin(CLOSE_TIMEOUT_MS, close)
      else parts.push(close)
    },
    async closeAll() {
      closed = true
      for (const close of parts.splice(0).reverse()) await closeWithin(CLOSE_TIMEOUT_MS, close)
    },
  }
}

/** Resolves when the part is closed, or failed to close, or took too long. */
function closeWithin(limitMs: number, close: () => Promise<void>): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, limitMs)
    const finish = () => {
      clearTimeout(timer)
      resolve()
    }
    close().then(finish, finish)
  })
}

/** Starts the parts one after the other. Whatever was started is on `stack`, also on failure. */
export async function startWorld(
  show: Show,
  stack: Stack,
  startGateway: StartGateway,
): Promise<World> {
  const chain = await show('chain', 'Starting a local chain', async () => {
    const started = await startChain()
    stack.push(started.close)
    await started.mint(buyer.address, BUYER_BALANCE)
    const { rpcUrl, chainId, token } = started
    const told = tell('A local chain with a test dollar', { rpcUrl, chainId, token })
    return { value: started, told }
  })
  const facilitator = await show('facilitator', 'Starting a facilitator', async () => {
    const started = await startFacilitator({ chain })
    stack.push(started.close)
    return {
      value: started,
      told: tell('The facilitator that x402 publishes', { url: started.url }),
    }
  })
  const api = await show('api', 'Starting an API', async () => {
    const started = await startWeatherApi({ eventIntervalMs: 400 })
    stack.push(started.close)
    return {
      value: started,
      told: tell('An API that knows nothing of payments', { url: started.url }),
    }
  })
  return show('gateway', 'Starting farebox in front of it', async () => {
    const file = await writeGatewayFile({
      payTo: seller.address,
      facilitatorUrl: facilitator.url,
      upstreamUrl: api.url,
    })
    stack.push(file.remove)
    const gateway = await startGateway({ configFile: file.path, watch: true })
    stack.push(gateway.close)
    const told = tell('farebox in front of it', { url: gateway.url, configFile: file.path })
    const world = { chain, gateway, configFile: file.path, buyer, seller }
    return { value: { ...world, buyerPrivateKey: BUYER_PRIVATE_KEY }, told }
  })
}

/** The same facts for people and for programs. */
function tell(summary: string, facts: Record<string, string | number>): Told {
  return { summary, facts, details: Object.entries(facts).map(([k, v]) => [k, String(v)]) }
}
