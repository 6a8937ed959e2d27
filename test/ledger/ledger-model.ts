import { expect } from 'vitest'
import { type UnixMs, unixMs } from '../../src/core/time.ts'
import type { ClaimId, ClaimState, Ledger } from '../../src/ledger/ledger.ts'
import { claimRequest, type MovableClock, RECEIPT, RESPONSE, STATES } from './claim-fixtures.ts'
import {
  type Ask,
  type Command,
  type Extend,
  KEPT_MS,
  LONG_MS,
  type Prune,
  type Resolve,
  type StepOf,
} from './ledger-commands.ts'

const HOUR_MS = 3_600_000

/** What the ledger should remember of one payment, written without looking at how it does. */
interface Remembered {
  readonly key: string
  state: ClaimState
  fingerprint: string
  identifier: string | null
  responseUntil: number
  heldUntil: number
  redeemableMs: number
  validBefore: number
  id: ClaimId
  createdAt: number
  updatedAt: number
  settledAt: number | null
}

interface World {
  readonly ledger: Ledger
  readonly time: MovableClock
  /** Keeps the payments of one history apart from those of another in the same store. */
  readonly prefix: string
}

interface Memory {
  readonly model: Map<string, Remembered>
  /** Newest first. */
  readonly ids: ClaimId[]
}

/** Does to the ledger and to the model the same things, and expects the same answers. */
export async function agreesWithModel(world: World, steps: readonly Command[]): Promise<void> {
  await finishEarlierHistory(world)
  const memory: Memory = { model: new Map(), ids: [] }
  const since = world.time.clock()
  for (const step of steps) await perform(world, step, memory)
  const rows = await world.ledger.list({ since, limit: 1000 })
  const remembered = [...memory.model.values()].sort((one, other) => one.id - other.id)
  expect(rows.map(({ id, state, updatedAt }) => ({ id, state, updatedAt }))).toEqual(
    remembered.map(({ id, state, updatedAt }) => ({ id, state, updatedAt })),
  )
  const counts = await world.ledger.countByState()
  const all = await world.ledger.list({ limit: 1000 })
  for (const state of STATES) {
    expect(counts[state]).toBe(all.filter(row => row.state === state).length)
  }
}

/** Leaves nothing behind that this history's resolver would take or its clean-up count. */
async function finishEarlierHistory({ ledger, time }: World): Promise<void> {
  time.advance(2 * LONG_MS)
  await ledger.releaseAbandoned()
  const open = await ledger.takeUnresolved({ limit: 1000, heldUntil: time.clock() })
  for (const { id } of open) await ledger.release(id, 'the history is over')
}

async function perform(world: World, step: Command, memory: Memory): Promise<void> {
  switch (step.kind) {
    case 'advance':
      return world.time.advance(step.ms)
    case 'claim':
    case 'recall':
      return ask(world, step, memory)
    case 'take':
      return resolve(world, step, memory)
    case 'extend':
      return extend(world, step, memory)
    case 'prune':
      return prune(world, step, memory)
    case 'abandon':
      return abandon(world, memory)
    default:
      return take(world, step, memory)
  }
}

async function ask(
  { ledger, time, prefix }: World,
  step: Ask,
  { model, ids }: Memory,
): Promise<void> {
  const key = `${prefix} ${step.key}`
  const now = time.clock()
  const heldUntil = unixMs(now + step.holdMs)
  const validBefore = Math.floor(now / 1000) + step.validSeconds
  const identifier = step.identifier && `${prefix} ${step.identifier}`
  const asked = { ...step, key, identifier, heldUntil, validBefore }
  const outcome = await ledger[step.kind](claimRequest(asked))
  const namesake = findNamesake(model, asked)
  const expected = expectedOf(step, { own: model.get(key), namesake }, now)
  expect(outcome.kind).toBe(expected.kind)
  if (outcome.kind === 'claimed') {
    if (namesake !== undefined) Object.assign(namesake, { state: 'released', updatedAt: now })
    const { fingerprint, next, redeemableMs } = step
    const promised = { heldUntil, redeemableMs, validBefore, responseUntil: 0 }
    const claim = { key, fingerprint, identifier, state: next, ...promised }
    const times = { createdAt: now, updatedAt: now, settledAt: null }
    model.set(key, { ...claim, ...times, id: outcome.id })
    ids.unshift(outcome.id)
  }
  if (outcome.kind === 'entitled' && expected.of !== undefined) {
    const { redeemableMs } = step
    expect(outcome.key).toContain(expected.of.key)
    Object.assign(expected.of, { heldUntil, redeemableMs, id: outcome.id, updatedAt: now })
    ids.unshift(outcome.id)
  }
}

function findNamesake(
  model: Memory['model'],
  asked: { readonly key: string; readonly identifier: string | null },
): Remembered | undefined {
  if (asked.identifier === null) return undefined
  return [...model.values()].find(
    ({ key, identifier, state }) =>
      key !== asked.key && identifier === asked.identifier && state !== 'released',
  )
}

function expectedOf(
  asked: Ask,
  { own, namesake }: Record<'own' | 'namesake', Remembered | undefined>,
  now: number,
): { kind: string; of?: Remembered } {
  const isFree = (one: Remembered | undefined): boolean =>
    one === undefined ||
    one.state === 'released' ||
    (one.state === 'forwarded' && one.heldUntil <= now)
  if (own !== undefined && !isFree(own)) {
    if (own.fingerprint !== asked.fingerprint) return { kind: 'other-request' }
    return { kind: kindOfSame(asked, own, now), of: own }
  }
  if (namesake !== undefined && !isFree(namesake)) {
    const [request] = namesake.fingerprint.split('.')
    if (request !== asked.fingerprint.split('.')[0]) return { kind: 'identifier-reused' }
    return { kind: kindOfSame(asked, namesake, now), of: namesake }
  }
  return { kind: asked.kind === 'claim' ? 'claimed' : 'unclaimed' }
}

