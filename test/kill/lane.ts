import { drawAim } from './aim.ts'
import { createChance } from './chance.ts'
import { type GenerationPlan, type Life, live } from './generation.ts'
import type { Violation } from './rules.ts'
import { type Settled, settleUp } from './settle-up.ts'
import { openWorld, type WorldOptions } from './world.ts'

export interface LaneOptions extends WorldOptions {
  readonly kills: number
  readonly onLife?: (life: Life) => void
}

export interface LaneResult {
  readonly name: string
  readonly lives: readonly Life[]
  readonly orders: number
  /** Null when a violation was seen before. */
  readonly settled: Settled | null
  readonly violations: readonly Violation[]
}

/** As many as a gateway that dies young can have taken on. */
const NEW_ORDERS_MAX = 6

/** Kills one gateway after the other over one store, until a promise is broken or all are dead. */
export async function runLane(options: LaneOptions): Promise<LaneResult> {
  const { name, seed, kills, onLife } = options
  await using world = disposable(await openWorld(options))
  const lives: Life[] = []
  for (let number = 0; number < kills; number++) {
    const chance = createChance(seed, `generation ${name} ${number}`)
    const life = await live(world, drawGeneration(number, chance), chance)
    lives.push(life)
    onLife?.(life)
    if (life.violations.length === 0) continue
    const { violations } = life
    return { name, lives, orders: world.orders.length, settled: null, violations }
  }
  const settled = await settleUp(
    world,
    lives.map(({ death }) => death),
  )
  const { violations } = settled
  return { name, lives, orders: world.orders.length, settled, violations }
}

/** Both modes are aimed at in turn. */
function drawGeneration(number: number, chance: ReturnType<typeof createChance>): GenerationPlan {
  const settle = number % 2 === 0 ? 'on-response' : 'before-upstream'
  return {
    number,
    aim: drawAim(chance, settle),
    newOrders: chance.between(3, NEW_ORDERS_MAX),
    pauseMs: chance.happens(0.4) ? chance.between(40_000, 120_000) : 0,
  }
}

function disposable<T extends { close(): Promise<void> }>(one: T): T & AsyncDisposable {
  return Object.assign(one, { [Symbol.asyncDispose]: () => one.close() })
}
