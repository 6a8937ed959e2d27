import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestClient, http } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { buyer, publicTestKey } from '../support/accounts.ts'
import { type Chain, startChain } from '../support/chain.ts'
import { type ChildGateway, type NotStarted, startChildGateway } from '../support/child-gateway.ts'
import { type Challenge, signChallenge } from '../support/payments.ts'
import type { Books } from './books.ts'
import { createChance } from './chance.ts'
import { type ShakyFacilitator, startShakyFacilitator } from './facilitator.ts'
import { createMoments, type Moments } from './moments.ts'
import {
  AMOUNTS,
  drawPlan,
  newOrder,
  type Order,
  type OrderPlan,
  type Payment,
  ROUTES,
} from './order.ts'
import { type Transfer, transfersTo } from './transfers.ts'
import { startUpstream } from './upstream.ts'

/** Everything around the gateway that outlives it, and what is known of all orders. */
export interface KillWorld {
  readonly books: Books
  readonly moments: Moments
  readonly facilitator: ShakyFacilitator
  readonly orders: readonly Order[]
  /** Draws the next order from the seed, but for what is given, with its payment signed. */
  newOrder(given?: Partial<OrderPlan>): Promise<Order>
  sign(order: Order): Promise<Payment>
  transfers(): Promise<Transfer[]>
  /** Lets time pass, for the chain and for the next gateway. */
  advance(milliseconds: number): Promise<void>
  mine(blocks: number): Promise<void>
  /** From now on the facilitator and the upstream work as they should. */
  calmDown(): void
  startGateway(generation: number, killed: AbortSignal): Promise<ChildGateway | NotStarted>
  close(): Promise<void>
}

const seller = privateKeyToAccount(publicTestKey('seller of the kill test')).address
const NETWORK = 'base-sepolia'

export interface WorldOptions {
  readonly name: string
  readonly seed: number
  readonly books: Books
  /** Where `warmUp` left what gateways start faster with. */
  readonly compileCache: string
}

/** Runs a gateway once, so that later ones start in half the time. */
export async function warmUp(folder: string): Promise<string> {
  const compileCache = join(folder, 'compiled')
  const configFile = join(folder, 'gateway.yaml')
  const nobody = { url: 'http://127.0.0.1:9' }
  const around = { facilitator: nobody, upstream: nobody, books: { url: 'sqlite::memory:' } }
  await writeFile(configFile, gatewayYaml({ ...around, rpcUrl: nobody.url, generation: -1 }))
  const gateway = await startChildGateway(configFile, { compileCache })
  if (gateway.kind === 'ended') throw new Error(`${gateway.stdout}\n${gateway.stderr}`)
  await gateway.stop()
  return compileCache
}

export async function openWorld(options: WorldOptions): Promise<KillWorld> {
  const { name, seed, books, compileCache } = options
  await using opened = new AsyncDisposableStack()
  const folder = await mkdtemp(join(tmpdir(), 'farebox-kill-'))
  opened.defer(() => rm(folder, { recursive: true, force: true }))
  const chain = await startChain()
  opened.defer(() => chain.close())
  await chain.mint(buyer.address, 10n ** 12n)
  const moments = createMoments()
  const orders: Order[] = []
  const byId = new Map<string, Order>()
  const byNonce = new Map<string, Order>()
  let calm = false
  const isCalm = () => calm
  const find = (nonce: string) => byNonce.get(nonce)
  const facilitator = await startShakyFacilitator({ chain, seed, moments, find, isCalm })
  opened.defer(() => facilitator.close())
  const upstream = await startUpstream({ moments, find: id => byId.get(id), isCalm })
  opened.defer(() => upstream.close())
  const time = startClock(chain)

  const sign = async (order: Order): Promise<Payment> => {
    const { id, settle, validForSeconds } = order.plan
    const { word } = createChance(seed, `nonce ${id} ${order.payments.length}`)
    const nonce = word()
    const validBefore = BigInt(Math.floor(time.now() / 1000) + validForSeconds)
    const authorization = { nonce, validBefore }
    const header = await signChallenge(chain, challengeFor(chain, settle), { authorization })
    byNonce.set(nonce, order)
    return { nonce, header }
  }

  const closing = opened.move()
  return {
    ...{ books, moments, facilitator, orders, sign },
    async newOrder(given = {}) {
      const id = `${name}-${orders.length}`
      const order = newOrder({ ...drawPlan(id, createChance(seed, `order ${id}`)), ...given })
      orders.push(order)
      byId.set(id, order)
      order.payments.push(await sign(order))
      return order
    },
    transfers: () => transfersTo(chain, seller),
    advance: milliseconds => time.advance(milliseconds),
    mine: blocks => time.mine(blocks),
    calmDown() {
      calm = true
    },
    async startGateway(generation, killed) {
      const configFile = join(folder, 'gateway.yaml')
      const { rpcUrl } = chain
      await writeFile(configFile, gatewayYaml({ rpcUrl, facilitator, upstream, books, generation }))
      const { aheadMs: clockAheadMs } = time
      return startChildGateway(configFile, { clockAheadMs, killSignal: killed, compileCache })
    },
    close: () => closing.disposeAsync(),
  }
}

