import { setTimeout as sleep } from 'node:timers/promises'
import { type Aim, fireAt } from './aim.ts'
import type { Chance } from './chance.ts'
import { type Counter, shop } from './customer.ts'
import { stamp } from './moments.ts'
import type { Order } from './order.ts'
import { checkWrittenAhead, type Death, type Violation } from './rules.ts'
import type { KillWorld } from './world.ts'

export interface GenerationPlan {
  readonly number: number
  readonly aim: Aim
  /** New customers, who come within `ARRIVALS_MS`. */
  readonly newOrders: number
  /** For how long no gateway ran before this one. */
  readonly pauseMs: number
}

/** How one gateway lived and died. */
export interface Life {
  readonly plan: GenerationPlan
  readonly death: Death
  /** Whether what was aimed at has happened. */
  readonly hit: boolean
  /** What it was working on when it died: the states of the rows, or `unclaimed`. */
  readonly inFlight: readonly string[]
  readonly violations: readonly Violation[]
}

const ARRIVALS_MS = 120
/** So that a gateway is not buried under what its predecessors left behind. */
const COME_BACK_MAX = 4

/** Starts a gateway, sends it customers, and kills it. */
export async function live(world: KillWorld, plan: GenerationPlan, chance: Chance): Promise<Life> {
  const { aim, number: generation, pauseMs, newOrders } = plan
  if (pauseMs > 0) await world.advance(pauseMs)
  const waiting = whoComesBack(world.orders, plan, chance)
  const trigger = new AbortController()
  const { signal: killed } = trigger
  const open = new Set<Order>()
  const kill = (): void => {
    if (killed.aborted) return
    for (const order of underWay(world.orders, generation)) open.add(order)
    trigger.abort()
  }
  const starting = world.startGateway(generation, killed)
  if (aim.kind === 'while it starts') void sleep(aim.afterMs).then(kill)
  const newcomers = Promise.all(Array.from({ length: newOrders }, () => world.newOrder()))
  const [gateway, arriving] = await Promise.all([starting, newcomers])
  let hit = true
  if (gateway.kind === 'listening') {
    const counter = { url: gateway.url, generation, killed }
    const served = Promise.all(
      [...waiting, ...arriving].map(order => come(order, counter, chance, world)),
    )
    const { moments } = world
    if (aim.kind !== 'while it starts') hit = await fireAt(aim, { moments, served }, kill)
    await served
    kill()
    await gateway.kill()
  } else if (!killed.aborted) {
    throw new Error(`The gateway did not start.\n${gateway.stdout}\n${gateway.stderr}`)
  }
  const death = {
    generation,
    states: await world.books.states(),
  }
  const inFlight = [...open].map(order => {
    order.story.push(`${stamp()} generation ${generation} was killed`)
    const state = death.states.get(order.payments.at(-1)?.nonce ?? '') ?? 'unclaimed'
    return `${order.plan.settle} ${state}`
  })
  const violations = checkWrittenAhead(death, world.orders, world.facilitator.settles)
  return { plan, death, hit, inFlight, violations }
}

async function come(
  order: Order,
  counter: Counter,
  chance: Chance,
  world: KillWorld,
): Promise<void> {
  const arrivesMs = chance.between(0, ARRIVALS_MS)
  await sleep(arrivesMs, null, { signal: counter.killed }).catch(() => undefined)
  await shop(order, counter, world)
}

/**
 * After a long while everybody does, otherwise some: most payments are still held for the gateway
 * that died over them.
 */
function whoComesBack(
  orders: readonly Order[],
  { pauseMs }: GenerationPlan,
  chance: Chance,
): readonly Order[] {
  const waiting = orders.filter(({ finished }) => !finished)
  if (pauseMs === 0) return waiting.filter(() => chance.happens(0.3)).slice(0, COME_BACK_MAX)
  return waiting.slice(0, 3 * COME_BACK_MAX)
}

/** Orders with a request that has not come to its end. */
function* underWay(orders: readonly Order[], generation: number): Generator<Order> {
  for (const order of orders) {
    if (order.attempts.some(one => one.generation === generation && !one.ended)) yield order
  }
}
