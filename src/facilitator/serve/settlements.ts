import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import {
  fingerprint,
  type Payment,
  type PaymentKey,
  type Receipt,
  type Settlement,
} from '../../core/payment.ts'
import { type Clock, unixMs } from '../../core/time.ts'
import { FacilitatorUnavailableError, SettlementUnknownError } from '../../errors.ts'
import type { ClaimId, ClaimRequest, Ledger } from '../../ledger/ledger.ts'
import type { GatewayObserver } from '../../observe/events.ts'
import { readSettlement } from '../../x402/settle-outcome.ts'
import type { SettleAnswer } from '../facilitator.ts'
import type { OpenedLocal } from '../local/open-local.ts'

export interface SettlementParts {
  readonly facilitator: Pick<OpenedLocal, 'settle' | 'hasSent'>
  readonly ledger: Ledger
  readonly clock: Clock
  readonly observer: Pick<GatewayObserver, 'errorReported'>
  /** How long a settle may take, in milliseconds. */
  readonly settleMsMax: number
  /** A row has been left open: its outcome has to be found out. */
  readonly leftOpen: () => void
}

/** Settles for others, and writes down who asked for what and what came of it. */
export interface Settlements {
  /**
   * The same payment asked again, at the same time or after a crash, by whomever, also of another
   * process that shares the ledger, comes to the same transaction.
   *
   * Rejects with `FacilitatorUnavailableError` or `StoreUnavailableError` when nothing was sent,
   * and with `SettlementUnknownError` when an earlier settle may have been and nobody can tell.
   *
   * @param caller Name of the key that asks.
   */
  settle(payment: Payment, caller: string): Promise<SettleAnswer>
}

interface Running {
  readonly asked: string
  readonly answer: Promise<SettleAnswer>
}

/**
 * The row in the ledger is written before the transaction is signed, and tells who asked. Of
 * several processes, the one that has the row sends; the others wait for what comes of it. A
 * process that starts again knows from its journal what it had sent.
 */
export function createSettlements(parts: SettlementParts): Settlements {
  const running = new Map<PaymentKey, Running>()
  return {
    async settle(payment, caller) {
      const { key } = payment
      // Another signature may be a wrong one, and its fate not that of the right one.
      const asked = JSON.stringify([payment.payload.payload, payment.offer.requirements])
      for (let other = running.get(key); other !== undefined; other = running.get(key)) {
        if (other.asked === asked) return other.answer
        await other.answer.catch(() => undefined)
      }
      const answer = settleOnce(payment, caller, parts).finally(() => running.delete(key))
      running.set(key, { asked, answer })
      return answer
    },
  }
}

/** For what is written down around a settle. */
const WRITES_MS = 10_000
/** How often the ledger is asked what came of another process's settle. */
const LOOK_AGAIN_MS = 200

async function settleOnce(
  payment: Payment,
  caller: string,
  parts: SettlementParts,
): Promise<SettleAnswer> {
  const { clock, settleMsMax, leftOpen } = parts
  const givesUpAt = clock() + settleMsMax
  for (let isFirst = true; ; isFirst = false) {
    const answer = await settleOrSee(payment, caller, parts)
    if (answer !== null) return answer
    // Whoever has the row may be gone: then it is finished from the chain, once its hold is over.
    if (isFirst) leftOpen()
    if (clock() >= givesUpAt) {
      throw new SettlementUnknownError('Another process settles it, and is not done.', {
        fix: 'Nothing to do: the row is finished from the chain if that process is gone.',
      })
    }
    await delay(LOOK_AGAIN_MS)
  }
}

/** Null: another process has it, and may have sent it. */
async function settleOrSee(
  payment: Payment,
  caller: string,
  parts: SettlementParts,
): Promise<SettleAnswer | null> {
  const { ledger, clock, settleMsMax } = parts
  const heldUntil = unixMs(clock() + settleMsMax + WRITES_MS)
  const claim = await ledger.claim(toClaim(payment, { caller, heldUntil }))
  switch (claim.kind) {
    case 'claimed':
      return attempt(payment, claim.id, parts)
    case 'used':
    case 'entitled':
    case 'stored':
      return settledAnswer(claim.receipt)
    case 'in-progress':
    case 'settlement-pending':
      return seeOwn(payment, parts)
    case 'other-request':
    case 'identifier-reused':
      // Its nonce stands for other terms, which may be settled or on their way.
      return refusedAnswer(payment, 'invalid_exact_evm_nonce_already_used')
  }
}