/** The gateway's clock and the chain's, which go together. */
function startClock(chain: Chain) {
  const control = createTestClient({ mode: 'anvil', transport: http(chain.rpcUrl) })
  let aheadMs = 0
  return {
    get aheadMs() {
      return aheadMs
    },
    now: () => Date.now() + aheadMs,
    mine: (blocks: number) => control.mine({ blocks }),
    async advance(milliseconds: number) {
      await control.increaseTime({ seconds: Math.ceil(milliseconds / 1000) })
      await control.mine({ blocks: 1 })
      aheadMs += milliseconds
      // A second of the chain passes with every block, however quickly they come.
      const { timestamp } = await chain.publicClient.getBlock()
      aheadMs = Math.max(aheadMs, Number(timestamp) * 1000 - Date.now())
    },
  }
}

function gatewayYaml(parts: {
  readonly rpcUrl: string
  readonly facilitator: { readonly url: string }
  readonly upstream: { readonly url: string }
  readonly books: { readonly url: string }
  readonly generation: number
}): string {
  const { rpcUrl, facilitator, upstream, books, generation } = parts
  const route = (settle: keyof typeof ROUTES, price: string): string =>
    `  ${ROUTES[settle]}/{id}: {price: ${price}, settle: ${settle}, timeout: 10s}`
  // The origin is part of what a payment is for, and every gateway listens on another port.
  return `version: 1
admin: off
server: {listen: "127.0.0.1:0", publicUrl: "http://shop.test", hosts: ["*"]}
store: {url: "${books.url}"}
payTo: "${seller}"
accepts: [{network: ${NETWORK}, maxTimeout: 1h}]
facilitators: [{url: "${facilitator.url}", timeout: 10s, settleTimeout: 5s}]
networks: {${NETWORK}: {rpc: ["${rpcUrl}"], finality: 2}}
upstreams: {shop: {url: "${upstream.url}", headers: {x-generation: "${generation}"}}}
# All customers pay from one wallet.
limits: {verify: {perPayer: 1000, perAddress: 1000, refused: {requests: 10000, per: 1m}}}
routes:
${route('on-response', '$0.001')}
${route('before-upstream', '$0.002')}
`
}

/** What the gateway asks for. It is not asked, because it is dead half of the time. */
function challengeFor(chain: Chain, settle: keyof typeof AMOUNTS): Challenge {
  const accepts = {
    ...{ scheme: 'exact', network: `eip155:${chain.chainId}`, asset: chain.token, payTo: seller },
    ...{ amount: String(AMOUNTS[settle]), maxTimeoutSeconds: 3600 },
    extra: { name: 'USDC', version: '2' },
  }
  return { accepts: [accepts], error: '', resource: { url: 'http://shop.test' } }
}
