import type { Random } from './random.ts'

/** What a seed has in store. Drawn first, so that the story can begin with it. */
export interface Plan {
  readonly gateways: number
  readonly shoppers: number
  /** Until then things fail; afterwards everything works. */
  readonly troubleMs: number
  /** Of each kind: how likely one call meets it. */
  readonly diskFault: number
  readonly diskMsMax: number
  readonly upstreamFault: number
  /** Responses that stream for longer than any hold. */
  readonly longBody: number
  readonly facilitatorFault: number
  /** Answers that are not true; 0 in most seeds. */
  readonly facilitatorLie: number
  readonly nodeFault: number
  /** False: the configuration names no node, and only the facilitator can be asked. */
  readonly hasNode: boolean
  readonly crashes: number
  readonly clockJumps: number
  readonly reloads: number
  readonly impatience: number
  readonly duplicates: number
  readonly cheats: number
  readonly strangers: number
  readonly chain: ChainPlan
}

export interface ChainPlan {
  readonly blockMs: number
  /** Blocks under the newest that may still be replaced. */
  readonly finality: number
  /** For each block: that it replaces some before it. */
  readonly reorg: number
  /** For each transaction: that it waits for many blocks, or is never mined. */
  readonly late: number
  readonly dropped: number
}

export function drawPlan(random: Random): Plan {
  const sometimes = (share: number, most: number): number =>
    random.chance(share) ? random.next() * most : 0
  // Cancelling matters where blocks are replaced while a transfer waits.
  const strangers = random.chance(0.3) ? 0.4 + 0.6 * random.next() : 0
  return {
    gateways: random.chance(0.55) ? 2 : 1,
    shoppers: random.between(2, 5),
    troubleMs: random.between(15_000, 35_000),
    diskFault: sometimes(0.4, 0.15),
    diskMsMax: random.chance(0.15) ? 1_500 : random.chance(0.3) ? 400 : 15,
    upstreamFault: sometimes(0.6, 0.5),
    longBody: random.chance(0.25) ? 0.3 + 0.6 * random.next() : 0,
    facilitatorFault: sometimes(0.7, 0.7),
    facilitatorLie: sometimes(0.12, 0.5),
    nodeFault: sometimes(0.5, 0.5),
    hasNode: !random.chance(0.08),
    crashes: random.chance(0.5) ? random.between(1, 4) : 0,
    clockJumps: random.chance(0.15) ? random.between(1, 2) : 0,
    reloads: random.chance(0.15) ? 1 : 0,
    impatience: sometimes(0.5, 0.6),
    duplicates: sometimes(0.6, 0.9),
    cheats: sometimes(0.4, 0.6),
    strangers,
    chain: {
      blockMs: random.pick([1_000, 2_000, 4_000]),
      finality: random.between(2, 5),
      reorg: strangers > 0 ? 0.35 * random.next() : sometimes(0.3, 0.3),
      late: sometimes(0.4, 0.6),
      dropped: sometimes(0.4, 0.4),
    },
  }
}
