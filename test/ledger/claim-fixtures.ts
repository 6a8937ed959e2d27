import { atomicAmount } from '../../src/core/amount.ts'
import { fingerprint, paymentKey, type Receipt } from '../../src/core/payment.ts'
import { type Clock, type UnixMs, unixMs } from '../../src/core/time.ts'
import type {
  ClaimId,
  ClaimRequest,
  ClaimState,
  Ledger,
  StoredResponse,
} from '../../src/ledger/ledger.ts'

export const STATES: readonly ClaimState[] = [
  ...(['forwarded', 'settling', 'settled', 'delivered', 'released', 'unknown'] as const),
]

export const HOLD_MS = 60_000
export const REDEEMABLE_MS = 3_600_000

export interface MovableClock {
  readonly clock: Clock
  readonly advance: (milliseconds: number) => void
}

export function movableClock(): MovableClock {
  let now = 1_800_000_000_000
  return {
    clock: () => unixMs(now),
    advance: milliseconds => {
      now += milliseconds
    },
  }
}

export interface ClaimDetails {
  readonly key?: string
  readonly fingerprint?: string
  readonly next?: ClaimRequest['next']
  readonly heldUntil: UnixMs
  readonly redeemableMs?: number
  /** Unix seconds. */
  readonly validBefore?: number
  readonly route?: string
  readonly payer?: string
  readonly identifier?: string | null
}

export function claimRequest(details: ClaimDetails): ClaimRequest {
  return {
    key: paymentKey('eip155:84532', 'nonce', details.key ?? 'a'),
    fingerprint: fingerprint(details.fingerprint ?? 'same'),
    route: details.route ?? 'GET /v1/weather/{city}',
    payer: details.payer ?? '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
    network: 'eip155:84532',
    asset: '0x036CbD53842c5426634e7929541eC2318f3dCF7e',
    payTo: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
    amount: atomicAmount(1000n),
    validBefore: details.validBefore ?? 1_800_000_060,
    payload: '{"x402Version":2}',
    requirements: '{"scheme":"exact"}',
    next: details.next ?? 'forwarded',
    heldUntil: details.heldUntil,
    redeemableMs: details.redeemableMs ?? REDEEMABLE_MS,
    identifier: details.identifier ?? null,
  }
}

export const RECEIPT: Receipt = {
  transaction: `0x${'ab'.repeat(32)}`,
  network: 'eip155:84532',
  payer: '0x209693Bc6afc0C5328bA36FaF03C514EF312287C',
  amount: atomicAmount(1000n),
}

/** Every kind of byte, and a header that comes twice. */
export const RESPONSE: StoredResponse = {
  status: 201,
  headers: [
    'Content-Type',
    'text/plain',
    'Set-Cookie',
    'a=1',
    'Set-Cookie',
    'b=2',
    'X-É',
    '\u00ff',
  ],
  body: Uint8Array.from({ length: 256 }, (_, byte) => byte),
  trailers: ['X-Sum', 'abc'],
  variant: 'same',
}

export async function claimed(ledger: Ledger, request: ClaimRequest): Promise<ClaimId> {
  const outcome = await ledger.claim(request)
  if (outcome.kind !== 'claimed') throw new Error(`Expected a claim, got "${outcome.kind}".`)
  return outcome.id
}

/** Claims, and walks the claim to `state` the way that a request would. */
export async function claimedAs(
  state: ClaimState,
  ledger: Ledger,
  request: ClaimRequest,
): Promise<ClaimId> {
  const id = await claimed(ledger, { ...request, next: 'forwarded' })
  if (state === 'forwarded') return id
  if (state === 'released') {
    await ledger.release(id, 'upstream failed')
    return id
  }
  await ledger.markSettling(id)
  if (state === 'unknown') await ledger.markUnknown(id, 'timed out', null)
  if (state === 'settled' || state === 'delivered') await ledger.markSettled(id, RECEIPT)
  if (state === 'delivered') await ledger.markDelivered(id)
  return id
}

/** How many outcomes there are of each kind. */
export function tally(outcomes: readonly { readonly kind: string }[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { kind } of outcomes) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

export function sum(counts: Readonly<Record<ClaimState, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}
