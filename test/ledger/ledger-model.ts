import fc from 'fast-check'
import { expect } from 'vitest'
import { unixMs } from '../../src/core/time.ts'
import type { ClaimId, ClaimState, Ledger } from '../../src/ledger/ledger.ts'
import { claimRequest, type MovableClock, RECEIPT } from './claim-fixtures.ts'

/** What the ledger should remember of one payment, written without looking at how it does. */
interface Remembered {
  state: ClaimState
  fingerprint: string
  heldUntil: number
  id: ClaimId
}

interface Ask {
  readonly kind: 'claim' | 'recall'
  readonly key: string
  readonly fingerprint: string
  readonly next: 'forwarded' | 'settling'
  readonly holdMs: number
}

interface Take {
  readonly kind: 'settling' | 'settled' | 'unknown' | 'delivered' | 'end' | 'release'
  /** Which of the ids that were ever handed out. */
  readonly pick: number
}

interface Advance {
  readonly kind: 'advance'
  readonly ms: number
}

type Command = Ask | Take | Advance

const HOLDS_MS = [0, 10, 20]

export const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: asking() },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constantFrom(
          ...(['settling', 'settled', 'unknown', 'delivered', 'end', 'release'] as const),
        ),
        pick: fc.nat(3),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('advance' as const), ms: fc.constantFrom(1, 10) }),
    },
  ),
  { minLength: 1, maxLength: 40 },
)

function asking(): fc.Arbitrary<Ask> {
  return fc.record({
    kind: fc.constantFrom('claim' as const, 'claim' as const, 'recall' as const),
    key: fc.constantFrom('k1', 'k2'),
    fingerprint: fc.constantFrom('f1', 'f2'),
    next: fc.constantFrom('forwarded' as const, 'settling' as const),
    holdMs: fc.constantFrom(...HOLDS_MS),
  })
}

interface World {
  readonly ledger: Ledger
  readonly time: MovableClock
  /** Keeps the payments of one history apart from those of another in the same store. */
  readonly prefix: string
}

/** Does to the ledger and to the model the same things, and expects the same answers. */
export async function agreesWithModel(world: World, steps: readonly Command[]): Promise<void> {
  const model = new Map<string, Remembered>()
  const ids: ClaimId[] = []
  const before = await world.ledger.countByState()
  for (const step of steps) {
    if (step.kind === 'advance') world.time.advance(step.ms)
    else if ('key' in step) await ask(world, step, { model, ids })
    else await take(world, step, { model, ids })
  }
  const expected = { ...before }
  for (const { state } of model.values()) expected[state] += 1
  expect(await world.ledger.countByState()).toEqual(expected)
}

interface Memory {
  readonly model: Map<string, Remembered>
  /** Newest first. */
  readonly ids: ClaimId[]
}

async function ask(
  { ledger, time, prefix }: World,
  step: Ask,
  { model, ids }: Memory,
): Promise<void> {
  const key = `${prefix} ${step.key}`
  const now = time.clock()
  const heldUntil = unixMs(now + step.holdMs)
  const request = claimRequest({ ...step, key, heldUntil })
  const outcome = await ledger[step.kind](request)
  const remembered = model.get(key)
  expect(outcome.kind).toBe(expectedKind(step, remembered, now))
  if (outcome.kind === 'claimed') {
    const { fingerprint, next } = step
    model.set(key, { state: next, fingerprint, heldUntil, id: outcome.id })
    ids.unshift(outcome.id)
  }
  if (outcome.kind === 'entitled' && remembered !== undefined) {
    Object.assign(remembered, { heldUntil, id: outcome.id })
    ids.unshift(outcome.id)
  }
}

function expectedKind(
  asked: { readonly kind: 'claim' | 'recall'; readonly fingerprint: string },
  found: Remembered | undefined,
  now: number,
): string {
  const held = found !== undefined && found.heldUntil > now
  const free =
    found === undefined || found.state === 'released' || (found.state === 'forwarded' && !held)
  if (free) return asked.kind === 'claim' ? 'claimed' : 'unclaimed'
  if (found.fingerprint !== asked.fingerprint) return 'other-request'
  if (found.state === 'delivered') return 'used'
  if (found.state === 'settling' || found.state === 'unknown') return 'settlement-pending'
  return found.state === 'settled' && !held ? 'entitled' : 'in-progress'
}

async function take({ ledger }: World, step: Take, { model, ids }: Memory): Promise<void> {
  const id = ids[step.pick]
  if (id === undefined) return
  const remembered = [...model.values()].find(each => each.id === id)
  const state = remembered?.state ?? null
  const taken = await settled(stepOf(ledger, step.kind, id))
  const next = expectedState(step.kind, state)
  expect(taken).toBe(next === null ? 'ledger_transition' : 'taken')
  if (remembered === undefined || next === null) return
  remembered.state = next
  if (step.kind === 'end') remembered.heldUntil = 0
}

function stepOf(ledger: Ledger, kind: string, id: ClaimId): Promise<void> {
  if (kind === 'settling') return ledger.markSettling(id)
  if (kind === 'settled') return ledger.markSettled(id, RECEIPT)
  if (kind === 'unknown') return ledger.markUnknown(id, 'detail', null)
  if (kind === 'delivered') return ledger.markDelivered(id)
  return kind === 'end' ? ledger.endHold(id) : ledger.release(id, 'reason')
}

/** Null where the step must be refused. */
function expectedState(kind: string, from: ClaimState | null): ClaimState | null {
  switch (`${kind} from ${from}`) {
    case 'settling from forwarded':
      return 'settling'
    case 'settled from settling':
    case 'settled from unknown':
    case 'settled from settled':
    case 'end from settled':
      return 'settled'
    case 'unknown from settling':
      return 'unknown'
    case 'delivered from settled':
    case 'settled from delivered':
      return 'delivered'
    case 'release from forwarded':
    case 'release from settling':
      return 'released'
    default:
      return null
  }
}

async function settled(promise: Promise<void>): Promise<unknown> {
  try {
    await promise
    return 'taken'
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
}
