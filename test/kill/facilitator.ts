import { setTimeout as sleep } from 'node:timers/promises'
import type { Chain } from '../support/chain.ts'
import {
  type Answer,
  type Operation,
  type ReferenceFacilitator,
  startFacilitator,
} from '../support/facilitator.ts'
import { type Chance, createChance } from './chance.ts'
import type { Moments } from './moments.ts'
import type { Order } from './order.ts'

export interface ShakyFacilitator extends ReferenceFacilitator {
  /** Settles that it was asked for, by nonce. `refused`: it said that it had sent nothing. */
  readonly settles: ReadonlyMap<string, { readonly refused: boolean }>
}

export interface ShakyFacilitatorParts {
  readonly chain: Chain
  readonly seed: number
  readonly moments: Moments
  find(nonce: string): Order | undefined
  /** True once it does all its work as it should. */
  isCalm(): boolean
}

type Mood =
  | 'well'
  | 'starts late'
  | 'answers late'
  | 'hangs up unworked'
  | 'hangs up'
  | 'is silent'
  | 'says pending'
  | 'fails'

const SETTLE_MOODS = [
  [60, 'well'],
  [8, 'starts late'],
  [8, 'answers late'],
  [6, 'hangs up unworked'],
  [6, 'hangs up'],
  [4, 'is silent'],
  [4, 'says pending'],
  [4, 'fails'],
] as const satisfies readonly (readonly [number, Mood])[]

const VERIFY_MOODS = [
  [88, 'well'],
  [6, 'starts late'],
  [3, 'answers late'],
  [3, 'hangs up unworked'],
] as const satisfies readonly (readonly [number, Mood])[]

/** The reference facilitator, on a bad line: often slow, and sometimes cut off after its work. */
export async function startShakyFacilitator(
  parts: ShakyFacilitatorParts,
): Promise<ShakyFacilitator> {
  const { chain, seed, moments, find, isCalm } = parts
  const settles = new Map<string, { refused: boolean }>()
  const asked = new Map<string, number>()
  const facilitator = await startFacilitator({
    chain,
    async intercept(operation, next, body) {
      const nonce = nonceIn(body)
      const order = find(nonce)
      if (operation === 'supported' || order === undefined) return next()
      const times = (asked.get(`${operation} ${nonce}`) ?? 0) + 1
      asked.set(`${operation} ${nonce}`, times)
      if (operation === 'settle') settles.set(nonce, { refused: false })
      const chance = createChance(seed, `${operation} ${nonce} ${times}`)
      const mood = isCalm() ? 'well' : drawMood(operation, chance)
      order.story.push(`  the facilitator ${mood} (${operation} ${times})`)
      moments.tell(operation === 'settle' ? 'settle asked' : 'verify asked', order)
      const work = async () => {
        const answer = await next()
        if (operation === 'settle') moments.tell('settle landed', order)
        return answer
      }
      const answer = await inMood(mood, work, chance)
      if (operation === 'settle') settles.set(nonce, { refused: isRefusal(answer) })
      const done = operation === 'settle' ? 'settle answered' : 'verify answered'
      setImmediate(() => moments.tell(done, order))
      return answer
    },
  })
  return { ...facilitator, settles }
}

function drawMood(operation: Operation, chance: Chance): Mood {
  return operation === 'settle' ? chance.pick<Mood>(SETTLE_MOODS) : chance.pick<Mood>(VERIFY_MOODS)
}

async function inMood(mood: Mood, work: () => Promise<Answer>, chance: Chance): Promise<Answer> {
  const delayMs = chance.between(20, 200)
  if (mood === 'hangs up unworked') return 'hang-up'
  if (mood === 'starts late') await sleep(delayMs)
  const answer = await work()
  switch (mood) {
    case 'answers late':
      await sleep(delayMs)
      return answer
    case 'hangs up':
      return 'hang-up'
    case 'is silent':
      return new Promise(() => {})
    case 'says pending':
      return { status: 200, body: pendingLike(answer) }
    case 'fails':
      return { status: 500, body: { error: 'The answer got lost.' } }
    default:
      return answer
  }
}

function pendingLike(answer: Answer): unknown {
  const done = answer === 'hang-up' ? {} : (answer.body as Record<string, unknown>) // an object always
  return { ...done, success: false, errorReason: 'settlement_pending' }
}

function isRefusal(answer: Answer): boolean {
  if (answer === 'hang-up' || answer.status !== 200) return false
  const { success, errorReason } = answer.body as Record<string, unknown> // an object always
  return success === false && errorReason !== 'settlement_pending'
}

function nonceIn(body: unknown): string {
  return /"nonce":"(0x[0-9a-f]{64})"/.exec(JSON.stringify(body) ?? '')?.[1] ?? ''
}