function kindOfSame(asked: Ask, found: Remembered, now: number): string {
  const held = found.heldUntil > now
  const isPaid = found.state === 'delivered' || found.state === 'settled'
  if (isPaid && found.responseUntil > now) return 'stored'
  if (found.state === 'delivered') return 'used'
  if (found.state === 'settling' || found.state === 'unknown') return 'settlement-pending'
  if (found.state === 'forwarded' || held) return 'in-progress'
  return now - (found.settledAt ?? 0) < asked.redeemableMs ? 'entitled' : 'used'
}

async function resolve({ ledger, time }: World, step: Resolve, { model }: Memory): Promise<void> {
  const now = time.clock()
  const heldUntil = unixMs(now + step.holdMs)
  const open = [...model.values()]
    .filter(({ state }) => state === 'settling' || state === 'unknown')
    .filter(each => each.heldUntil <= now)
    .sort((one, other) => one.createdAt - other.createdAt || one.id - other.id)
  const oldest = Math.floor(step.limit / 2)
  const youngest = open.length - (step.limit - oldest)
  const expected = open.filter((_, place) => place < oldest || place >= youngest)
  const taken = await ledger.takeUnresolved({ limit: step.limit, heldUntil })
  expect(taken.map(({ id }) => id)).toEqual(expected.map(({ id }) => id))
  for (const each of expected) Object.assign(each, { heldUntil, updatedAt: now })
}

async function extend(
  { ledger, time }: World,
  step: Extend,
  { model, ids }: Memory,
): Promise<void> {
  const now = time.clock()
  const heldUntil = unixMs(now + step.holdMs)
  const asked = [...new Set(step.picks.flatMap(pick => ids[pick] ?? []))]
  const expected = [...model.values()].filter(
    row => asked.includes(row.id) && row.state === 'settled' && row.heldUntil !== 0,
  )
  const extended = await ledger.extendHolds({ ids: asked, heldUntil })
  expect([...extended].sort()).toEqual(expected.map(({ id }) => id).sort())
  for (const each of expected) {
    Object.assign(each, { heldUntil: Math.max(each.heldUntil, heldUntil), updatedAt: now })
  }
}

async function abandon({ ledger, time }: World, { model }: Memory): Promise<void> {
  const now = time.clock()
  const expected = [...model.values()].filter(
    ({ state, heldUntil }) => state === 'forwarded' && heldUntil <= now,
  )
  expect(await ledger.releaseAbandoned()).toBe(expected.length)
  for (const each of expected) Object.assign(each, { state: 'released', updatedAt: now })
}

/** Rows of earlier histories may go as well, so that only our own are looked at. */
async function prune({ ledger, time }: World, step: Prune, { model }: Memory): Promise<void> {
  const now = time.clock()
  const olderThan = unixMs(now - step.ageMs)
  const newest = Math.max(0, ...[...model.values()].map(({ id }) => id))
  for (const [key, row] of model) {
    const open = row.state === 'settled' && row.heldUntil > now
    const redeemable = row.state === 'settled' && now - (row.settledAt ?? 0) < row.redeemableMs
    const final = ['delivered', 'released', 'settled'].includes(row.state) && !open && !redeemable
    const expired = row.validBefore < Math.floor(Math.min(olderThan, now - HOUR_MS) / 1000)
    const kept = row.responseUntil > now
    if (final && !kept && expired && row.updatedAt < olderThan && row.id !== newest)
      model.delete(key)
  }
  await ledger.prune({ olderThan, limit: 1000 })
}

async function take({ ledger, time }: World, step: StepOf, { model, ids }: Memory): Promise<void> {
  const id = ids[step.pick]
  if (id === undefined) return
  const now = time.clock()
  const remembered = [...model.values()].find(each => each.id === id)
  const state = remembered?.state ?? null
  const until = unixMs(now + KEPT_MS)
  const taken = await settled(stepOf(ledger, step.kind, id, until))
  const next = expectedState(step.kind, state)
  expect(taken).toBe(next === null ? 'ledger_transition' : 'taken')
  if (remembered === undefined || next === null) return
  const repeated = step.kind === 'settled' && (state === 'settled' || state === 'delivered')
  if (repeated) return
  Object.assign(remembered, { state: next, updatedAt: now })
  if (step.kind === 'settled') remembered.settledAt = now
  if (step.kind === 'kept') remembered.responseUntil = now + KEPT_MS
  if (step.kind === 'end') remembered.heldUntil = 0
  if (step.kind === 'unknown') remembered.heldUntil = now
}

function stepOf(ledger: Ledger, kind: StepOf['kind'], id: ClaimId, until: UnixMs): Promise<void> {
  if (kind === 'kept') return ledger.keepResponse(id, RESPONSE, until)
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
    case 'kept from settled':
      return 'settled'
    case 'unknown from settling':
    case 'unknown from unknown':
      return 'unknown'
    case 'delivered from settled':
    case 'settled from delivered':
      return 'delivered'
    case 'release from forwarded':
    case 'release from settling':
    case 'release from unknown':
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
