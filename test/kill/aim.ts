import { setTimeout as sleep } from 'node:timers/promises'
import type { Chance } from './chance.ts'
import { MOMENTS, type Moment, type Moments } from './moments.ts'
import type { SettleMode } from './order.ts'

/** The instant at which a gateway is to die, as the seed decides. */
export type Aim =
  | { readonly kind: 'while it starts'; readonly afterMs: number }
  /** From its first request on. */
  | { readonly kind: 'at a time'; readonly afterMs: number }
  /** When something has happened so often to orders of this mode, or a little later. */
  | {
      readonly kind: Moment
      readonly settle: SettleMode
      readonly times: number
      readonly afterMs: number
    }

export function drawAim(chance: Chance, settle: SettleMode): Aim {
  const kind = chance.pick<Aim['kind']>([
    [1, 'while it starts'],
    [3, 'at a time'],
    ...MOMENTS.map(moment => [2, moment] as const),
  ])
  if (kind === 'while it starts') return { kind, afterMs: chance.between(300, 1_200) }
  if (kind === 'at a time') return { kind, afterMs: chance.between(0, 500) }
  // Often at once: what the gateway does next takes it less than a millisecond.
  const afterMs = chance.pick([
    [2, 0],
    [1, chance.between(1, 4)],
    [1, chance.between(5, 20)],
  ])
  return { kind, settle, times: chance.between(1, 2), afterMs }
}

/** What was aimed at may never happen. */
const PATIENCE_MS = 5_000

/**
 * Pulls the trigger at the instant that is aimed at. What is to happen at once happens before
 * anything else does, so that not one more byte goes to the gateway.
 *
 * @param at.served Resolves when nobody is left who could make it happen.
 * @returns Whether what was aimed at has happened.
 */
export async function fireAt(
  aim: Exclude<Aim, { kind: 'while it starts' }>,
  at: { readonly moments: Moments; readonly served: Promise<unknown> },
  fire: () => void,
): Promise<boolean> {
  const { moments, served } = at
  const missed = Promise.race([served, sleep(PATIENCE_MS)]).then(() => false)
  if (aim.kind === 'at a time') {
    const hit = await Promise.race([sleep(aim.afterMs, true), missed])
    fire()
    return hit
  }
  let left = aim.times
  const seen = Promise.withResolvers<true>()
  const unlisten = moments.listen((moment, { plan }) => {
    if (moment !== aim.kind || plan.settle !== aim.settle) return
    left -= 1
    if (left !== 0) return
    if (aim.afterMs === 0) fire()
    seen.resolve(true)
  })
  const hit = await Promise.race([seen.promise, missed])
  unlisten()
  if (hit && aim.afterMs > 0) await sleep(aim.afterMs)
  fire()
  return hit
}