/** What becomes of a transaction that is in our journal. Null: none is. */
async function seeOwn(payment: Payment, parts: SettlementParts): Promise<SettleAnswer | null> {
  const { facilitator, leftOpen } = parts
  try {
    const { payload, offer } = payment
    if (!(await facilitator.hasSent(payload, offer.requirements))) return null
    const answer = await settleOnChain(payment, parts)
    leftOpen()
    const settlement = readSettlement(answer, payment)
    return settlement.kind === 'settled' ? settledAnswer(settlement.receipt) : answer
  } catch (cause) {
    throw new SettlementUnknownError('A settle that was asked before cannot be looked up now.', {
      fix: 'Nothing to do: it is found out once a node answers.',
      cause,
    })
  }
}

async function attempt(
  payment: Payment,
  id: ClaimId,
  parts: SettlementParts,
): Promise<SettleAnswer> {
  const answer = await settleOnChain(payment, parts).catch(async (error: unknown) => {
    await parts.ledger.release(id, 'settle was not sent')
    throw error
  })
  const settlement = readSettlement(answer, payment)
  // What cannot be written stays open, and is written when the chain has been asked.
  await record(id, settlement, parts).catch((error: unknown) =>
    parts.observer.errorReported({ error, requestId: null }),
  )
  return settlement.kind === 'settled' ? settledAnswer(settlement.receipt) : answer
}

/** Rejects with `FacilitatorUnavailableError` alone: then nothing was sent. */
async function settleOnChain(
  payment: Payment,
  { facilitator, observer }: SettlementParts,
): Promise<SettleAnswer> {
  try {
    return await facilitator.settle(payment.payload, payment.offer.requirements)
  } catch (error) {
    if (error instanceof FacilitatorUnavailableError) throw error
    observer.errorReported({ error, requestId: null })
    return refusedAnswer(payment, 'settlement_pending')
  }
}

async function record(
  id: ClaimId,
  settlement: Settlement,
  { ledger, leftOpen }: SettlementParts,
): Promise<void> {
  switch (settlement.kind) {
    case 'settled':
      await ledger.markSettled(id, settlement.receipt)
      return ledger.endHold(id)
    case 'rejected':
      return ledger.release(id, settlement.reason)
    case 'unknown':
      await ledger.markUnknown(id, settlement.detail, settlement.transaction)
      leftOpen()
  }
}

function toClaim(
  { key, payer, payload, validBefore, offer }: Payment,
  { caller, heldUntil }: { readonly caller: string; readonly heldUntil: ClaimRequest['heldUntil'] },
): ClaimRequest {
  const { requirements, amount } = offer
  const { network, asset, payTo } = requirements
  const terms = [network, asset.toLowerCase(), payTo.toLowerCase(), String(amount)]
  return {
    ...{ key, payer, network, asset, payTo, amount, validBefore, heldUntil },
    fingerprint: fingerprint(createHash('sha256').update(terms.join('\n')).digest('hex')),
    // What a gateway sells by its route, a facilitator does for a key.
    route: caller,
    payload: JSON.stringify(payload),
    requirements: JSON.stringify(requirements),
    next: 'settling',
    // Nothing is delivered here but the receipt, which everybody gets who asks again.
    redeemableMs: 0,
    identifier: null,
  }
}

function settledAnswer({ transaction, network, payer, amount }: Receipt): SettleAnswer {
  return { success: true, transaction, network, payer, amount: String(amount) }
}

/** Of a payment of which this request has sent nothing. */
function refusedAnswer({ payer, offer }: Payment, errorReason: string): SettleAnswer {
  const { network } = offer.requirements
  return { success: false, errorReason, payer, transaction: '', network }
}
